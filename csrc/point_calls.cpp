// Calls of the kernels of points, unpacked.
#include <stdexcept>
#include <string>

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
    const Array &bins = call.input(3), &y = call.input(4), &x = call.input(5);
    if (bins.axes != 4 || bins.shape[0] != regions || bins.shape[1] != down ||
        bins.shape[2] != across || bins.shape[3] != 2)
      throw std::invalid_argument("expected points of each region's bins, (K, h, w, 2)");
    const Array& weighed = weight ? *weight : *call.result(0);
    for (const Array* list : {&y, &x, &weighed})
      if (list->axes != 1 || list->shape[0] != entries_)
        throw std::invalid_argument("expected pixels and weights of as many points");
    points_.bins = whole_numbers(bins);
    points_.count = this->bins();
    points_.y = whole_numbers(y);
    points_.x = whole_numbers(x);
    points_.weight = weights(weight);
  }

  const Structure& structure() const override { return points_; }
  SumKernels kernels(const Isa& isa) const override { return isa.points(dtype, channels); }
  int64_t entries() const override { return entries_; }

  Need need(int64_t k, const Map& map) const override {
    const int32_t* const bins = points_.bins + k * points_.count * 2;
    for (int64_t i = 0; i < 2 * points_.count; ++i)
      if (bins[i] < 0 || bins[i] > entries_)
        throw std::invalid_argument("a bin has points from " + std::to_string(bins[i]) + " of " +
                                    std::to_string(entries_));
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
