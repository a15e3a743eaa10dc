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
  static constexpr int64_t kBlocks = kTapGroup / kLanes<Sum>;  // weighed together
  static int64_t bytes(int64_t taps, int64_t bins) {
    const int64_t lists = taps * int64_t(sizeof(Tap<Sum>)) + 2 * (bins + 1) * 8;
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

// The taps of one region along an axis. Each bin has room for as many as the largest bin has; what
// is left of it reads the padding with weight 0, so that a loop's end can be foreseen.
template <class Sum>
struct TapList {
  Tap<Sum>* taps;
  int64_t* size;      // of each bin
  int64_t width = 0;  // of the largest

  template <class D>
  TapList(TapScratch<D>& scratch, const TapAxis& axis, int64_t k, const TapLine line)
      : size(scratch.template take<int64_t>(axis.count)) {
    const auto* const weight = static_cast<const Sum*>(axis.weight);
    const int32_t* const bins = axis.bins + k * axis.count * 2;
    const auto is_tap = [&](int64_t s) {
      return weight[s] != 0 && uint64_t(axis.pixel[s] - line.origin) < uint64_t(line.length);
    };
    for (int64_t p = 0; p < axis.count; ++p) {
      size[p] = 0;
      for (int64_t s = bins[2 * p]; s < bins[2 * p + 1]; ++s) size[p] += is_tap(s);
      if (size[p] > width) width = size[p];
    }
    taps = scratch.template take<Tap<Sum>>(axis.count * width);
    Tap<Sum>* tap = taps;
    for (int64_t p = 0; p < axis.count; ++p) {
      for (int64_t s = bins[2 * p]; s < bins[2 * p + 1]; ++s)
        if (is_tap(s)) *tap++ = {(axis.pixel[s] - line.origin) * line.pitch, weight[s]};
      for (int64_t i = size[p]; i < width; ++i) *tap++ = {line.length * line.pitch, 0};
    }
  }

  const Tap<Sum>* bin(int64_t p) const { return taps + p * width; }
};

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

// The same of one region's pooled values.
template <class D>
void pack_pooled(const TapPooled& pooled, int64_t k, int channels, int64_t bins, void* to) {
  const auto* const from = static_cast<const typename D::Bits*>(pooled.first) + k * pooled.region;
  const Strides strides{0, pooled.steps.channel, 0, pooled.steps.bin};
  pack<D, typename D::Key>(from, pooled.end, strides, channels, 1, bins, to);
}

}  // namespace roipool::ROIPOOL_ISA
