// Calls from programs that XLA compiled: unpacks buffers, calls.
#include "xla.h"

#include <exception>
#include <new>
#include <vector>

#include "call.h"
#include "memory.h"
#include "xla/ffi/api/ffi.h"

namespace roipool {
namespace {

namespace ffi = xla::ffi;

DType dtype_of(const ffi::AnyBuffer& buffer) {
  switch (buffer.element_type()) {
    case ffi::F16: return DType::float16;
    case ffi::BF16: return DType::bfloat16;
    case ffi::F32: return DType::float32;
    case ffi::F64: return DType::float64;
    case ffi::S8: return DType::int8;
    case ffi::U8: return DType::uint8;
    case ffi::S16: return DType::int16;
    default: return DType::int32;  // the door lets no other through
  }
}

Array array_of(const ffi::AnyBuffer& buffer) {
  const auto sizes = buffer.dimensions();
  Array array{buffer.untyped_data(),
              int64_t(ffi::ByteWidth(buffer.element_type())),
              int(sizes.size()),
              {},
              {}};
  for (int64_t axis = array.axes, stride = 1; axis-- > 0; stride *= sizes[axis]) {
    array.shape[axis] = sizes[axis];
    array.strides[axis] = stride;
  }
  return array;
}

// Operands one after the other; where the feature maps are, there are several arrays.
std::vector<Operand> grouped(const std::vector<Array>& arrays, int place, std::size_t maps) {
  std::vector<Operand> operands;
  for (std::size_t at = 0; at < arrays.size() || int(operands.size()) == place;) {
    const std::size_t count = int(operands.size()) == place ? maps : 1;
    operands.emplace_back(arrays.data() + at, count);
    at += count;
  }
  return operands;
}

// The attributes: which kernel, and how many arrays its feature maps are. A position outside the
// map is no position: nothing can be raised for a value of a program.
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
  const auto input_operands = grouped(inputs, kernel.maps, std::size_t(maps));
  const auto result_operands = grouped(results, kernel.maps < 0 ? 0 : -1, std::size_t(maps));
  kernel.run({dtype_of(*args.get<ffi::AnyBuffer>(0)), input_operands, result_operands, 0});
  return ffi::Error::Success();
} catch (const std::bad_alloc& error) {
  return {ffi::ErrorCode::kResourceExhausted, std::string("roipool: ") + error.what()};
} catch (const std::exception& error) {
  return {ffi::ErrorCode::kInvalidArgument, error.what()};
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
