// A call of a kernel of sums: what it consists of, and how it is cut into pieces of work.
#pragma once

#include <vector>

#include "call.h"
#include "isa.h"
#include "max_pool.h"
#include "memory.h"
#include "plan.h"
#include "sums.h"

namespace roipool {

// What one region takes.
struct Need {
  Box box;           // of its map, that holds all its pixels; empty, if it has none
  double reads = 0;  // of each vector of channels
  ListSizes lists;
};

// A structure says the rest of what its calls consist of.
class SumCall {
 public:
  const DType dtype;
  const int64_t regions, channels, down, across;  // these of bins
  const Maps maps;
  const int32_t* const image;  // (K,): negative for a row that is no region
  const RegionsByImage by_image;
  const SumPooled pooled;
  const int threads;

  virtual ~SumCall() = default;
  virtual const Structure& structure() const = 0;
  virtual SumKernels kernels(const Isa&) const = 0;
  virtual Need need(int64_t region, const Map&) const = 0;
  virtual int64_t entries() const = 0;  // of all lists

  int64_t bins() const { return down * across; }
  int64_t sum_bytes() const { return dtype == DType::float64 ? 8 : 4; }
  // The pooled values from a channel on.
  SumPooled pooled_from(int64_t channel) const;
  // Pooled values of rows that are no regions: 0.
  void set_none() const;
  // Memory that a call may take: a quarter of the maps and pooled values, or a little.
  int64_t room() const;

 protected:
  // Throws std::invalid_argument of features that have no sums.
  SumCall(const Call&, const Operand& maps, const Array& pooled, const Array& image);
};

// Regions of one image that are done together on a box of it.
struct SumPiece {
  int64_t image;
  Box box;
  const int64_t* list;
  int64_t count;
  bool sparse = false;  // so few pixels of the box are read that it is not worth packing
};

struct SumPlan {
  std::vector<SumPiece> pieces;
  std::vector<Box> reach;    // of each region
  std::vector<Box> reached;  // of each image, by all its regions
  ListSizes most;            // of any region
  double work = 0;           // for each vector of channels, in reads of it
  SumRegions regions(const SumCall&, const SumPiece&) const;
};

// Each image's regions together on what they cover, or each region by itself where they cover, or
// read, little.
SumPlan plan_sums(const SumCall&);

// How many threads so much work is worth; or so much for each vector of channels.
int threads_for(const SumCall&, double work);
int threads_for(const SumCall&, const SumKernels&, double work);

// Of the instruction set whose blocks suit so many channels.
SumKernels kernels_for(const SumCall&);

// Blocks of channels, of so many bytes each, that a task holds, so that each region's lists are
// made once for them: as many as stay in a core's own cache, but two where there is room, and no
// fewer tasks than threads share.
int64_t blocks_together(int64_t blocks, int64_t pieces, int64_t bytes, int64_t room, int threads);

// Packs a block of channels over a box of an image.
void pack_block(const SumCall&, const SumKernels&, int64_t image, const Box&, int64_t channel,
                void* to);

// Cuts pieces in two as long as there are fewer tasks than threads.
void split_pieces(std::vector<SumPiece>&, int64_t blocks, int threads);

// The calls, of any structure. Of weighing, one or two lists of weights are the results, null
// where one is not wanted.
bool read_sums(const SumCall&);
bool add_sums(const SumCall&);
bool weigh_sums(const SumCall&, const Array* first, const Array* second = nullptr);

}  // namespace roipool
