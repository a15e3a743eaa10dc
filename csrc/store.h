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

inline constexpr int64_t kTile = 256;  // bins reduced before they are written out
inline constexpr int64_t kLine = 64;

// Whole cache lines are written at once: a line written in parts is first read from memory.
inline void copy_lines(char* to, const char* from, int64_t bytes, bool around_caches) {
  int64_t at = -reinterpret_cast<intptr_t>(to) & (kLine - 1);
  if (at > bytes) at = bytes;
  __builtin_memcpy(to, from, std::size_t(at));
  for (; at + kLine <= bytes; at += kLine)
    for (int64_t i = at; i < at + kLine; i += kBlockBytes) {
      const auto part = load(reinterpret_cast<const int64_t*>(from + i));
      if (around_caches)
        stream(to + i, part);
      else
        store(reinterpret_cast<int64_t*>(to + i), part);
    }
  __builtin_memcpy(to + at, from + at, std::size_t(bytes - at));
}

template <class D, class Key>
ROIPOOL_INLINE void store_tile(const Vec<Key>* bins, Tile tile, typename D::Bits* out,
                               bool around_caches) {
  if (tile.stride != tile.size) return TileStore<D, Key>{bins, tile, out}.write();
  alignas(kLine) typename D::Bits block[kLanes<Key> * kTile];  // all of a region's bins
  TileStore<D, Key>{bins, tile, block}.write();
  copy_lines(reinterpret_cast<char*>(out), reinterpret_cast<const char*>(block),
             tile.size * tile.channels * int64_t(sizeof *block), around_caches);
}

}  // namespace roipool::ROIPOOL_ISA
