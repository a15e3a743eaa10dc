// Calls of the max kernels, unpacked.
#include <stdexcept>

#include "call.h"
#include "isa.h"
#include "max_pool.h"

namespace roipool {
bool max_call(const Call& call) {
  const Array &image = call.input(1), &y_bins = call.input(2), &x_bins = call.input(3);
  const Array &pooled = *call.result(0), *argmax = call.result(1);
  max_forward(chosen_isa(), {call.dtype,
                             maps_of(call.inputs[0], call.dtype),
                             {image.shape[0], whole_numbers(image), whole_numbers(y_bins),
                              whole_numbers(x_bins), y_bins.shape[1], x_bins.shape[1]},
                             pooled.start,
                             argmax ? argmax->start : nullptr,
                             argmax && argmax->itemsize == 8,
                             threads_or_default(call.threads),
                             is_channels_last(pooled)});
  return true;
}

bool max_add_call(const Call& call) {
  for (const Array& maps : call.results[0])  // planes of sums are copied there whole
    if (!is_contiguous(maps) && !is_channels_last(maps))
      throw std::invalid_argument(
          "max_add: data has gaps; expected (N, C, H, W) contiguous, or so "
          "with channels last");
  const Array &pooled = call.input(0), &image = call.input(1), &argmax = call.input(2);
  return max_backward(
      chosen_isa(),
      {floating(call.dtype), pooled.start, argmax.start, argmax.itemsize == 8, whole_numbers(image),
       pooled.shape[0], pooled.shape[2] * pooled.shape[3], maps_of(call.results[0], call.dtype),
       threads_or_default(call.threads), is_channels_last(pooled)});
}

}  // namespace roipool
