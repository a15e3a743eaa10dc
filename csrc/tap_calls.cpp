// Calls of the kernels of taps, unpacked.
#include <algorithm>

#include "tap_call.h"

namespace roipool {
namespace {

struct Reach {
  int64_t begin = INT64_MAX, end = 0, taps = 0, most = 0;
};

template <class Sum>
Reach reach_of(const TapAxis& axis, int64_t k, Cover cover) {
  Reach reach;
  const int32_t* const bins = axis.bins + k * axis.count * 2;
  const auto* const weight = static_cast<const Sum*>(axis.weight);
  const bool all = cover == Cover::all || !weight;
  for (int64_t p = 0; p < axis.count; ++p) {
    reach.most = std::max<int64_t>(reach.most, bins[2 * p + 1] - bins[2 * p]);
    for (int64_t s = bins[2 * p]; s < bins[2 * p + 1]; ++s) {
      ++reach.taps;
      if (!all && weight[s] == 0) continue;
      reach.begin = std::min<int64_t>(reach.begin, axis.pixel[s]);
      reach.end = std::max<int64_t>(reach.end, axis.pixel[s] + 1);
    }
  }
  return reach;
}

TapAxis axis_of(const Call& call, int at, int64_t bins, const Array* weight) {
  return {whole_numbers(call.input(at)), bins, whole_numbers(call.input(at + 1)),
          weight ? weight->start : nullptr};
}

}  // namespace

TapCall::TapCall(const Call& call, const Operand& maps, const Array& pooled, const Array* y_weight,
                 const Array* x_weight, int image, int taps, Cover cover)
    : SumCall(call, maps, pooled, call.input(image)),
      cover_(cover),
      entries_(call.input(taps + 1).shape[0] + call.input(taps + 3).shape[0]),
      taps_{{}, axis_of(call, taps, down, y_weight), axis_of(call, taps + 2, across, x_weight)} {}

Need TapCall::need(int64_t k, const Map& map) const {
  const auto reach = dtype == DType::float64 ? reach_of<double> : reach_of<float>;
  const Reach y = reach(taps_.y, k, cover_), x = reach(taps_.x, k, cover_);
  Box box{std::max<int64_t>(y.begin, 0), std::max<int64_t>(x.begin, 0), std::min(y.end, map.height),
          std::min(x.end, map.width)};
  if (box.y0 >= box.y1 || box.x0 >= box.x1) box = {};
  // Were all bins like the largest: lists are filled up.
  const int64_t entries = y.most * down + x.most * across;
  return {box, double(y.taps) * double(x.taps), {entries, y.most, x.most, down, across}};
}

bool taps_read_call(const Call& call) {
  return read_sums(
      TapCall(call, call.inputs[0], *call.result(0), &call.input(1), &call.input(2), 3, 4));
}

bool taps_add_call(const Call& call) {
  return add_sums(
      TapCall(call, call.results[0], call.input(0), &call.input(1), &call.input(2), 3, 4));
}

bool taps_weigh_y_call(const Call& call) {
  return weigh_sums(TapCall(call, call.inputs[1], call.input(0), nullptr, &call.input(2), 3, 4),
                    call.result(0));
}

bool taps_weigh_x_call(const Call& call) {
  return weigh_sums(TapCall(call, call.inputs[1], call.input(0), &call.input(2), nullptr, 3, 4),
                    nullptr, call.result(0));
}

bool taps_weigh_call(const Call& call) {
  return weigh_sums(TapCall(call, call.inputs[1], call.input(0), &call.input(2), &call.input(3), 4,
                            5, Cover::all),
                    call.result(0), call.result(1));
}

}  // namespace roipool
