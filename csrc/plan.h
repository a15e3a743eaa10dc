// What to pack and what to build before reducing: the cost model.
#pragma once

#include <array>
#include <vector>

#include "regions.h"

namespace roipool {

// How many vectors are read to reduce bins: at [i][j] those into which windows of side 2^i fit, but
// no wider ones, from windows of side 2^j.
using Reads = std::array<std::array<double, kLevels>, kLevels>;

// How one image's regions are pooled. Work is for each block of channels, in reads of a vector.
struct ImagePlan {
  int64_t image = 0;
  Box box;                // all that its bins cover
  bool per_image = true;  // packed once for all its regions, or anew for each
  bool channels_last = false;
  Reads reads{};
  double other_work = 0;
  int64_t alone = 0;                      // pixels of the largest region, if each is packed anew
  int64_t beside = 1;                     // channels that are walked through together in place
  double pixels = 0, rows = 0, bins = 0;  // that are walked through in place: rows of bins
};
ImagePlan plan_image(const Edges&, const int64_t* list, int64_t count, bool channels_last,
                     int64_t beside);

// Bit i of `kept`: whether windows of side 2^i are kept to reduce from (kernels.h).
struct Levels {
  unsigned kept;
  double work;  // with the plan's other work
};

// What they take for each pixel of a packed box.
int64_t bytes_a_pixel(const MaxKernels&, unsigned kept);

// What a choice is made for, beside the plans.
struct Demand {
  int64_t channels;
  bool argmax;
  int threads;
  double room;  // bytes that packed blocks may take together
};

// What kernels to take, which levels to build with them, and who builds them. Blocks of many
// channels take the least time, those of few the least memory: there may be room for more levels,
// and for blocks of each thread.
struct Choice {
  MaxKernels kernels{};
  std::vector<Levels> levels;  // of each image
  int64_t most = 0;            // bytes that a block's levels take
  int threads = 1;
  bool private_blocks = false;  // whether each thread builds blocks of its own, or all share each
  bool crowded = false;         // whether with more room it could have been another
  bool in_place = false;        // whether nothing is packed at all
  double cost = 0;
};

// From kernels that differ in their width alone, widest first.
Choice choose(const std::vector<MaxKernels>& widths, const Demand&, const std::vector<ImagePlan>&);

}  // namespace roipool
