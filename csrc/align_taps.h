// The native twin of geometry/taps.py's align_taps, which says what a tap is: a call with a few
// regions would spend most of its time in hundreds of array operations. Taps of weight 0 are left
// out here. tests/test_align_taps.py holds it to that text, bit for bit.
#pragma once

#include <vector>

#include "geometry.h"

namespace roipool {

// An array of feature maps; a scale is the size of a map over that of its image.
struct MapSizes {
  int64_t images, height, width;
  double scale_y, scale_x;
};

struct AlignTaps {
  Rois rois;
  bool in_double;       // F is double, else float
  bool sums_in_double;  // the type of weights
  std::vector<MapSizes> maps;
  int64_t bins_y, bins_x;
  int64_t sampling_ratio;  // 0 or less: adaptive
  bool aligned;
  int threads;
};

// Along one axis: each bin's begin and end in the lists (K, bins, 2), and the lists.
struct AxisTaps {
  std::vector<int32_t> taps, pixel;
  std::vector<float> weight;
  std::vector<double> wide_weight;  // instead, where sums are in double
};

struct AlignedTaps {
  std::vector<int32_t> image;  // (K,): −1 for a row that is no region
  AxisTaps y, x;
  bool all_regions = true;
};
AlignedTaps align_taps(const AlignTaps&);

}  // namespace roipool
