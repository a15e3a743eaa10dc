// The floating dtypes as sums see them: widened to float32 or float64 exactly when they are
// packed, rounded once when a sum is stored. Vectors hold the bits as integers as wide as a sum.
#pragma once

#include "lanes.h"

namespace roipool::ROIPOOL_ISA {

// Calls body(0), body(1) and so on up to N, whatever a compiler thinks of unrolling: what body
// keeps by these numbers then stays in registers. Mark it ROIPOOL_BODY.
#define ROIPOOL_BODY __attribute__((always_inline))
template <class Body, int... I>
ROIPOOL_INLINE void repeat(const Body& body, std::integer_sequence<int, I...>) {
  (body(I), ...);
}
template <int N, class Body>
ROIPOOL_INLINE void repeat(const Body& body) {
  repeat(body, std::make_integer_sequence<int, N>{});
}

// Calls body(std::integral_constant<int, count>) of a count from 1 on, or of Most where it is more.
template <int Most, class Body>
ROIPOOL_INLINE void exactly(int64_t count, const Body& body) {
  if constexpr (Most > 1)
    if (count < Most) return exactly<Most - 1>(count, body);
  body(std::integral_constant<int, Most>{});
}

// The number in every lane, without the addition of 0 that broadcast makes of it.
template <class T>
ROIPOOL_INLINE Vec<T> fill(T value) {
  return value - Vec<T>{};
}

template <class B, class S>
struct Wide {
  using Bits = B;
  using Key = B;
  using Sum = S;
  static constexpr bool kIsFloat = false;  // to the packer: these have no order
  template <class V>
  static ROIPOOL_INLINE V encode(V bits) {
    return bits;
  }
  template <class V>
  static ROIPOOL_INLINE V decode(V bits) {
    return bits;
  }
  template <class V>
  static ROIPOOL_INLINE V widen(V bits) {
    return bits;
  }
  template <class V>
  static ROIPOOL_INLINE V round(V bits) {
    return bits;
  }
};

using SumOfFloat32 = Wide<int32_t, float>;
using SumOfFloat64 = Wide<int64_t, double>;

struct Narrow : Wide<int16_t, float> {
  using Key = int32_t;
  static constexpr int32_t kInfinity = 0x7f800000, kMagnitude = 0x7fffffff;
};

// The upper half of a float32.
struct SumOfBFloat16 : Narrow {
  static ROIPOOL_INLINE Vec<int32_t> widen(Vec<int32_t> bits) { return bits << 16; }
  static ROIPOOL_INLINE Vec<int32_t> round(Vec<int32_t> word) {
    const Vec<int32_t> upper = word >> 16, nearest = (word + 0x7fff + (upper & 1)) >> 16;
    return (word & kMagnitude) > kInfinity ? upper | 0x40 : nearest;
  }
};

// IEEE half precision.
struct SumOfFloat16 : Narrow {
  static constexpr int32_t kRebias = (127 - 15) << 23;
  static ROIPOOL_INLINE Vec<int32_t> widen(Vec<int32_t> bits) {
    const Vec<int32_t> sign = (bits & 0x8000) << 16, rest = (bits & 0x7fff) << 13;
    // Scaling by 2^112 moves the exponent's bias, and is exact for subnormals too.
    const auto scaled = (Vec<int32_t>)((Vec<float>)rest * 0x1p112f);
    return sign | ((bits & 0x7c00) == 0x7c00 ? rest | kInfinity : scaled);
  }
  static ROIPOOL_INLINE Vec<int32_t> round(Vec<int32_t> word) {
    const Vec<int32_t> size = word & kMagnitude, sign = (word >> 16) & 0x8000;
    // Below 2^-14: adding 1/2 shifts a subnormal's bits into place.
    const auto small = (Vec<int32_t>)((Vec<float>)size + 0.5f) & 0xffff;
    Vec<int32_t> rounded = (size - kRebias + 0xfff + ((size >> 13) & 1)) >> 13;
    rounded = size < 0x38800000 ? small : rounded;
    rounded = size >= 0x47800000 ? broadcast<int32_t>(0x7c00) : rounded;  // 2^16 and more
    return sign | (size > kInfinity ? broadcast<int32_t>(0x7e00) : rounded);
  }
};

}  // namespace roipool::ROIPOOL_ISA
