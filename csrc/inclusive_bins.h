// The bins of `max_bins` along one axis: geometry/bins.py.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace roipool {

// From a pixel on, in [0, most]. Exact wherever the sum lies there: double holds every length.
template <class F>
int32_t from_pixel(F begin, F offset, int64_t most) {
  return int32_t(std::clamp(double(offset) + double(begin), 0.0, double(most)));
}

// max(end − begin + 1, 1) rounded once: see inclusive_size in geometry/bins.py.
template <class F>
F inclusive_size(F begin, F end) {
  const F near = end - begin;
  const F back = near - end;
  const F lost = (end - (near - back)) - (begin + back);
  const F above = near + lost * 2;
  const F size = lost > 0 && above - near == lost * 2 ? above : near + (lost + 1);
  return size < 1 ? F(1) : size;
}

// [begin(p), end(p)) of bin p.
template <class F>
class InclusiveBins {
 public:
  InclusiveBins(F first, F last, int64_t length, int64_t count)
      : begin_(std::round(first)),
        step_(inclusive_size(begin_, std::round(last)) / F(count)),
        length_(length) {}

  int32_t begin(int64_t p) const { return from_pixel(begin_, std::floor(F(p) * step_), length_); }
  int32_t end(int64_t p) const { return from_pixel(begin_, std::ceil(F(p + 1) * step_), length_); }

 private:
  const F begin_, step_;
  const int64_t length_;
};

}  // namespace roipool
