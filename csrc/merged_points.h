// Weighted pixels of bins, those that a bin reads again and again once.
#pragma once

#include <vector>

#include "memory.h"

namespace roipool {

// Its weight and, where there are more terms, the slopes of that.
template <int kTerms>
struct Point {
  int32_t y, x;
  double terms[kTerms];
};

// Adds to the points of one bin after the other in a list.
template <int kTerms>
class MergedPoints {
 public:
  explicit MergedPoints(List<Point<kTerms>>& points) : points_(points), slots_(kLeast, -1) {}

  void begin_bin() { begin_ = points_.size(); }

  // The point of a pixel.
  Point<kTerms>& operator()(int64_t y, int64_t x) {
    if ((points_.size() - begin_) * 4 > int64_t(slots_.size())) grow();
    int64_t& slot = slot_of(int32_t(y), int32_t(x));
    if (!is_point(slot)) {
      slot = points_.size();
      points_.add({int32_t(y), int32_t(x), {}});
    }
    return points_.begin()[slot];
  }

  Point<kTerms>* bin() { return points_.begin() + begin_; }
  Point<kTerms>* end() { return points_.end(); }

 private:
  static constexpr int64_t kLeast = 256;

  // Slots tell the places of points, each near where its pixel's hash says. What they tell of bins
  // before is nothing: so none needs to be cleared.
  bool is_point(int64_t slot) const { return slot >= begin_; }

  int64_t& slot_of(int32_t y, int32_t x) {
    // Pixels side by side share a cache line.
    uint64_t at =
        (uint64_t(uint32_t(y)) * 0x9e3779b97f4a7c15 + (uint32_t(x) >> 3)) * 0xd6e8feb86659fd93;
    for (at = at >> 32 << 3 | (x & 7);; at += 8) {
      int64_t& slot = slots_[at & (slots_.size() - 1)];
      if (!is_point(slot)) return slot;
      const Point<kTerms>& point = points_.begin()[slot];
      if (point.y == y && point.x == x) return slot;
    }
  }

  void grow() {
    slots_.assign(slots_.size() * 2, -1);
    for (int64_t i = begin_; i < points_.size(); ++i)
      slot_of(points_.begin()[i].y, points_.begin()[i].x) = i;
  }

  List<Point<kTerms>>& points_;
  std::vector<int64_t> slots_;
  int64_t begin_ = 0;
};

}  // namespace roipool
