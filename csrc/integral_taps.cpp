// The taps of `integral_taps`, in the words of geometry/integral.py.
#include "find_taps.h"

namespace roipool {
namespace {

struct Integral : TapConvention {
  explicit Integral(const Listing&) {}
  template <class F, int kTerms>
  class Bins;
};

template <class F, int kTerms>
class Integral::Bins {
 public:
  Bins(const Integral&, const Side<F>& side)
      : side_(side), size_(std::max(side.end - side.begin, F(0)) / F(side.bins)) {}

  void add(int64_t bin, Taps<F, kTerms>& taps) const {
    if (!(size_ > 0)) return;
    const F part = F(bin), begin = side_.begin + part * size_, end = begin + size_;
    const int64_t stop = on_map(std::ceil(double(end)) + 1);
    for (int64_t pixel = on_map(std::floor(double(begin))); pixel < stop; ++pixel) {
      // float does not hold every pixel of a long map.
      const F u = F(double(begin) - double(pixel)), v = F(double(end) - double(pixel));
      Tap<F, kTerms> tap{int32_t(pixel), {}};
      add_half(F(1), u, v, part, tap.terms);
      add_half(F(-1), u, v, part, tap.terms);
      for (F& term : tap.terms) term /= size_;
      if (std::any_of(tap.terms, tap.terms + kTerms, [](F term) { return term != 0; }))
        taps.add(tap);
    }
  }

 private:
  int64_t on_map(double edge) const {
    return int64_t(std::min(std::max(edge, 0.0), double(side_.length)));
  }

  // Of the hat around a pixel the half that rises towards it, or falls, from u to v.
  void add_half(F rise, F u, F v, F part, F* terms) const {
    const F low = std::min(-rise, F(0)), high = std::max(-rise, F(0));
    const F begin = std::min(std::max(u, low), high), end = std::min(std::max(v, low), high);
    const F length = end - begin, middle = (begin + end) / 2;
    terms[0] += length * (1 + rise * middle);
    if constexpr (kTerms > 1) {
      const F t = (part + (middle - u) / size_) / F(side_.bins);
      const F moves = rise * length * side_.scale;
      terms[1] += moves * (1 - t);
      terms[2] += moves * t;
    }
  }

  const Side<F> side_;
  const F size_;
};

}  // namespace

bool integral_taps(const Listing& call) { return find_taps<Integral>(call); }

}  // namespace roipool
