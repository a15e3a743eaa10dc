// The regions of a call by the image they lie on.
#pragma once

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

// The box that one region's bins cover.
Box covered(const Edges&, int64_t region);

}  // namespace roipool
