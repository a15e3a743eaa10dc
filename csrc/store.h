// From finished bins (one vector of channels each) to the result's (channel, bin) order.
#pragma once

#include <cstddef>

#include "keys.h"

namespace roipool::ROIPOOL_ISA {

// Consecutive bins of one region. A channel's bins lie side by side in the result, `stride`
// elements from the next channel's.
struct Tile {
  int64_t size, stride;
  int channels;
};

template <class D, class Key>
struct TileStore {
  using Bits = typename D::Bits;
  static constexpr int n = kLanes<Key>;

  const Vec<Key>* bins;
  Tile tile;
  Bits* out;

  static ROIPOOL_INLINE Vec<Bits, n> narrow(Vec<Key> keys) {
    return D::decode(__builtin_convertvector(keys, Vec<Bits, n>));
  }

  void one_bin(int64_t b) const {
    const Vec<Bits, n> values = narrow(bins[b]);
    for (int c = 0; c < tile.channels; ++c) out[c * tile.stride + b] = values[c];
  }

  // Bins [first, first + count), count <= n. A store past the last bin may run on into the next
  // channel's bins as long as those are written later; the last channels are cut short.
  ROIPOOL_INLINE void group(int64_t first, int64_t count) const {
    Vec<Key> square[n];
#pragma GCC unroll 4
    for (int b = 0; b < n; ++b) square[b] = bins[first + (b < count ? b : 0)];
    transpose<Key>(square);
    const int64_t end = tile.stride == tile.size ? tile.channels * tile.stride : 0;
#pragma GCC unroll 4
    for (int c = 0; c < n; ++c) {
      if (c >= tile.channels) return;
      const Vec<Bits, n> values = narrow(square[c]);
      const int64_t at = c * tile.stride + first;
      if (count == n || at + n <= end)
        store(out + at, values);
      else
        __builtin_memcpy(out + at, &values, std::size_t(count) * sizeof(Bits));
    }
  }

  void write() const {
    const int64_t rest = tile.size % n, whole = tile.size - rest;
    if (rest * 4 <= n)
      for (int64_t b = whole; b < tile.size; ++b) one_bin(b);
    else
      group(whole, rest);
    for (int64_t first = 0; first < whole; first += n) group(first, n);
  }
};

template <class D, class Key>
ROIPOOL_INLINE void store_tile(const Vec<Key>* bins, Tile tile, typename D::Bits* out) {
  TileStore<D, Key>{bins, tile, out}.write();
}

}  // namespace roipool::ROIPOOL_ISA
