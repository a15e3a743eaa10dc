// Compiled once per instruction set (CMakeLists.txt): the kernels of taps.
#include "add_taps.h"
#include "put_sums.h"
#include "read_taps.h"
#include "weigh_taps.h"

namespace roipool::ROIPOOL_ISA {

template <class D>
SumKernels tap_kernels_of() {
  SumKernels kernels = packing_kernels<D>();
  kernels.read = read_taps<D>;
  kernels.read_map = read_map_taps<D>;
  kernels.add = add_taps<D>;
  kernels.weigh = weigh_taps<D>;
  kernels.group = kLaneGroup;
  kernels.scratch_bytes = tap_scratch_bytes<D>;
  kernels.weigh_bytes = TapRegionsWeigher<D>::bytes;
  return kernels;
}

SumKernels tap_kernels(DType dtype) {
  switch (dtype) {
    case DType::float16: return tap_kernels_of<SumOfFloat16>();
    case DType::bfloat16: return tap_kernels_of<SumOfBFloat16>();
    case DType::float64: return tap_kernels_of<SumOfFloat64>();
    default: return tap_kernels_of<SumOfFloat32>();
  }
}

}  // namespace roipool::ROIPOOL_ISA
