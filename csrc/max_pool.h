// Max pooling over integer bins: what a call consists of, independent of dtype and instruction
// set. No boxes, scales or rounding: they have been turned into edges.
#pragma once

#include "kernels.h"
#include "maps.h"

namespace roipool {

struct Isa;

// Regions as geometry gives them: image (K,), −1 for a row that is no region; y_bins
// (K, pooled_h, 2) and x_bins (K, pooled_w, 2), ends exclusive, inside the image's map.
struct Edges {
  int64_t count;
  const int32_t* image;
  const int32_t* y_bins;
  const int32_t* x_bins;
  int64_t pooled_h, pooled_w;
  int64_t bins() const { return pooled_h * pooled_w; }
};

// Fills values (K, C, pooled_h, pooled_w), which may lie (K, pooled_h, pooled_w, C) in memory, and,
// unless null, argmax of the same shape, int64 if `wide`.
struct MaxForward {
  DType dtype;
  Maps data;
  Edges edges;
  void* values;
  void* argmax;
  bool wide;
  int threads;
  bool channels_last = false;
};
void max_forward(const Isa&, const MaxForward&);

// Fills grad_data from grad (K, C, bins) and argmax of the same shape; grad, and each array of
// grad_data, is contiguous or lies with channels last in memory. Returns false when an argmax lies
// outside its region's map.
struct MaxBackward {
  DType dtype;
  const void* grad;
  const void* argmax;
  bool wide;
  const int32_t* image;
  int64_t regions, bins;
  Maps grad_data;
  int threads;
  bool grad_channels_last = false;
};
bool max_backward(const Isa&, const MaxBackward&);

// What both directions reckon with.
inline constexpr int64_t kOwnCache = 1 << 20;  // what stays in a core's own cache
inline constexpr int64_t kTasksPerThread = 4;

// How a region's values or gradients lie.
inline Steps steps_of(bool channels_last, int64_t channels, int64_t bins) {
  return channels_last ? Steps{1, channels} : Steps{bins, 1};
}

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace roipool
