// Compiled once per instruction set (CMakeLists.txt): the kernels of samples.
#include "add_samples.h"
#include "max_samples.h"
#include "put_sums.h"
#include "read_samples.h"
#include "weigh_samples.h"

namespace roipool::ROIPOOL_ISA {

template <class D, class G>
SampleKernels sample_kernels_of() {
  using Sum = typename D::Sum;
  SumKernels max = packing_kernels<D>(), add = max;
  max.read = max_samples<D>;
  max.read_map = max_map_samples<D>;
  max.scratch_bytes = SampleRegionsReducer<D, PackedPixels<D>>::bytes;
  add.add = add_samples<D, G>;
  add.scratch_bytes = add_samples_bytes<Sum>;
  return {max, add, read_samples<D, G>, weigh_samples<D, G>, sample_lists_bytes<Sum>};
}

SampleKernels sample_kernels(DType dtype) {
  switch (dtype) {
    case DType::float16: return sample_kernels_of<SumOfFloat16, Half>();
    case DType::bfloat16: return sample_kernels_of<SumOfBFloat16, Brain>();
    case DType::float64: return sample_kernels_of<SumOfFloat64, Plain<double>>();
    default: return sample_kernels_of<SumOfFloat32, Plain<float>>();
  }
}

}  // namespace roipool::ROIPOOL_ISA
