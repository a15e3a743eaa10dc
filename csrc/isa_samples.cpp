// Compiled once per instruction set (CMakeLists.txt): the kernels of samples.
#include "add_samples.h"
#include "put_sums.h"
#include "reduce_samples.h"
#include "weigh_samples.h"

namespace roipool::ROIPOOL_ISA {

template <class D, class G>
SampleKernels sample_kernels_of() {
  using Sum = typename D::Sum;
  SumKernels max = packing_kernels<D>();
  max.scratch_bytes = SampleRegionsReducer<D, PackedPixels<D>, Wanted::largest>::bytes;
  SumKernels read = max, add = max;
  max.read = reduce_samples<D, Wanted::largest>;
  max.read_map = reduce_map_samples<D, Wanted::largest>;
  read.read = reduce_samples<D, Wanted::given>;
  read.read_map = reduce_map_samples<D, Wanted::given>;
  add.add = add_samples<D, G>;
  add.scratch_bytes = add_samples_bytes<Sum>;
  return {max, read, add, weigh_samples<D, G>, sample_lists_bytes<Sum>};
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
