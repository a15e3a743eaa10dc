// Taps: what a call of their kernels consists of, and the seam to what is compiled once per
// instruction set. A kernel sees a region as lists of pixels and weights along y and along x, for
// each bin its own; a tap of weight 0 is no tap.
#pragma once

#include "kernels.h"

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

struct TapRegions {
  TapAxis y, x;
  const int64_t* list;
  int64_t count;
  const Box* reach;  // of each of the K: a box that holds all its pixels, empty if it has none
  int64_t bins() const { return y.count * x.count; }
};

// Pixels of a packed box, between two rows and in all: a column and a row of padding, which no
// tap but those that fill up a list reads, stand behind the others.
inline int64_t tap_pitch(const Box& box) { return box.width() + 1; }
inline int64_t tap_pixels(const Box& box) { return tap_pitch(box) * (box.height() + 1); }

// Blocks of channels over a box of an image, packed, one behind the other: sums, or pixels widened
// to their type.
struct TapBlock {
  void* pixels;
  Box box;
  int channels;  // how many lanes are channels; the rest are fill
};

// The caller's map as it lies; `first` is the block's first channel at pixel (0, 0).
struct TapMap {
  const void* first;
  int64_t height, width;
  Strides strides;
};

// Pooled values or gradients, from a block's first channel on.
struct TapPooled {
  void* first;
  const void* end;     // of the array
  Steps steps;         // between channels and between bins
  int64_t region;      // elements between two regions
  bool around_caches;  // too large to be read from a cache afterwards
};

// Where the sums of taps along y and along x go, null where they are not wanted: in a list as long
// as that of all taps, for each group of kTapGroup channels one, `group` elements apart.
struct TapSums {
  void *y, *x;
  int64_t group;
};

// `scratch` is memory of the thread: scratch_bytes(most taps of a region, its bins).
struct TapKernels {
  int lanes;  // channels per block
  int64_t pixel_bytes;

  // As MaxKernels::pack, but to the type of sums, and with the padding, all zero.
  void (*pack)(const void* from, const void* end, Strides, int channels, int64_t height,
               int64_t width, void* to);

  // Both forms of reading a region's bins: from packed pixels, of any number of blocks, and from
  // the caller's map, of one.
  void (*read)(const TapBlock&, const TapRegions&, const TapPooled&, void* scratch);
  void (*read_map)(const TapMap&, int channels, const TapRegions&, const TapPooled&, void* scratch);

  // Sums what falls into the box of any number of blocks, region by region.
  void (*add)(const TapBlock&, const TapRegions&, const TapPooled&, void* scratch);

  // Rounds the sums of a block and puts them where they belong; `first` is the box's first pixel.
  void (*put)(const TapBlock&, void* first, Strides, bool around_caches);

  // From blocks of whole groups of channels: of every tap inside the box the sum over a group's
  // channels and over the other axis's bins.
  void (*weigh)(const TapBlock&, const TapRegions&, const TapPooled&, const TapSums&,
                void* scratch);

  int64_t (*scratch_bytes)(int64_t taps, int64_t bins);
  int64_t (*weigh_bytes)(int64_t taps, int64_t down, int64_t across);  // of scratch
};

// Channels whose products are summed lane by lane, whatever the width of a register.
inline constexpr int kTapGroup = 16;

}  // namespace roipool
