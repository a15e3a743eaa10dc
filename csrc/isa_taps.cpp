// Compiled once per instruction set (CMakeLists.txt): the kernels of taps.
#include "add_taps.h"
#include "read_taps.h"
#include "weigh_taps.h"

namespace roipool::ROIPOOL_ISA {

template <class D>
TapKernels tap_kernels_of() {
  using Sum = typename D::Sum;
  return {
      kLanes<Sum>, kBlockBytes, pack_pixels<D>, read_taps<D>,         read_map_taps<D>,
      add_taps<D>, put_sums<D>, weigh_taps<D>,  TapScratch<D>::bytes, TapRegionsWeigher<D>::bytes};
}

TapKernels tap_kernels(DType dtype) {
  switch (dtype) {
    case DType::float16: return tap_kernels_of<SumOfFloat16>();
    case DType::bfloat16: return tap_kernels_of<SumOfBFloat16>();
    case DType::float64: return tap_kernels_of<SumOfFloat64>();
    default: return tap_kernels_of<SumOfFloat32>();
  }
}

}  // namespace roipool::ROIPOOL_ISA
