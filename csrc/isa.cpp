// Compiled once per instruction set (CMakeLists.txt): instantiates the kernels and lists them.
#include "isa.h"

#include "max_in_place.h"
#include "pack.h"
#include "reduce_max.h"
#include "scatter_max.h"
#include "windows_max.h"

#define ROIPOOL_TEXT(x) ROIPOOL_TEXT_(x)
#define ROIPOOL_TEXT_(x) #x

namespace roipool {
namespace ROIPOOL_ISA {

template <class D, class Key, class Position>
MaxKernels max_kernels_between() {
  constexpr bool argmax = !std::is_void_v<Position>;
  return {kLanes<Key>,
          kBlockBytes,
          argmax ? 2 * kBlockBytes : kBlockBytes,
          pack<D, Key>,
          argmax ? widen_found<Key> : widen<Key>,
          reduce<D, Key, Position>,
          max_in_place<D>,
          kLanes<typename D::Bits>};
}

template <class D>
MaxKernels max_kernels_for(bool argmax, bool wide) {
  using Bits = typename D::Bits;
  using Key = std::conditional_t<sizeof(Bits) == 8, int64_t, int32_t>;
  if (!argmax) return max_kernels_between<D, Bits, void>();
  if (wide) return max_kernels_between<D, int64_t, int64_t>();
  return max_kernels_between<D, Key, int32_t>();
}

MaxKernels max_kernels(DType dtype, bool argmax, bool wide) {
  switch (dtype) {
    case DType::float16: return max_kernels_for<Float16>(argmax, wide);
    case DType::bfloat16: return max_kernels_for<BFloat16>(argmax, wide);
    case DType::float32: return max_kernels_for<Float32>(argmax, wide);
    case DType::float64: return max_kernels_for<Float64>(argmax, wide);
    case DType::int8: return max_kernels_for<Int8>(argmax, wide);
    case DType::uint8: return max_kernels_for<UInt8>(argmax, wide);
    case DType::int16: return max_kernels_for<Int16>(argmax, wide);
    case DType::int32: return max_kernels_for<Int32>(argmax, wide);
  }
  __builtin_unreachable();
}

template <class G>
ScatterMax scatter_max_for(bool wide) {
  return wide ? scatter_max<G, int64_t> : scatter_max<G, int32_t>;
}

ScatterMax scatter_max_kernel(DType dtype, bool wide) {
  switch (dtype) {
    case DType::float16: return scatter_max_for<Half>(wide);
    case DType::bfloat16: return scatter_max_for<Brain>(wide);
    case DType::float32: return scatter_max_for<Plain<float>>(wide);
    case DType::float64: return scatter_max_for<Plain<double>>(wide);
    default: return nullptr;
  }
}

bool runs_here() {
#if defined(__AVX512BW__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("bmi2");
#elif defined(__AVX2__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
#else
  return true;
#endif
}

SumKernels tap_kernels(DType);
PointKernels point_kernels(DType, int64_t channels);
SampleKernels sample_kernels(DType);

extern const Isa kIsa;
const Isa kIsa{ROIPOOL_TEXT(ROIPOOL_ISA),
               runs_here,
               max_kernels,
               scatter_max_kernel,
               tap_kernels,
               point_kernels,
               sample_kernels};

}  // namespace ROIPOOL_ISA
}  // namespace roipool
