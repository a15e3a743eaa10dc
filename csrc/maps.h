// Feature maps as the caller's arrays hold them: arrays of images of one size each, one dtype and
// one number of channels for all. Regions count the images through all arrays.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "kernels.h"

namespace roipool {

// One image.
struct Map {
  char* start;
  int64_t height, width;
  Strides strides;
  const char* end;  // of its array's memory: up to here it may be read
  int64_t plane() const { return height * width; }
  bool channels_last() const { return strides.channel == 1 && plane() > 1; }
  // Channels that can be walked through together: of pixels that follow each other all, else one.
  int64_t beside(int64_t channels) const {
    const bool dense = strides.channel == 1 && strides.column == channels;
    return dense && channels <= kMostBeside ? channels : 1;
  }
};

struct MapArray {
  char* start;
  int64_t images, height, width;
  Strides strides;
  int64_t first = 0;          // its first image, counted through all arrays
  const char* end = nullptr;  // behind the element that lies last in memory
  int64_t plane() const { return height * width; }
};

class Maps {
 public:
  Maps(std::vector<MapArray> arrays, int64_t channels, int64_t itemsize)
      : arrays_(std::move(arrays)), channels_(channels), itemsize_(itemsize) {
    const auto last = [](int64_t count, int64_t stride) {  // whichever way the strides run
      return stride > 0 ? (count - 1) * stride : 0;
    };
    for (MapArray& array : arrays_) {
      const Strides& s = array.strides;
      array.first = images_;
      images_ += array.images;
      if (array.images * array.plane() * channels > 0)
        array.end = array.start + (last(array.images, s.image) + last(channels, s.channel) +
                                   last(array.height, s.row) + last(array.width, s.column) + 1) *
                                      itemsize;
    }
  }
  int64_t images() const { return images_; }
  int64_t channels() const { return channels_; }
  const std::vector<MapArray>& arrays() const { return arrays_; }

  // Of all images together.
  double elements() const {
    double pixels = 0;
    for (const MapArray& array : arrays_) pixels += double(array.images) * double(array.plane());
    return pixels * double(channels_);
  }

  const MapArray& array_of(int64_t image) const {
    if (arrays_.size() == 1) return arrays_[0];
    const auto after = std::upper_bound(arrays_.begin(), arrays_.end(), image,
                                        [](int64_t i, const MapArray& a) { return i < a.first; });
    return *(after - 1);
  }
  Map at(int64_t image) const {
    const MapArray& array = array_of(image);
    const int64_t offset = (image - array.first) * array.strides.image * itemsize_;
    return {array.start + offset, array.height, array.width, array.strides, array.end};
  }

 private:
  std::vector<MapArray> arrays_;
  int64_t channels_, itemsize_, images_ = 0;
};

}  // namespace roipool
