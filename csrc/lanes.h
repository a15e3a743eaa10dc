// A block of channels as one 64-byte vector: the vector types, and the transpose between
// "channels in lanes" (how bins are reduced) and "pixels in lanes" (how arrays lie in memory).
//
// Everything a kernel uses lives in a namespace named for the instruction set it is compiled
// for, so that the linker can never hand code built for AVX-512 to a machine without it.
#pragma once

#include <cstdint>
#include <utility>

#ifndef ROIPOOL_ISA
#error "kernel headers are compiled once per instruction set: define ROIPOOL_ISA"
#endif

#define ROIPOOL_INLINE inline __attribute__((always_inline))

namespace roipool::ROIPOOL_ISA {

inline constexpr int kBlockBytes = 64;  // one cache line, one AVX-512 register

template <class T>
inline constexpr int kLanes = kBlockBytes / int(sizeof(T));

template <class T, int N>
struct VectorOf {
  typedef T type __attribute__((vector_size(sizeof(T) * N)));
};
template <class T, int N = kLanes<T>>
using Vec = typename VectorOf<T, N>::type;

template <class T, int N = kLanes<T>>
ROIPOOL_INLINE Vec<T, N> load(const T* from) {
  Vec<T, N> v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}

template <class V, class T>
ROIPOOL_INLINE void store(T* to, V v) {
  __builtin_memcpy(to, &v, sizeof v);
}

template <class T>
ROIPOOL_INLINE Vec<T> broadcast(T value) {
  return Vec<T>{} + value;
}

template <class V>
ROIPOOL_INLINE V max(V a, V b) {
  return a > b ? a : b;
}

template <int From, class V, int... I>
ROIPOOL_INLINE V zip_lanes(V a, V b, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(a, b, ((I % 2) * int(sizeof...(I)) + I / 2 + From)...);
}

// a0 b0 a1 b1 …: the lower halves of two vectors interleaved, or the upper ones. Without 512-bit
// registers it is put together from 16-byte pieces, which every instruction set can interleave.
template <class T, bool Upper>
ROIPOOL_INLINE Vec<T> zip(Vec<T> a, Vec<T> b) {
#ifdef __AVX512VBMI__
  constexpr int n = kLanes<T>, pieces = 1;
#else
  constexpr int n = 16 / int(sizeof(T)), pieces = 4;
#endif
  using Piece = Vec<T, n>;
  constexpr auto lanes = std::make_integer_sequence<int, n>{};
  if constexpr (pieces == 1) {
    return zip_lanes<Upper ? n / 2 : 0, Piece>(a, b, lanes);
  } else {
    Piece from_a[pieces], from_b[pieces], zipped[pieces];
    __builtin_memcpy(from_a, &a, sizeof a);
    __builtin_memcpy(from_b, &b, sizeof b);
#pragma GCC unroll 2
    for (int i = 0; i < pieces / 2; ++i) {
      const int half = i + (Upper ? pieces / 2 : 0);
      zipped[2 * i] = zip_lanes<0, Piece>(from_a[half], from_b[half], lanes);
      zipped[2 * i + 1] = zip_lanes<n / 2, Piece>(from_a[half], from_b[half], lanes);
    }
    return load<T>(reinterpret_cast<const T*>(zipped));
  }
}

// Transposes the square matrix whose rows are the n vectors. Each round rotates the bits of an
// element's (row, column) address by one place; log2(n) rounds exchange row and column.
template <class T>
ROIPOOL_INLINE void transpose(Vec<T> (&row)[kLanes<T>]) {
  constexpr int n = kLanes<T>;
  for (int round = 1; round < n; round *= 2) {
    Vec<T> next[n];
#pragma GCC unroll 16
    for (int i = 0; i < n / 2; ++i) {
      next[2 * i] = zip<T, false>(row[i], row[i + n / 2]);
      next[2 * i + 1] = zip<T, true>(row[i], row[i + n / 2]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < n; ++i) row[i] = next[i];
  }
}

}  // namespace roipool::ROIPOOL_ISA
