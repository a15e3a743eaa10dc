// The native twin of geometry.py's max_bins: a small call would spend most of its time in fifty
// array operations. tests/test_geometry.py holds it to that text, bit for bit.
#pragma once

#include <cstdint>

namespace roipool {

// Regions as rows [batch_index, x1, y1, x2, y2], strides in elements, of either float type.
struct Rois {
  const void* start;
  bool is_double;
  int64_t count, row_stride, column_stride;
};

struct MaxBins {
  Rois rois;
  bool in_double;  // F is double, else float
  int64_t images, height, width, bins_y, bins_x;
  double spatial_scale;
  int32_t* image;  // (K,): −1 for a row that is no region
  int32_t* rows;   // (K, bins_y, 2)
  int32_t* cols;   // (K, bins_x, 2)
};

// Fills image, rows and cols; returns whether every row is a region.
bool max_bins(const MaxBins&);

}  // namespace roipool
