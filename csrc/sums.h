// Weighted sums of pixels: what a call of their kernels consists of, and the seam to what is
// compiled once per instruction set. What has which pixels with which weights is a structure's to
// say: taps.h, points.h. Where a weight is 0, nothing is read.
#pragma once

#include "kernels.h"

namespace roipool {

// The lists of a structure, as its own kernels know them.
struct Structure {};

struct SumRegions {
  const Structure* structure;
  const int64_t* list;
  int64_t count;
  const Box* reach;  // of each of the K: a box that holds all its pixels, empty if it has none
  SumRegions part(int64_t first, int64_t size) const {
    return {structure, list + first, size, reach};
  }
};

// Pixels of a packed box, between two rows and in all: a column and a row of padding, which only
// what fills up a list reads, stand behind the others.
inline int64_t packed_pitch(const Box& box) { return box.width() + 1; }
inline int64_t packed_pixels(const Box& box) { return packed_pitch(box) * (box.height() + 1); }

// Blocks of channels over a box of an image, packed, one behind the other: sums, or pixels widened
// to their type.
struct SumBlock {
  void* pixels;
  Box box;
  int channels;  // how many lanes are channels; the rest are fill
};

// The caller's map as it lies; `first` is the block's first channel at pixel (0, 0).
struct SumMap {
  const void* first;
  int64_t height, width;
  Strides strides;
};

// Pooled values or gradients, from a block's first channel on.
struct SumPooled {
  void* first;
  const void* end;     // of the array
  Steps steps;         // between channels and between bins
  int64_t region;      // elements between two regions
  bool around_caches;  // too large to be read from a cache afterwards
  int64_t channel;     // the first one's number
};

// Where go what weights are multiplied by, for one or two lists of weights, null where it is not
// wanted: in lists as long as these, for each group of channels one, `group` elements apart.
struct Weighed {
  void* lists[2];
  int64_t group;
};

// What one region has at most: entries of its lists, which are held at once; of a bin those along
// either axis, where there are lists of both; and bins.
struct ListSizes {
  int64_t entries = 0, most_y = 0, most_x = 0, down = 0, across = 0;
  int64_t bins() const { return down * across; }
};

// `scratch` is memory of the thread: scratch_bytes or weigh_bytes.
struct SumKernels {
  int vector;  // channels of a register
  int lanes;   // channels per block: those of one register, or of some
  int64_t pixel_bytes;

  // As MaxKernels::pack, but to the type of sums, and with the padding, all zero.
  void (*pack)(const void* from, const void* end, Strides, int channels, int64_t height,
               int64_t width, void* to);

  // Rounds the sums of a block and puts them where they belong; `first` is the box's first pixel.
  void (*put)(const SumBlock&, void* first, Strides, bool around_caches);

  // Both forms of reading a region's bins: from packed pixels, of any number of blocks, and from
  // the caller's map, of one.
  void (*read)(const SumBlock&, const SumRegions&, const SumPooled&, void* scratch);
  void (*read_map)(const SumMap&, int channels, const SumRegions&, const SumPooled&, void* scratch);

  // Sums what falls into the box of any number of blocks, region by region.
  void (*add)(const SumBlock&, const SumRegions&, const SumPooled&, void* scratch);

  // Of any number of groups of channels: what each weight whose pixel is in the box is multiplied
  // by, summed over a group's channels.
  void (*weigh)(const SumBlock&, const SumRegions&, const SumPooled&, const Weighed&,
                void* scratch);
  int group;  // channels

  int64_t (*scratch_bytes)(const ListSizes&);
  int64_t (*weigh_bytes)(const ListSizes&);
};

// Channels whose products are summed lane by lane, whatever the width of a register.
inline constexpr int kLaneGroup = 16;

}  // namespace roipool
