// Points: the structure that has each bin of a region as one list of weighted pixels, where what it
// reads does not separate into y and x.
#pragma once

#include "sums.h"

namespace roipool {

// Those of region k's bin b are s from bins[2 * (k * count + b)] up to
// bins[2 * (k * count + b) + 1], in the order in which they are summed; no point is in two bins.
// Those that lie outside the map are none.
struct Points : Structure {
  const int32_t* bins;
  int64_t count;  // bins of a region
  const int32_t *y, *x;
  const void* weight;  // of the type of sums
};

// `reach` is the box around a region's points that count on a map so high and wide: those inside
// that have a weight, or all inside where there are no weights.
struct PointKernels : SumKernels {
  Box (*reach)(const Points&, int64_t region, int64_t height, int64_t width);
};

inline int64_t points_in(const Points& points, int64_t k) {
  const int32_t* const bins = points.bins + k * points.count * 2;
  int64_t count = 0;
  for (int64_t b = 0; b < points.count; ++b)
    if (bins[2 * b] < bins[2 * b + 1]) count += int64_t(bins[2 * b + 1]) - bins[2 * b];
  return count;
}

}  // namespace roipool
