// The taps of `crop_taps`, in the words of geometry/crop.py. A sample on the map always weighs: a
// bin without taps lies beside it.
#include "align_grid.h"

namespace roipool {
namespace {

// Of boxes [image, y1, x1, y2, x2].
struct BoxCorners : Corners {
  static constexpr int kY1 = 1, kX1 = 2, kY2 = 3, kX2 = 4;
};

struct Crop : TapConvention {
  using Corners = BoxCorners;
  bool nearest, tensorflow;
  explicit Crop(const Listing& call)
      : nearest(call.options[0] != 0), tensorflow(call.options[1] != 0) {}
  template <class F, int kTerms>
  class Bins;
};

template <class F, int kTerms>
class Crop::Bins {
 public:
  Bins(const Crop& options, const Side<F>& side)
      : options_(options),
        side_(side),
        last_(held<F>(side.length - 1)),
        step_((side.end - side.begin) * last_ / F(side.bins - 1)) {}

  void add(int64_t bin, Taps<F, kTerms>& taps) const {
    const F at = position(bin);
    if (!(at >= 0 && at <= last_)) return;
    if (options_.nearest) {
      taps.add({int32_t(std::round(at)), {1}});
      return;
    }
    const F low = std::floor(at), share = at - low;
    Tap<F, kTerms> first{int32_t(low), {1 - share}}, next{int32_t(low), {share}};
    if (next.pixel < side_.length - 1) ++next.pixel;
    if constexpr (kTerms > 1) {
      const F t = side_.bins == 1 ? F(0.5) : F(bin) / F(side_.bins - 1);
      const bool moves = at < last_;
      next.terms[1] = moves ? last_ * (1 - t) : 0;
      next.terms[2] = moves ? last_ * t : 0;
      for (int i = 1; i < kTerms; ++i) first.terms[i] = -next.terms[i];
    }
    for (const Tap<F, kTerms>& tap : {first, next})
      if (std::any_of(tap.terms, tap.terms + kTerms, [](F term) { return term != 0; }))
        taps.add(tap);
  }

 private:
  F position(int64_t bin) const {
    if (side_.bins == 1) return (side_.begin + side_.end) * F(0.5) * last_;
    if (bin == side_.bins - 1 && !options_.tensorflow) return side_.end * last_;
    return last_ * side_.begin + F(bin) * step_;
  }

  const Crop& options_;
  const Side<F> side_;
  const F last_, step_;
};

}  // namespace

bool crop_taps(const Listing& call) { return find_taps<Crop>(call); }

}  // namespace roipool
