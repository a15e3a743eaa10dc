// The native twin of geometry/taps.py's align_taps, which says what a tap is and how it moves. Taps
// that do neither weigh nor, where that is asked for, move are left out. tests/test_align_taps.py
// holds it to that text, bit for bit.
#pragma once

#include <functional>

#include "geometry.h"

namespace roipool {

// Memory for the taps of all bins along one axis. Weights and slopes are of the type of sums.
struct TapMemory {
  int32_t* pixel;
  void* weight;
  void* slopes;  // two for each, where asked for
};

struct AlignTaps {
  Rois rois;
  bool in_double;       // F is double, else float
  bool sums_in_double;  // the type of sums is double, else float
  bool slopes;          // whether they are asked for
  std::vector<MapSizes> maps;
  int64_t pooled_h, pooled_w;
  int64_t sampling_ratio;  // 0 or less: adaptive
  bool aligned;
  int32_t* image;   // (K,): −1 for a row that is no region
  int32_t* y_taps;  // (K, pooled_h, 2): where each bin's begin and end among all
  int32_t* x_taps;  // (K, pooled_w, 2)
  std::function<TapMemory(int64_t count)> memory;  // asked for y, then for x
  int threads;
};

// Fills image, y_taps, x_taps and the memory it asks for; returns whether every row is a region.
bool align_taps(const AlignTaps&);

}  // namespace roipool
