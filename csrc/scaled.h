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

// Scales, rounded to type Scale, turn rows of In into ends in F.
template <class F, class Scale, class In>
class ScaledRows {
 public:
  ScaledRows(const Rois& rois, const std::vector<MapSizes>& maps) : rois_(rois), maps_(maps) {
    for (const MapSizes& map : maps) images_ += map.images;
  }

  Scaled<F> operator[](int64_t k) const {
    const In* const row = static_cast<const In*>(rois_.start) + k * rois_.row_stride;
    const In index = row[0];
    if (!(index >= 0 && index < In(images_) && index == std::floor(index))) return {};
    const MapSizes* map = maps_.data();
    for (int64_t end = map->images; index >= In(end); end += map->images) ++map;
    const F scale_y = F(Scale(map->scale_y)), scale_x = F(Scale(map->scale_x));
    const auto corner = [&](int column) { return F(row[column * rois_.column_stride]); };
    const Scaled<F> found{int32_t(index),      map,
                          scale_y * corner(2), scale_x * corner(1),
                          scale_y * corner(4), scale_x * corner(3)};
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
