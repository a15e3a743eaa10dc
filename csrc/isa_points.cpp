// Compiled once per instruction set (CMakeLists.txt): the kernels of points.
#include "add_points.h"
#include "put_sums.h"
#include "reach_points.h"
#include "read_points.h"
#include "weigh_points.h"

namespace roipool::ROIPOOL_ISA {

template <class D, int Vectors>
int64_t scratch_bytes(const ListSizes& most) {
  using List = PointList<typename D::Sum, int64_t>;
  return most.bins() * Vectors * kBlockBytes + whole_lines(List::bytes(most.entries, most.bins()));
}

template <class D, int Vectors>
PointKernels point_kernels_of() {
  SumKernels sums = packing_kernels<D, Vectors>();
  sums.read = read_points<D, Vectors>;
  sums.read_map = read_map_points<D>;
  sums.add = add_points<D, Vectors>;
  sums.weigh = PointRegionsWeigher<D, Vectors>::weigh;
  sums.group = kPointGroup;
  sums.scratch_bytes = scratch_bytes<D, Vectors>;
  sums.weigh_bytes = PointRegionsWeigher<D, Vectors>::bytes;
  return {sums, reach_of_points<typename D::Sum>};
}

// Points lie here and there: pixels of several vectors, side by side, take fewer cache lines than
// as many blocks. Where there are no channels for them, they would only take memory.
template <class D>
PointKernels point_kernels_for(int64_t channels) {
  return channels > 2 * kLanes<typename D::Sum> ? point_kernels_of<D, 4>()
                                                : point_kernels_of<D, 1>();
}

PointKernels point_kernels(DType dtype, int64_t channels) {
  switch (dtype) {
    case DType::float16: return point_kernels_for<SumOfFloat16>(channels);
    case DType::bfloat16: return point_kernels_for<SumOfBFloat16>(channels);
    case DType::float64: return point_kernels_for<SumOfFloat64>(channels);
    default: return point_kernels_for<SumOfFloat32>(channels);
  }
}

}  // namespace roipool::ROIPOOL_ISA
