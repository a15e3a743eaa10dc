// How kernels go through feature maps that regions are read from, or added to, at their taps: in
// pieces of work for all threads. They are in taps_read.cpp and taps_add.cpp.
#pragma once

#include <functional>

#include "tap_plan.h"

namespace roipool {

// Reads a piece's regions: from packed blocks of channels or, where there is no room for one, from
// the caller's map, a block at a time. `channel` is the first of those that it is given.
struct PieceReader {
  std::function<void(const TapBlock&, const TapRegions&, int64_t channel, void* scratch)> packed;
  std::function<void(const TapMap&, int channels, const TapRegions&, int64_t channel,
                     void* scratch)>
      map;
};

// Each thread packs blocks of channels of its own and reads regions from them. `scratch` bytes are
// each thread's too.
void read_pieces(const TapCall&, const TapKernels&, TapPlan, int64_t scratch, const PieceReader&);

// Sums in blocks of channels what falls from regions into their box.
using BlockAdder =
    std::function<void(const TapBlock&, const TapRegions&, int64_t channel, void* scratch)>;

// A task sums a block of channels over a strip of an image, from all regions that reach into it,
// and rounds and writes it.
void add_in_strips(const TapCall&, const TapKernels&, const RegionsByImage&, const TapPlan&,
                   int64_t scratch, const BlockAdder&);

}  // namespace roipool
