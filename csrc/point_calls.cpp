// Calls of the kernels of points, unpacked.
#include "points.h"
#include "sum_plan.h"

namespace roipool {
namespace {

class PointCall : public SumCall {
 public:
  // The operands are those of kernels.py, from image on; the weights are left out where they are
  // the result.
  PointCall(const Call& call, const Operand& maps, const Array& pooled, const Array* weight)
      : SumCall(call, maps, pooled, call.input(2)), entries_(call.input(4).shape[0]) {
    points_.bins = whole_numbers(call.input(3));
    points_.count = bins();
    points_.y = whole_numbers(call.input(4));
    points_.x = whole_numbers(call.input(5));
    points_.weight = weight ? weight->start : nullptr;
  }

  const Structure& structure() const override { return points_; }
  SumKernels kernels(const Isa& isa) const override { return isa.points(dtype, channels); }
  int64_t entries() const override { return entries_; }

  Need need(int64_t k, const Map& map) const override {
    const int64_t entries = points_in(points_, k);
    return {looking_.reach(points_, k, map.height, map.width),
            double(entries),
            {entries, 0, 0, down, across}};
  }

 private:
  const PointKernels looking_ = chosen_isa().points(dtype, channels);
  const int64_t entries_;
  Points points_;
};

}  // namespace

bool points_read_call(const Call& call) {
  return read_sums(PointCall(call, call.inputs[0], *call.result(0), &call.input(1)));
}

bool points_add_call(const Call& call) {
  return add_sums(PointCall(call, call.results[0], call.input(0), &call.input(1)));
}

bool points_weigh_call(const Call& call) {
  return weigh_sums(PointCall(call, call.inputs[1], call.input(0), nullptr), call.result(0));
}

}  // namespace roipool
