// One region's taps as its kernels walk them: those that are taps, with the distance of their
// pixel in memory.
#pragma once

#include "sum_blocks.h"
#include "taps.h"

namespace roipool::ROIPOOL_ISA {

inline const Taps& taps_of(const SumRegions& regions) {
  return *static_cast<const Taps*>(regions.structure);
}

template <class Sum>
struct Tap {
  int64_t at;
  Sum weight;
};

// Blocks whose pooled values are held together, to be weighed or to be added.
template <class Sum>
inline constexpr int64_t kPooledBlocks =
    kLaneGroup > 2 * kLanes<Sum> ? kLaneGroup / kLanes<Sum> : 2;

// Memory that the lists of one region take, and these with its pooled values.
template <class Sum>
int64_t tap_lists_bytes(const ListSizes& most) {
  const int64_t bins = most.down + most.across;
  return whole_lines(most.entries * (int64_t(sizeof(Tap<Sum>)) + 8) + 3 * (bins + 1) * 8);
}

template <class D>
int64_t tap_scratch_bytes(const ListSizes& most) {
  using Sum = typename D::Sum;
  return most.bins() * kPooledBlocks<Sum> * kBlockBytes + tap_lists_bytes<Sum>(most);
}

// The taps of one region along an axis. Where padded, each bin has as many as the largest: what is
// left reads the padding with weight 0, so that a loop's end can be foreseen. Without weights there
// is none.
template <class Sum>
struct TapList {
  Tap<Sum>* taps;
  int64_t *size, *begin;  // of each bin
  int64_t width = 0;      // of the largest

  TapList(Scratch& scratch, const TapAxis& axis, int64_t k, const PixelLine line, bool padded)
      : size(scratch.take<int64_t>(axis.count)), begin(scratch.take<int64_t>(axis.count)) {
    const int32_t *const bins = axis.bins + k * axis.count * 2, *const pixels = axis.pixel;
    const auto* const weights = static_cast<const Sum*>(axis.weight);
    taps = reinterpret_cast<Tap<Sum>*>(scratch.next);
    int64_t count = 0;
    for (int64_t p = 0; p < axis.count; ++p) {
      begin[p] = count;
      for (int64_t s = bins[2 * p]; s < bins[2 * p + 1]; ++s) {
        const int64_t pixel = pixels[s] - line.origin;
        const Sum weight = weights ? weights[s] : 0;
        if (weight != 0 && uint64_t(pixel) < uint64_t(line.length))
          taps[count++] = {pixel * line.pitch, weight};
      }
      size[p] = count - begin[p];
      if (size[p] > width) width = size[p];
    }
    if (padded && axis.count > 1) pad(axis.count, line.length * line.pitch);
    scratch.take<Tap<Sum>>(padded ? axis.count * width : count);
  }

  // Bins are moved apart in place, the last first.
  void pad(int64_t bins, int64_t padding) {
    for (int64_t p = bins; p-- > 0;) {
      Tap<Sum>* const to = taps + p * width;
      for (int64_t i = size[p]; i < width; ++i) to[i] = {padding, 0};
      for (int64_t i = size[p]; i-- > 0;) to[i] = taps[begin[p] + i];
      begin[p] = p * width;
    }
  }

  const Tap<Sum>* bin(int64_t p) const { return taps + begin[p]; }
};

inline constexpr int kReach = 4;  // rows back that are looked through for one that is there

// The rows of pixels of a region, in the order in which bins need them. Taps along y are made to
// tell their row by its number. Bins that are not done together share none.
struct TapRows {
  int64_t *begin, *at;  // of each bin: the first that is its own
  int64_t count = 0;

  template <class List>
  TapRows(Scratch& scratch, List& y, int64_t bins, int64_t together)
      : begin(scratch.take<int64_t>(bins + 1)), at(reinterpret_cast<int64_t*>(scratch.next)) {
    int64_t first = 0;
    for (int64_t p = 0; p < bins; ++p) {
      if (p % together == 0) first = count;
      begin[p] = count;
      auto* const taps = y.taps + y.begin[p];
      for (int64_t i = 0; i < y.size[p]; ++i) {
        int64_t row = count - kReach < first ? first : count - kReach;
        while (row < count && at[row] != taps[i].at) ++row;
        if (row == count) at[count++] = taps[i].at;
        taps[i].at = row;
      }
    }
    begin[bins] = count;
    scratch.take<int64_t>(count);
  }
};

}  // namespace roipool::ROIPOOL_ISA
