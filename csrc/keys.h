// Maximum needs order, not arithmetic. Every dtype is mapped to signed integers in the same
// order ("keys") while it is packed, and mapped back when a bin is finished, so that one integer
// kernel per width serves all dtypes, and a maximum is one instruction of latency one.
//
// Floats: a negative number's magnitude bits are flipped, which makes the bit pattern's integer
// order the numeric order. NaN becomes the least key, below −inf, so it never wins; a bin of
// nothing else decodes to NaN. −0 becomes −1 and +0 becomes 0: equal numbers with unequal keys,
// which is why packing reports whether it met a −0 (see reduce_max.h).
#pragma once

#include <limits>
#include <type_traits>

#include "lanes.h"

namespace roipool::ROIPOOL_ISA {

template <class B>
struct Integer {
  using Bits = B;
  static constexpr bool kIsFloat = false;
  template <class V>
  static ROIPOOL_INLINE V encode(V bits) {
    return bits;
  }
  template <class V>
  static ROIPOOL_INLINE V decode(V keys) {
    return keys;
  }
};

using Int8 = Integer<int8_t>;
using Int16 = Integer<int16_t>;
using Int32 = Integer<int32_t>;

struct UInt8 : Integer<int8_t> {
  template <class V>
  static ROIPOOL_INLINE V encode(V bits) {
    return bits ^ std::numeric_limits<int8_t>::min();
  }
  template <class V>
  static ROIPOOL_INLINE V decode(V keys) {
    return encode(keys);
  }
};

template <class B, B Infinity>
struct Float {
  using Bits = B;
  static constexpr bool kIsFloat = true;
  static constexpr B kMagnitude = std::numeric_limits<B>::max();
  static constexpr B kNaN = std::numeric_limits<B>::min();
  template <class V>
  static ROIPOOL_INLINE V order(V bits) {
    return bits ^ ((bits >> int(8 * sizeof(B) - 1)) & kMagnitude);
  }
  template <class V>
  static ROIPOOL_INLINE V encode(V bits) {
    return (bits & kMagnitude) > Infinity ? V{} + kNaN : order(bits);
  }
  template <class V>
  static ROIPOOL_INLINE V decode(V keys) {
    return order(keys);
  }
};

using Float16 = Float<int16_t, 0x7c00>;
using BFloat16 = Float<int16_t, 0x7f80>;
using Float32 = Float<int32_t, 0x7f800000>;
using Float64 = Float<int64_t, 0x7ff0000000000000>;

}  // namespace roipool::ROIPOOL_ISA
