// Calls from programs that XLA compiled: unpacks buffers, calls.
#include "xla.h"

#include <new>

#include "isa.h"
#include "max_pool.h"
#include "memory.h"
#include "threads.h"
#include "xla/ffi/api/ffi.h"

namespace roipool {
namespace {

namespace ffi = xla::ffi;
using Ints = ffi::Buffer<ffi::S32>;

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

Maps maps_of(const ffi::AnyBuffer& maps) {
  const auto n = maps.dimensions();
  const int64_t plane = n[2] * n[3];
  return {
      {{static_cast<char*>(maps.untyped_data()), n[0], n[2], n[3], {n[1] * plane, plane, n[3], 1}}},
      n[1],
      size_of(dtype_of(maps))};
}

// XLA's results lie in fresh memory, where small pages would cost as much time as the pooling.
void* memory_of(ffi::AnyBuffer result) {
  ask_for_huge_pages(result.untyped_data(), result.size_bytes());
  return result.untyped_data();
}

template <class Work>
ffi::Error run(const Work& work) {
  try {
    work();
    return ffi::Error::Success();
  } catch (const std::bad_alloc&) {
    return {ffi::ErrorCode::kResourceExhausted, "roipool: out of memory"};
  }
}

// With a second result for argmax, or without.
ffi::Error forward(ffi::AnyBuffer data, Ints image, Ints rows, Ints cols, ffi::RemainingRets rets) {
  auto values = rets.get<ffi::AnyBuffer>(0);
  auto argmax = rets.get<ffi::AnyBuffer>(1);
  const bool asked = argmax.has_value();
  const MaxForward call{dtype_of(data),
                        maps_of(data),
                        {image.dimensions()[0], image.typed_data(), rows.typed_data(),
                         cols.typed_data(), rows.dimensions()[1], cols.dimensions()[1]},
                        memory_of(**values),
                        asked ? memory_of(**argmax) : nullptr,
                        asked && (*argmax)->element_type() == ffi::S64,
                        default_threads()};
  return run([&] { max_forward(chosen_isa(), call); });
}

// A position outside the map is no position: nothing can be raised for a value of a program.
ffi::Error backward(ffi::AnyBuffer grad, ffi::AnyBuffer argmax, Ints image,
                    ffi::Result<ffi::AnyBuffer> grad_data) {
  const auto n = grad.dimensions();
  memory_of(*grad_data);
  const MaxBackward call{dtype_of(grad),        grad.untyped_data(),
                         argmax.untyped_data(), argmax.element_type() == ffi::S64,
                         image.typed_data(),    n[0],
                         n[2] * n[3],           maps_of(*grad_data),
                         default_threads()};
  return run([&] { max_backward(chosen_isa(), call); });
}

XLA_FFI_DEFINE_HANDLER(
    forward_handler, forward,
    ffi::Ffi::Bind().Arg<ffi::AnyBuffer>().Arg<Ints>().Arg<Ints>().Arg<Ints>().RemainingRets());
XLA_FFI_DEFINE_HANDLER(
    backward_handler, backward,
    ffi::Ffi::Bind().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<Ints>().Ret<ffi::AnyBuffer>());

}  // namespace

std::vector<std::pair<const char*, void*>> xla_handlers() {
  return {{"max_forward", reinterpret_cast<void*>(forward_handler)},
          {"max_backward", reinterpret_cast<void*>(backward_handler)}};
}

}  // namespace roipool
