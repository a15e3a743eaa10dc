// A block of channels as one vector register: the vector types, and the transpose between
// "channels in lanes" (how bins are reduced) and "pixels in lanes" (how arrays lie in memory).
//
// Every function of a kernel lives in a namespace named for the instruction set it is compiled
// for, so that the linker can't hand code built for AVX-512 to a machine without it.
#pragma once

#ifdef __SSE2__
#include <immintrin.h>
#endif

#include <cstdint>
#include <utility>

#ifndef ROIPOOL_ISA
#error "kernel headers are compiled once per instruction set: define ROIPOOL_ISA"
#endif

#define ROIPOOL_INLINE inline __attribute__((always_inline))

namespace roipool::ROIPOOL_ISA {

#if defined(__AVX512BW__)
inline constexpr int kBlockBytes = 64;
#elif defined(__AVX2__)
inline constexpr int kBlockBytes = 32;
#else
inline constexpr int kBlockBytes = 16;
#endif

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

// A store that goes around the caches, for memory that nobody reads soon; `to` is aligned to a
// vector. Such stores are ordered by finish_streaming alone.
ROIPOOL_INLINE void stream(void* to, Vec<int64_t> v) {
#if defined(__AVX512F__)
  _mm512_stream_si512(static_cast<__m512i*>(to), (__m512i)v);
#elif defined(__AVX2__)
  _mm256_stream_si256(static_cast<__m256i*>(to), (__m256i)v);
#elif defined(__SSE2__)
  _mm_stream_si128(static_cast<__m128i*>(to), (__m128i)v);
#else
  store(static_cast<int64_t*>(to), v);
#endif
}

ROIPOOL_INLINE void finish_streaming() {
#ifdef __SSE2__
  _mm_sfence();
#endif
}

// Subnormals are kept and sums rounded to nearest while one of these lives, whatever the thread
// was set to: settings differ between threads, results must not.
class ExactFloats {
 public:
#if defined(__SSE2__)
  ExactFloats() : before_(_mm_getcsr()) { _mm_setcsr(0x1f80); }
  ~ExactFloats() { _mm_setcsr(before_); }

 private:
  unsigned before_;
#elif defined(__aarch64__)
  ExactFloats() {
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    asm volatile("msr fpcr, %0" ::"r"(uint64_t(0)));
  }
  ~ExactFloats() { asm volatile("msr fpcr, %0" ::"r"(before_)); }

 private:
  uint64_t before_;
#else
  ExactFloats() {}
  ~ExactFloats() {}

 private:
#endif
  ExactFloats(const ExactFloats&) = delete;
  ExactFloats& operator=(const ExactFloats&) = delete;
};

template <class T>
ROIPOOL_INLINE Vec<T> broadcast(T value) {
  return Vec<T>{} + value;
}

template <class V>
ROIPOOL_INLINE V max(V a, V b) {
  return a > b ? a : b;
}

template <class V>
ROIPOOL_INLINE bool any(V mask) {
  const auto words = (Vec<int64_t>)mask;
  int64_t found = 0;
  for (int i = 0; i < kLanes<int64_t>; ++i) found |= words[i];
  return found != 0;
}

// Registers are made of lanes of 16 bytes, and shuffles that stay inside them, or move them whole,
// are the cheapest there are.
inline constexpr int kLaneBytes = 16;

// In every lane a0 b0 a1 b1 …: the lower halves of two lanes interleaved, or the upper ones.
template <bool Upper, class V, int... I>
ROIPOOL_INLINE V zip(V a, V b, std::integer_sequence<int, I...>) {
  constexpr int n = int(sizeof...(I)), m = n * kLaneBytes / int(sizeof(V));
  return __builtin_shufflevector(a, b,
                                 (I / m * m + I % 2 * n + I % m / 2 + (Upper ? m / 2 : 0))...);
}

// The even lanes of a and then of b, or the odd ones.
template <bool Odd, class V, int... I>
ROIPOOL_INLINE V unzip(V a, V b, std::integer_sequence<int, I...>) {
  constexpr int n = int(sizeof...(I)), m = n * kLaneBytes / int(sizeof(V));
  return __builtin_shufflevector(
      a, b, (I * 2 / n * n + (I * 2 % n / (2 * m) * 2 + (Odd ? 1 : 0)) * m + I % m)...);
}

// The rounds of a transpose. Each exchanges one bit of an element's row number for one of its place
// in the row: first the bits of the place inside a lane, then those of the lane.
template <class T, int Round, bool Second>
ROIPOOL_INLINE Vec<T> shuffle(Vec<T> a, Vec<T> b) {
  constexpr auto order = std::make_integer_sequence<int, kLanes<T>>{};
  if constexpr (Round * int(sizeof(T)) < kLaneBytes)
    return zip<Second>(a, b, order);
  else
    return unzip<Second>(a, b, order);
}

template <class T, int Round, class Source, class Sink>
ROIPOOL_INLINE void exchange(const Source& source, const Sink& sink) {
  constexpr int n = kLanes<T>;
  constexpr bool last = 2 * Round == n;
  Vec<T> next[n];
#pragma GCC unroll 16
  for (int i = 0; i < n / 2; ++i) {
    const Vec<T> a = source(i), b = source(i + n / 2);
    const Vec<T> pair[] = {shuffle<T, Round, false>(a, b), shuffle<T, Round, true>(a, b)};
    for (int j = 0; j < 2; ++j)
      if constexpr (last)
        sink(2 * i + j, pair[j]);
      else
        next[2 * i + j] = pair[j];
  }
  if constexpr (!last) exchange<T, 2 * Round>([&](int i) { return next[i]; }, sink);
}

// Transposes a square matrix: row(i) gives its rows, column(i, vector) takes its columns, in no
// order. Rows come, and columns go, with the bits of their numbers in the order of the rounds.
template <class T, class Row, class Column>
ROIPOOL_INLINE void transpose(const Row& row, const Column& column) {
  constexpr auto number = [](int i) {
    constexpr int lanes = kBlockBytes / kLaneBytes, m = kLanes<T> / lanes;
    const int lane = i % lanes;
    return (lanes == 4 ? lane % 2 * 2 + lane / 2 : lane) * m + i / lanes;
  };
  exchange<T, 1>([&](int i) { return row(number(i)); },
                 [&](int i, Vec<T> v) { column(number(i), v); });
}

}  // namespace roipool::ROIPOOL_ISA
