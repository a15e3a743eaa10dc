// A call of a taps kernel: what it consists of, and how it is cut into pieces of work.
#pragma once

#include <vector>

#include "call.h"
#include "isa.h"
#include "max_pool.h"
#include "memory.h"
#include "plan.h"
#include "taps.h"

namespace roipool {

struct TapPlan;
struct TapPiece;

struct TapCall {
  DType dtype;
  Maps maps;
  const int32_t* image;  // (K,): −1 for a row that is no region
  TapAxis y, x;
  TapPooled pooled;
  int64_t regions, channels;
  int threads;

  int64_t bins() const { return y.count * x.count; }
  TapRegions some(const TapPlan&, const TapPiece&) const;
  // The pooled values from a channel on.
  TapPooled pooled_from(int64_t channel) const;
  // Pooled values of rows that are no regions: 0.
  void set_none(const RegionsByImage&) const;
  // Memory that a call may take: a quarter of the maps and pooled values, or a little.
  int64_t room() const;
};

// The inputs from `image` on are those of kernels.py, with so many between the image and the taps;
// a weight that is the result is left out.
TapCall tap_call(const Call&, const Operand& maps, const Array& pooled, const Array* y_weight,
                 const Array* x_weight, int image, int between = 0);

// Regions of one image that are done together on a box of it.
struct TapPiece {
  int64_t image;
  Box box;
  const int64_t* list;
  int64_t count;
};

// Which pixels a piece must hold: those of all taps of an axis, or of those with a weight.
struct TapCover {
  bool all_y = false, all_x = false;
};

struct TapPlan {
  std::vector<TapPiece> pieces;
  std::vector<Box> reach;  // of each region
  int64_t most_taps = 0;   // of a region along both axes, were all its bins like the largest
  int64_t most_y = 0, most_x = 0;  // of a bin along either axis
  double work = 0;                 // for each block of channels, in reads of a vector
};

// Each image's regions together on what they cover, or each region by itself where they cover
// little.
TapPlan plan_taps(const TapCall&, const RegionsByImage&, TapCover);

// How many threads so much work is worth.
int threads_for(const TapCall&, double work);

// The instruction set whose blocks suit so many channels.
const Isa& isa_for(const TapCall&);

// Blocks of channels, of so many bytes each, that a task holds, so that each region's lists are
// made once for them: as many as stay in a core's own cache, but two where there is room.
int64_t blocks_together(int64_t blocks, int64_t bytes, int64_t room, int threads);

// Packs a block of channels over a box of an image.
void pack_taps(const TapCall&, const TapKernels&, int64_t image, const Box&, int64_t channel,
               void* to);

// Cuts pieces in two as long as there are fewer tasks than threads.
void split_pieces(std::vector<TapPiece>&, int64_t blocks, int threads);

}  // namespace roipool
