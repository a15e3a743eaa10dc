// Samples: the structure that has of each bin some sums of pixels, of which the largest counts. Two
// taps of a bin, the first and the second, the third and the fourth, are the pixels of one sample
// along their axis; a bin has a sample for each along y and each along x. Its value is the sum of
// its taps along x, times their weights, and of these sums times weights along y; it is 0 where
// nothing weighs.
#pragma once

#include "taps.h"

namespace roipool {

// `winners` tell which of a bin's samples is the largest: its number along y times those along x,
// plus its number along x; −1 where there is none. A channel's bins lie side by side, regions as
// far apart as their pooled values. They are null where nobody asks for them.
struct Samples : Taps {
  int32_t* winners;
  bool* unknown;  // made true where a winner is no sample of its bin, and taken as −1

  // Of a region, from the first channel on of some pooled values.
  int32_t* winners_of(int64_t region, const SumPooled& pooled) const {
    return winners + region * pooled.region + pooled.channel * bins();
  }
  void tell(bool known) const {
    if (!known) __atomic_store_n(unknown, true, __ATOMIC_RELAXED);
  }
};

struct SampleKernels {
  SumKernels max;   // reads the value of each bin's largest sample, and finds which it is
  SumKernels read;  // the values of winners
  SumKernels add;   // at winners' taps

  // From the caller's map: of every tap the sum over all channels and the other axis's bins, where
  // it is a winner's, added to what is there.
  void (*weigh)(const SumMap&, int channels, const SumRegions&, const SumPooled&, const Weighed&,
                void* scratch);
  int64_t (*lists_bytes)(const ListSizes&);
};

}  // namespace roipool
