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
  static int64_t bytes(int64_t taps, int64_t bins) {
    constexpr int64_t blocks = kTapGroup / kLanes<Sum> > 1 ? kTapGroup / kLanes<Sum> : 1;
    const int64_t lists = taps * int64_t(sizeof(Tap<Sum>)) + 2 * (bins + 1) * 8;
    return bins * blocks * kBlockBytes + (lists + 63) / 64 * 64;
  }

  char* next;
  template <class T>
  T* take(int64_t count) {
    T* const taken = reinterpret_cast<T*>(next);
    next += count * int64_t(sizeof(T));
    return taken;
  }
};

template <class Sum>
struct TapList {
  Tap<Sum>* taps;
  int64_t* begin;  // of each bin, and the end

  int64_t size(int64_t bin) const { return begin[bin + 1] - begin[bin]; }

  // Pixels from `origin` on, up to so many; `pitch` is between two of them.
  void fill(const TapAxis& axis, int64_t k, int64_t origin, int64_t length, int64_t pitch) {
    const auto* const weight = static_cast<const Sum*>(axis.weight);
    const int32_t* const bins = axis.bins + k * axis.count * 2;
    int64_t count = 0;
    for (int64_t p = 0; p < axis.count; ++p) {
      begin[p] = count;
      for (int64_t s = bins[2 * p]; s < bins[2 * p + 1]; ++s) {
        const int64_t pixel = axis.pixel[s] - origin;
        if (weight[s] != 0 && uint64_t(pixel) < uint64_t(length))
          taps[count++] = {pixel * pitch, weight[s]};
      }
    }
    begin[axis.count] = count;
  }
};

inline int64_t taps_of(const TapAxis& axis, int64_t k) {
  int64_t taps = 0;
  const int32_t* const bins = axis.bins + k * axis.count * 2;
  for (int64_t p = 0; p < axis.count; ++p)
    if (bins[2 * p + 1] > bins[2 * p]) taps += bins[2 * p + 1] - bins[2 * p];
  return taps;
}

template <class Sum, class D>
TapList<Sum> make_list(TapScratch<D>& scratch, const TapAxis& axis, int64_t k) {
  int64_t* const begin = scratch.template take<int64_t>(axis.count + 1);
  return {scratch.template take<Tap<Sum>>(taps_of(axis, k)), begin};
}

template <class D>
bool pack_pixels(const void* from, const void* end, Strides strides, int channels, int64_t height,
                 int64_t width, void* to) {
  const ExactFloats exact;
  return pack<D, typename D::Key>(from, end, strides, channels, height, width, to);
}

// From the caller's memory to one vector per bin.
template <class D>
void pack_pooled(const TapPooled& pooled, int64_t k, int channels, int64_t bins, void* to) {
  const auto* const from = static_cast<const typename D::Bits*>(pooled.first) + k * pooled.region;
  const Strides strides{0, pooled.steps.channel, 0, pooled.steps.bin};
  pack<D, typename D::Key>(from, pooled.end, strides, channels, 1, bins, to);
}

}  // namespace roipool::ROIPOOL_ISA
