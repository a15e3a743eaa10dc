// What a region's points take of its map.
#pragma once

#include "point_lists.h"

namespace roipool::ROIPOOL_ISA {

// The box around the points that count, found a vector at a time.
template <class Sum>
class PointReach {
 public:
  PointReach(const Points& points, int64_t height, int64_t width)
      : test_{points, {0, height, 1}, {0, width, 1}} {}

  // Points [s, end). The last vector overlaps the one before.
  void take(int64_t s, int64_t end) {
    if (end - s < n) {
      for (; s < end; ++s)
        if (test_.one(s)) take_one(test_.points.y[s], test_.points.x[s]);
      return;
    }
    for (; s < end; s += n) {
      if (end - s < n) s = end - n;
      take_vector(load<int32_t, n>(test_.points.y + s), load<int32_t, n>(test_.points.x + s),
                  test_.mask(s));
    }
  }

  // Of all that were taken; empty if none counts.
  Box box() {
    for (int i = 0; i < n; ++i)
      if (y0_[i] <= y1_[i]) take_one(y0_[i], x0_[i]), take_one(y1_[i], x1_[i]);
    return box_.y1 ? box_ : Box{};
  }

 private:
  static constexpr int n = kLanes<Sum>;
  using Pixels = Vec<int32_t, n>;

  ROIPOOL_INLINE void take_vector(Pixels y, Pixels x, Pixels counts) {
    const auto least = [&](Pixels a, Pixels b) { return (b < a) & counts ? b : a; };
    const auto most = [&](Pixels a, Pixels b) { return (b > a) & counts ? b : a; };
    y0_ = least(y0_, y), x0_ = least(x0_, x), y1_ = most(y1_, y), x1_ = most(x1_, x);
  }

  void take_one(int64_t y, int64_t x) {
    if (y < box_.y0) box_.y0 = y;
    if (x < box_.x0) box_.x0 = x;
    if (y >= box_.y1) box_.y1 = y + 1;
    if (x >= box_.x1) box_.x1 = x + 1;
  }

  const PointTest<Sum> test_;
  Pixels y0_ = Pixels{} + INT32_MAX, x0_ = y0_, y1_ = Pixels{} - 1, x1_ = y1_;
  Box box_{INT64_MAX, INT64_MAX, 0, 0};
};

template <class Sum>
Box reach_of_points(const Points& points, int64_t k, int64_t height, int64_t width) {
  PointReach<Sum> reach(points, height, width);
  const int32_t* const bins = points.bins + k * points.count * 2;
  int64_t s = 0, end = 0;  // bins that follow each other in the list are as one
  for (int64_t b = 0; b < points.count; ++b) {
    if (bins[2 * b] != end) {
      reach.take(s, end);
      s = end = bins[2 * b];
    }
    if (bins[2 * b + 1] > end) end = bins[2 * b + 1];
  }
  reach.take(s, end);
  return reach.box();
}

}  // namespace roipool::ROIPOOL_ISA
