// What to pack and what to build before reducing: the cost model.
#pragma once

#include <array>
#include <vector>

#include "max_pool.h"

namespace roipool {

// The regions of each image, in the order given.
class RegionsByImage {
 public:
  RegionsByImage(const int32_t* image, int64_t count, int64_t images);
  const int64_t* list(int64_t image) const { return order_.data() + start_[image]; }
  int64_t count(int64_t image) const { return start_[image + 1] - start_[image]; }
  // Puts those of an image next to each other that read the same pixels of the same level.
  void sort_by_place(int64_t image, const Edges&);
  const std::vector<int64_t>& none() const { return none_; }  // rows that are not regions

 private:
  std::vector<int64_t> start_, order_, none_;
};

// How many vectors are read to reduce bins: at [i][j] those into which windows of side 2^i fit, but
// no wider ones, from windows of side 2^j.
using Reads = std::array<std::array<double, kLevels>, kLevels>;

// How one image's regions are pooled. Work is for each block of channels, in reads of a vector.
struct ImagePlan {
  Box box;                // all that its bins cover
  bool per_image = true;  // packed once for all its regions, or anew for each
  Reads reads{};
  double other_work = 0;
};
ImagePlan plan_image(const Edges&, const int64_t* list, int64_t count);

// Bit i of `kept`: whether windows of side 2^i are kept to reduce from (kernels.h).
struct Levels {
  unsigned kept;
  double work;  // with the plan's other work
};

// What they take for each pixel of a packed box.
int64_t bytes_a_pixel(const MaxKernels&, unsigned kept);

// What kernels to take, which levels to build with them, and who builds them. Blocks of many
// channels take the least time, those of few the least memory: there may be room for more levels,
// and for blocks of each thread.
struct Choice {
  MaxKernels kernels{};
  std::vector<Levels> levels;  // of each image
  int64_t most = 0;            // bytes that a block's levels take
  int threads = 1;
  bool private_blocks = false;  // whether each thread builds blocks of its own
  bool crowded = false;         // whether with more room it could have been another
  double cost = 0;
};
Choice choose(const Isa& best, const MaxForward&, const std::vector<ImagePlan>&, double room);

// The box that one region's bins cover.
Box covered(const Edges&, int64_t region);

}  // namespace roipool
