// Calls of the max kernels, unpacked.
#include <stdexcept>

#include "call.h"
#include "isa.h"
#include "max_pool.h"

namespace roipool {
namespace {

const Array& single(const Operand& maps) {
  if (maps.size() != 1) throw std::invalid_argument("max takes feature maps as one array");
  return maps[0];
}

Shape shape_of(const Array& a) { return {a.shape[0], a.shape[1], a.shape[2], a.shape[3]}; }

}  // namespace

bool max_call(const Call& call) {
  const Array& data = single(call.inputs[0]);
  const Array &image = call.input(1), &y_bins = call.input(2), &x_bins = call.input(3);
  const Array &pooled = *call.result(0), *argmax = call.result(1);
  max_forward(chosen_isa(), {call.dtype,
                             data.start,
                             shape_of(data),
                             {data.strides[0], data.strides[1], data.strides[2], data.strides[3]},
                             {image.shape[0], whole_numbers(image), whole_numbers(y_bins),
                              whole_numbers(x_bins), y_bins.shape[1], x_bins.shape[1]},
                             pooled.start,
                             argmax ? contiguous(*argmax) : nullptr,
                             argmax && argmax->itemsize == 8,
                             threads_or_default(call.threads),
                             channels_last(pooled)});
  return true;
}

bool max_add_call(const Call& call) {
  const Array &pooled = call.input(0), &image = call.input(1), &argmax = call.input(2);
  const Array& data = single(call.results[0]);
  return max_backward(
      chosen_isa(),
      {call.dtype, pooled.start, contiguous(argmax), argmax.itemsize == 8, whole_numbers(image),
       pooled.shape[0], pooled.shape[2] * pooled.shape[3], data.start, shape_of(data),
       threads_or_default(call.threads), channels_last(pooled), channels_last(data)});
}

}  // namespace roipool
