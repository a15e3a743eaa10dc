// Points: what their kernels take, and the seam to what is compiled once per instruction set. Each
// bin of a region has one list of weighted pixels, where what it reads does not separate into y
// and x; a point of weight 0, or outside the map, reads nothing.
#pragma once

#include "kernels.h"

namespace roipool {

// Those of region k's bin b are s from bins[2 * (k * count + b)] up to
// bins[2 * (k * count + b) + 1], in the order in which they are summed.
struct Points {
  const int32_t* bins;
  int64_t count;  // bins of a region
  const int32_t *y, *x;
  const void* weight;  // of the type of sums
};

// Some channels of a map, and of one region's pooled values.
struct PointOperands {
  void* first;  // the first channel at pixel (0, 0)
  int64_t height, width;
  Strides strides;
  void* pooled;
  Steps steps;
  int64_t channels;
};

// `sums` are planes of the type of sums, a channel each.
struct PointKernels {
  void (*read)(const Points&, int64_t region, const PointOperands&);
  void (*add)(const Points&, int64_t region, const PointOperands&, void* sums);
  void (*put)(const PointOperands&, const void* sums);
  void (*weigh)(const Points&, int64_t region, const PointOperands&, void* weights);
};

}  // namespace roipool
