// One region's samples along its axes, as their kernels walk them.
#pragma once

#include "half.h"
#include "samples.h"
#include "tap_lists.h"

namespace roipool::ROIPOOL_ISA {

inline const Samples& samples_of(const SumRegions& regions) {
  return *static_cast<const Samples*>(regions.structure);
}

// The samples along an axis of all bins, in order or from the last to the first. Each is to lists
// of taps what a bin is of taps.
struct SampleAxis {
  int64_t* first;  // of each bin, and behind the last
  int64_t count;
  TapAxis taps;

  SampleAxis(Scratch& scratch, const TapAxis& axis, int64_t k, bool reversed = false)
      : first(scratch.take<int64_t>(axis.count + 1)), count(0), taps(axis) {
    const int32_t* const bins = axis.bins + k * axis.count * 2;
    for (int64_t p = 0; p < axis.count; ++p) {
      first[p] = count;
      if (bins[2 * p] < bins[2 * p + 1]) count += (bins[2 * p + 1] - bins[2 * p]) / 2;
    }
    first[axis.count] = count;
    auto* const pairs = scratch.take<int32_t>(2 * count);
    for (int64_t p = 0; p < axis.count; ++p)
      for (int64_t i = 0; i < size(p); ++i) {
        int32_t* const pair = pairs + 2 * (reversed ? count - 1 - first[p] - i : first[p] + i);
        pair[0] = int32_t(bins[2 * p] + 2 * i);
        pair[1] = pair[0] + 2;
      }
    taps.bins = pairs;
    taps.count = count;
  }

  int64_t size(int64_t bin) const { return first[bin + 1] - first[bin]; }
};

// One sample along an axis: those of its two taps that read a pixel.
template <class Sum>
struct SampleTaps {
  int64_t at[2];     // as of Tap
  int64_t place[2];  // in the list of all taps
  Sum weight[2];
  int size;
};

// Of what does not weigh either, where all taps are asked for.
enum class Weighing { some, all };

// All samples of one region along an axis.
template <class Sum>
struct SampleList {
  int64_t* first;  // of each bin, and behind the last
  SampleTaps<Sum>* samples;

  SampleList(Scratch& scratch, const TapAxis& axis, int64_t k, const PixelLine line,
             Weighing weighing = Weighing::some) {
    const SampleAxis all(scratch, axis, k);
    const auto* const weights = static_cast<const Sum*>(axis.weight);
    first = all.first;
    samples = scratch.take<SampleTaps<Sum>>(all.count);
    for (int64_t i = 0; i < all.count; ++i) {
      SampleTaps<Sum>& sample = samples[i];
      sample.size = 0;
      for (int64_t s = all.taps.bins[2 * i]; s < all.taps.bins[2 * i + 1]; ++s) {
        const Sum weight = weights ? weights[s] : 0;
        if (!line.holds(axis.pixel[s])) continue;
        if (weight == 0 && weighing == Weighing::some) continue;
        sample.at[sample.size] = line.at(axis.pixel[s]);
        sample.place[sample.size] = s;
        sample.weight[sample.size++] = weight;
      }
    }
  }

  int64_t size(int64_t bin) const { return first[bin + 1] - first[bin]; }
};

// Memory for the lists of a region along both axes: of samples to compare with their rows, or of
// those to read twice.
template <class Sum>
int64_t sample_lists_bytes(const ListSizes& most) {
  const int64_t taps = most.entries, bins = most.down + most.across;
  const int64_t axes = (bins + 3) * int64_t(sizeof(int64_t)) + taps * int64_t(sizeof(int32_t));
  const int64_t to_compare = taps * int64_t(sizeof(Tap<Sum>) + 3 * sizeof(int64_t));
  const int64_t to_read = taps * int64_t(sizeof(SampleTaps<Sum>));
  return whole_lines(2 * axes + (to_compare > to_read ? to_compare : to_read));
}

// Calls body(bin, sample along y, along x) for each bin of a channel that has a winner. Returns
// whether each other has none.
template <class Sum, class Body>
ROIPOOL_INLINE bool each_winner(const int32_t* winners, const SampleList<Sum>& y,
                                const SampleList<Sum>& x, int64_t down, int64_t across,
                                const Body& body) {
  bool known = true;
  for (int64_t i = 0, bin = 0; i < down; ++i) {
    const int64_t row = y.first[i];
    const uint64_t rows = uint64_t(y.size(i));
    for (int64_t j = 0; j < across; ++j, ++bin) {
      const int32_t number = winners[bin];
      const uint32_t n = uint32_t(x.size(j));
      if (uint64_t(int64_t(number)) < rows * n) {
        // Two are the most usual, and any other number takes a division.
        const uint32_t at_y = n == 2 ? uint32_t(number) / 2 : uint32_t(number) / n;
        body(bin, row + at_y, x.first[j] + (uint32_t(number) - at_y * n));
      } else {
        known &= number == -1;
      }
    }
  }
  return known;
}

}  // namespace roipool::ROIPOOL_ISA
