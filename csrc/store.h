// From finished bins (one vector of channels each) to the result's (channel, bin) order.
#pragma once

#include <cstddef>

#include "keys.h"

namespace roipool::ROIPOOL_ISA {

inline constexpr int64_t kTile = 256;  // bins reduced before they are written out
inline constexpr int64_t kLine = 64;

// Up to kTile bins of a block, a channel's side by side and then the next channel's.
template <class D, class Key>
struct Turned {
  using Bits = typename D::Bits;
  static constexpr int n = kLanes<Key>;

  alignas(kLine) Bits out[n * kTile + n];  // the last store of the last channel may run on

  ROIPOOL_INLINE Turned(const Vec<Key>* bins, int64_t size) {
    const int64_t rest = size % n, whole = size - rest;
    if (rest * 4 <= n)
      for (int64_t b = whole; b < size; ++b) one_bin(bins, size, b);
    else
      group(bins, size, whole, rest);
    for (int64_t first = 0; first < whole; first += n) group(bins, size, first, n);
  }

  static ROIPOOL_INLINE Vec<Bits, n> narrow(Vec<Key> keys) {
    return D::decode(__builtin_convertvector(keys, Vec<Bits, n>));
  }

  void one_bin(const Vec<Key>* bins, int64_t size, int64_t b) {
    const Vec<Bits, n> values = narrow(bins[b]);
    for (int c = 0; c < n; ++c) out[c * size + b] = values[c];
  }

  // Bins [first, first + count), count <= n. A store that runs on into the next channel's first
  // bins is made before those are.
  ROIPOOL_INLINE void group(const Vec<Key>* bins, int64_t size, int64_t first, int64_t count) {
    Vec<Key> square[n];
#pragma GCC unroll 4
    for (int b = 0; b < n; ++b) square[b] = bins[first + (b < count ? b : 0)];
    transpose<Key>(square);
#pragma GCC unroll 4
    for (int c = 0; c < n; ++c) store(out + c * size + first, narrow(square[c]));
  }
};

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

// `size` consecutive bins of one region: a channel's lie side by side in the result, `stride`
// elements from the next channel's.
template <class D, class Key>
ROIPOOL_INLINE void store_tile(const Vec<Key>* bins, int64_t size, int64_t stride, int channels,
                               typename D::Bits* out, bool around_caches) {
  const Turned<D, Key> block(bins, size);
  const int64_t bytes = size * int64_t(sizeof *out);
  const auto copy = [&](int64_t to, int64_t from, int64_t count) {
    copy_lines(reinterpret_cast<char*>(out + to), reinterpret_cast<const char*>(block.out + from),
               count, around_caches);
  };
  if (stride == size) return copy(0, 0, channels * bytes);
  for (int c = 0; c < channels; ++c) copy(c * stride, c * size, bytes);
}

}  // namespace roipool::ROIPOOL_ISA
