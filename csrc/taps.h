// Taps: the structure that has a region as lists of pixels and weights along y and along x, for
// each bin its own; a tap of weight 0 is no tap.
#pragma once

#include "sums.h"

namespace roipool {

// Taps along one axis. Those of region k's bin p are pixel[s] and weight[s] for s from
// bins[2 * (k * count + p)] up to bins[2 * (k * count + p) + 1]; no tap is
// in two bins, and no pixel twice in a bin.
struct TapAxis {
  const int32_t* bins;
  int64_t count;  // bins of a region
  const int32_t* pixel;
  const void* weight;  // of the type of sums
};

struct Taps : Structure {
  TapAxis y, x;
  int64_t bins() const { return y.count * x.count; }
};

}  // namespace roipool
