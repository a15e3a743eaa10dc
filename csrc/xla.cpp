// Calls from programs that XLA compiled: unpacks buffers, calls.
#include "xla.h"

#include <algorithm>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "call.h"
#include "checks.h"
#include "memory.h"
#include "xla/ffi/api/ffi.h"

namespace roipool {
namespace {

namespace ffi = xla::ffi;

Element element_of(const ffi::AnyBuffer& buffer) {
  switch (buffer.element_type()) {
    case ffi::F16: return Element::float16;
    case ffi::BF16: return Element::bfloat16;
    case ffi::F32: return Element::float32;
    case ffi::F64: return Element::float64;
    case ffi::S8: return Element::int8;
    case ffi::U8: return Element::uint8;
    case ffi::S16: return Element::int16;
    case ffi::S32: return Element::int32;
    case ffi::S64: return Element::int64;
    default: return Element::unknown;
  }
}

Array array_of(const ffi::AnyBuffer& buffer) {
  const auto sizes = buffer.dimensions();
  if (sizes.size() > 4) throw std::invalid_argument("expected arrays of at most 4 axes");
  const auto bytes = std::max<std::size_t>(1, ffi::ByteWidth(buffer.element_type()));
  Array array{buffer.untyped_data(), element_of(buffer), int64_t(bytes), int(sizes.size()), {}, {}};
  for (int64_t axis = array.axes, stride = 1; axis-- > 0; stride *= sizes[axis]) {
    array.shape[axis] = sizes[axis];
    array.strides[axis] = stride;
  }
  return array;
}

// Operands one after the other; where the feature maps are, there are several arrays.
std::vector<Operand> grouped(const std::vector<Array>& arrays, const Args& args, int64_t maps) {
  std::vector<Operand> operands;
  std::size_t at = 0;
  for (const Arg& arg : args) {
    if (at == arrays.size() && !arg.is_maps()) break;
    const std::size_t count = arg.is_maps() ? std::size_t(std::max<int64_t>(maps, 0)) : 1;
    if (count > arrays.size() - at)
      throw std::invalid_argument("there are fewer arrays than the call says");
    operands.emplace_back(arrays.data() + at, count);
    at += count;
  }
  if (at < arrays.size()) throw std::invalid_argument("there are more arrays than the kernel has");
  return operands;
}

// The attributes: which kernel, and how many arrays its feature maps are. Nothing can be raised for
// a value of a program: a region that lies nowhere is none, and so is a position outside the map.
ffi::Error run(ffi::RemainingArgs args, ffi::RemainingRets rets, std::string_view name,
               int64_t maps) try {
  const Kernel& kernel = kernel_named(name);
  std::vector<Array> inputs, results;
  for (std::size_t i = 0; i < args.size(); ++i)
    inputs.push_back(array_of(*args.get<ffi::AnyBuffer>(i)));
  for (std::size_t i = 0; i < rets.size(); ++i) {
    ffi::AnyBuffer result = **rets.get<ffi::AnyBuffer>(i);
    // It lies in fresh memory, where small pages would cost as much time as the pooling.
    ask_for_huge_pages(result.untyped_data(), result.size_bytes());
    results.push_back(array_of(result));
  }
  if (inputs.empty()) throw std::invalid_argument("a kernel has inputs");
  const DType dtype = dtype_named(name_of(inputs[0].element));
  auto input_operands = grouped(inputs, kernel.inputs, maps);
  const auto result_operands = grouped(results, kernel.results, maps);
  const Call call{dtype, input_operands, result_operands, 0};
  check_arrays(kernel, call);
  if (std::vector<int32_t> image = regions_that_fit(kernel, call); image.empty()) {
    kernel.run(call);
  } else {
    const std::size_t place = input_named(kernel, "image");
    Array fitting = call.input(int(place));
    fitting.start = image.data();
    input_operands[place] = {&fitting, 1};
    kernel.run(call);
  }
  return ffi::Error::Success();
} catch (const std::bad_alloc& error) {
  return {ffi::ErrorCode::kResourceExhausted, std::string("roipool: ") + error.what()};
} catch (const std::exception& error) {
  return {ffi::ErrorCode::kInvalidArgument, std::string("roipool: ") + error.what()};
}

XLA_FFI_DEFINE_HANDLER(
    run_handler, run,
    ffi::Ffi::Bind().RemainingArgs().RemainingRets().Attr<std::string_view>("kernel").Attr<int64_t>(
        "maps"));

}  // namespace

std::vector<std::pair<const char*, void*>> xla_handlers() {
  return {{"run", reinterpret_cast<void*>(run_handler)}};
}

}  // namespace roipool
