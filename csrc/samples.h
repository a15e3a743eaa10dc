// Samples: what their kernels take beside what those of taps do (taps.h), and the seam to what is
// compiled once per instruction set. Two taps of a bin, the first and the second, the third and the
// fourth, are the pixels of one sample along their axis; a bin has a sample for each along y and
// each along x. Its value is the sum of its taps along x, times their weights, and of these sums
// times weights along y; it is 0 where nothing weighs.
#pragma once

#include "taps.h"

namespace roipool {

// Which of a bin's samples is the largest: its number along y times those along x, plus its number
// along x; −1 where there is none. A channel's bins lie side by side, regions as far apart as their
// pooled values.
using Winners = const int32_t*;

// `scratch` is memory of the thread: max_bytes, add_bytes or, of the others, lists_bytes.
struct SampleKernels {
  // The value of each bin's largest sample, and which it is unless `winners` is null: from packed
  // pixels, of any number of blocks, and from the caller's map, of one.
  void (*max)(const TapBlock&, const TapRegions&, const TapPooled&, int32_t* winners,
              void* scratch);
  void (*max_map)(const TapMap&, int channels, const TapRegions&, const TapPooled&,
                  int32_t* winners, void* scratch);

  // The values of winners, from the caller's map. These return false where an argmax is of no
  // sample of its bin, and take it as −1.
  bool (*read)(const TapMap&, int channels, const TapRegions&, const TapPooled&, Winners,
               void* scratch);

  // As TapKernels::add, at winners' taps.
  bool (*add)(const TapBlock&, const TapRegions&, const TapPooled&, Winners, void* scratch);

  // Of every tap the sum over all channels and the other axis's bins, where it is a winner's; added
  // to what is there.
  bool (*weigh)(const TapMap&, int channels, const TapRegions&, const TapPooled&, Winners,
                const TapSums&, void* scratch);

  int64_t (*lists_bytes)(int64_t taps, int64_t bins);  // of both axes
  int64_t (*add_bytes)(int64_t taps, int64_t down, int64_t across);
  int64_t (*max_bytes)(int64_t taps, int64_t bins, int64_t taps_across);  // of a bin along x
};

}  // namespace roipool
