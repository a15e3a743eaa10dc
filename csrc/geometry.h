// The native twins of geometry/: a small call would spend most of its time in the text's many array
// operations. Here what they take, and bins; tests/test_geometry.py holds these to the text, bit
// for bit. What lists pixels is in conventions.h.
#pragma once

#include <cstdint>
#include <vector>

namespace roipool {

// Regions as rows [batch_index, x1, y1, x2, y2], strides in elements, of either float type.
struct Rois {
  const void* start;
  bool is_double;
  int64_t count, row_stride, column_stride;
};

// An array of feature maps; a scale is the size of a map over that of its image.
struct MapSizes {
  int64_t images, height, width;
  double scale_y, scale_x;
};

struct RegionBins {
  Rois rois;
  bool in_double;  // F is double, else float
  std::vector<MapSizes> maps;
  int64_t pooled_h, pooled_w;
  int32_t* image;   // (K,): −1 for a row that is no region
  int32_t* y_bins;  // (K, pooled_h, 2)
  int32_t* x_bins;  // (K, pooled_w, 2)
};

// Fills image, y_bins and x_bins; returns whether every row is a region.
bool fill_bins(const RegionBins&);

}  // namespace roipool
