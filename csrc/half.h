// Half-precision gradients as bits, widened to be summed and rounded once.
#pragma once

#include "lanes.h"

namespace roipool::ROIPOOL_ISA {

// The sum type of a gradient, and its rounding to the stored type.
template <class T>
struct Plain {
  using Stored = T;
  using Sum = T;
  static T widen(T value) { return value; }
  static T round(T sum) { return sum; }
};

template <class To, class From>
ROIPOOL_INLINE To same_bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  __builtin_memcpy(&to, &from, sizeof to);
  return to;
}

// IEEE half precision, rounded to nearest, ties to even; not every compiler has it as a type.
struct Half {
  using Stored = uint16_t;
  using Sum = float;
  static constexpr uint32_t kInfinity = 0x7f800000, kRebias = (127 - 15) << 23;

  static float widen(uint16_t bits) {
    const uint32_t sign = uint32_t(bits & 0x8000) << 16, rest = uint32_t(bits & 0x7fff) << 13;
    if ((bits & 0x7c00) == 0x7c00) return same_bits<float>(sign | kInfinity | rest);
    // Scaling by 2^112 moves the exponent's bias, and is exact for subnormals too.
    return same_bits<float>(sign | same_bits<uint32_t>(same_bits<float>(rest) * 0x1p112f));
  }

  static uint16_t round(float sum) {
    const uint32_t word = same_bits<uint32_t>(sum), size = word & 0x7fffffff;
    const uint16_t sign = uint16_t(word >> 16 & 0x8000);
    if (size > kInfinity) return sign | 0x7e00;
    if (size >= 0x47800000) return sign | 0x7c00;  // 2^16 and more
    if (size < 0x38800000)  // below 2^-14: adding 1/2 shifts a subnormal's bits into place
      return sign | uint16_t(same_bits<uint32_t>(same_bits<float>(size) + 0.5f));
    return sign | uint16_t((size - kRebias + 0xfff + (size >> 13 & 1)) >> 13);
  }
};

// bfloat16: the upper half of a float32.
struct Brain {
  using Stored = uint16_t;
  using Sum = float;
  static float widen(uint16_t bits) { return same_bits<float>(uint32_t(bits) << 16); }
  static uint16_t round(float sum) {
    const uint32_t word = same_bits<uint32_t>(sum);
    if (sum != sum) return uint16_t(word >> 16 | 0x40);
    return uint16_t((word + 0x7fff + (word >> 16 & 1)) >> 16);
  }
};

}  // namespace roipool::ROIPOOL_ISA
