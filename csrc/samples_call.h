// What calls of the kernels of samples take beside those of taps.
#pragma once

#include <stdexcept>

#include "samples.h"
#include "tap_plan.h"

namespace roipool {

// Which of each bin's samples: int32 in the shape of pooled values, a channel's bins side by side.
inline int32_t* winners_of(const Array& argmax, const Array& pooled) {
  if (argmax.axes != 4 || !std::equal(argmax.shape, argmax.shape + 4, pooled.shape))
    throw std::invalid_argument("expected argmax in the shape of pooled values");
  return const_cast<int32_t*>(whole_numbers(argmax));
}

}  // namespace roipool
