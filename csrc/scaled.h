// A region scaled to its map: `scaled` of geometry/regions.py.
#pragma once

#include <cmath>
#include <limits>

#include "geometry.h"

namespace roipool {

template <class F>
struct Scaled {
  int32_t image = -1;  // so where the row is no region
  const MapSizes* map = nullptr;
  F y1 = 0, x1 = 0, y2 = 0, x2 = 0;
};

// The corners of rows [image, x1, y1, x2, y2], before they are scaled.
struct Corners {
  static constexpr int kX1 = 1, kY1 = 2, kX2 = 3, kY2 = 4;
  template <class F>
  static F first(F corner) {
    return corner;
  }
  template <class F>
  static F last(F corner) {
    return corner;
  }
};

// Scales, rounded to type Scale, turn rows of In into ends in F.
template <class F, class Scale, class In, class Corners = roipool::Corners>
class ScaledRows {
 public:
  ScaledRows(const Rois& rois, const std::vector<MapSizes>& maps) : rois_(rois), maps_(maps) {
    for (const MapSizes& map : maps) images_ += map.images;
  }

  In at(int64_t k, int column) const {
    return static_cast<const In*>(rois_.start)[k * rois_.row_stride + column * rois_.column_stride];
  }

  Scaled<F> operator[](int64_t k) const {
    const In index = at(k, 0);
    if (!(index >= 0 && index < In(images_) && index == std::floor(index))) return {};
    const MapSizes* map = maps_.data();
    for (int64_t end = map->images; index >= In(end); end += map->images) ++map;
    const F scale_y = F(Scale(map->scale_y)), scale_x = F(Scale(map->scale_x));
    const Scaled<F> found{int32_t(index),
                          map,
                          scale_y * Corners::first(F(at(k, Corners::kY1))),
                          scale_x * Corners::first(F(at(k, Corners::kX1))),
                          scale_y * Corners::last(F(at(k, Corners::kY2))),
                          scale_x * Corners::last(F(at(k, Corners::kX2)))};
    for (const F end : {found.y1, found.x1, found.y2, found.x2})
      if (!(std::abs(end) <= kLargest)) return {};
    return found;
  }

 private:
  // Beyond it sums of ends could overflow: they count as infinite.
  static constexpr F kLargest = std::numeric_limits<F>::max() / 8;
  const Rois& rois_;
  const std::vector<MapSizes>& maps_;
  int64_t images_ = 0;
};

}  // namespace roipool
