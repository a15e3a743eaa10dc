// One region's taps as its kernels walk them: those that are taps, with the distance of their
// pixel in memory; and its pooled values, one vector of channels per bin.
#pragma once

#include "floats.h"
#include "pack.h"
#include "taps.h"

namespace roipool::ROIPOOL_ISA {

template <class Sum>
struct Tap {
  int64_t at;
  Sum weight;
};

// The thread's memory, cut up.
template <class D>
struct TapScratch {
  using Sum = typename D::Sum;
  // Whose values are held together, to be weighed or to be added.
  static constexpr int64_t kBlocks = kTapGroup > 2 * kLanes<Sum> ? kTapGroup / kLanes<Sum> : 2;
  static int64_t bytes(int64_t taps, int64_t bins) {
    const int64_t lists = taps * (int64_t(sizeof(Tap<Sum>)) + 8) + 3 * (bins + 1) * 8;
    return bins * kBlocks * kBlockBytes + (lists + 63) / 64 * 64;
  }

  char* next;
  template <class T>
  T* take(int64_t count) {
    T* const taken = reinterpret_cast<T*>(next);
    next += count * int64_t(sizeof(T));
    return taken;
  }
};

// Pixels along an axis of a box, and the distance of two neighbours in memory. Behind the last is
// the padding: one that is zero where pixels are read, and of no use where they are added to.
struct TapLine {
  int64_t origin, length, pitch;
};

// The taps of one region along an axis. Where padded, each bin has as many as the largest: what is
// left reads the padding with weight 0, so that a loop's end can be foreseen. Without weights there
// is none.
template <class Sum>
struct TapList {
  Tap<Sum>* taps;
  int64_t *size, *begin;  // of each bin
  int64_t width = 0;      // of the largest

  template <class D>
  TapList(TapScratch<D>& scratch, const TapAxis& axis, int64_t k, const TapLine line, bool padded)
      : size(scratch.template take<int64_t>(axis.count)),
        begin(scratch.template take<int64_t>(axis.count)) {
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
    if (padded) pad(axis.count, line.length * line.pitch);
    scratch.template take<Tap<Sum>>(padded ? axis.count * width : count);
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

  template <class D, class List>
  TapRows(TapScratch<D>& scratch, List& y, int64_t bins, int64_t together)
      : begin(scratch.template take<int64_t>(bins + 1)),
        at(reinterpret_cast<int64_t*>(scratch.next)) {
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
    scratch.template take<int64_t>(count);
  }
};

// The first of the regions listed from `i` on that reaches into a box.
inline int64_t next_inside(const TapRegions& regions, int64_t i, const Box& box) {
  for (; i < regions.count; ++i) {
    const Box& reach = regions.reach[regions.list[i]];
    if (reach.y0 < box.y1 && box.y0 < reach.y1 && reach.x0 < box.x1 && box.x0 < reach.x1) break;
  }
  return i;
}

// A packed box, as its kernels walk it.
template <class Sum>
struct TapLines {
  TapLine y, x;
  explicit TapLines(const Box& box)
      : y{box.y0, box.height(), tap_pitch(box) * kLanes<Sum>},
        x{box.x0, box.width(), kLanes<Sum>} {}
};

// From the caller's memory to a vector per pixel.
template <class D>
void pack_pixels(const void* from, const void* end, Strides strides, int channels, int64_t height,
                 int64_t width, void* to) {
  using Bits = typename D::Bits;
  const ExactFloats exact;
  char* row = static_cast<char*>(to);
  const int64_t pixels = width * kBlockBytes;
  for (int64_t y = 0; y < height; ++y, row += pixels + kBlockBytes) {
    pack<D, typename D::Key>(static_cast<const Bits*>(from) + y * strides.row, end, strides,
                             channels, 1, width, row);
    __builtin_memset(row + pixels, 0, kBlockBytes);
  }
  __builtin_memset(row, 0, std::size_t(pixels + kBlockBytes));
}

// The same of one region's pooled values. Its channels lie side by side, each too short for a
// processor to foresee the next: what is asked for lies a kilobyte or two ahead.
inline constexpr int64_t kAhead = 1536;
template <class D>
void pack_pooled(const TapPooled& pooled, int64_t k, int channels, int64_t bins, void* to) {
  const auto* const from = static_cast<const typename D::Bits*>(pooled.first) + k * pooled.region;
  const Strides strides{0, pooled.steps.channel, 0, pooled.steps.bin};
  constexpr int64_t ahead = kAhead / int64_t(sizeof(typename D::Bits));
  Packer<D, typename D::Key, ahead>(from, pooled.end, strides, channels, 1, bins, to).pack();
}

// Asks for the pooled values that are needed next, where they lie side by side: processors foresee
// the rest of a long stretch, but not where the next one begins.
template <class D>
void ask_for_pooled(const TapPooled& pooled, const TapRegions& regions, int64_t i, int channels) {
  if (i >= regions.count || pooled.steps.bin != 1) return;
  constexpr int64_t kLine = 64, kFirst = 24 * kLine, bytes = sizeof(typename D::Bits);
  const char* const from =
      static_cast<const char*>(pooled.first) + regions.list[i] * pooled.region * bytes;
  const int64_t size = channels * pooled.steps.channel * bytes;
  for (int64_t at = 0; at < size && at < kFirst; at += kLine) __builtin_prefetch(from + at);
}

}  // namespace roipool::ROIPOOL_ISA
