// Samples at equal distances along one axis, and the two pixels that each reads. The names, and
// each rounding, are those of geometry/align.py.
#pragma once

#include <bit>
#include <limits>

#include "find_taps.h"

namespace roipool {

// Of a convention's options the first two.
struct AlignOptions {
  int64_t sampling_ratio;  // 0 or less: adaptive
  bool aligned;
  explicit AlignOptions(const Listing& call)
      : sampling_ratio(call.options[0]), aligned(call.options[1] != 0) {}
};

// The largest whole number of F that is no larger.
template <class F>
F held(int64_t number) {
  constexpr int digits = std::numeric_limits<F>::digits;
  const int lost =
      std::max(int(std::bit_width(uint64_t(std::max<int64_t>(number, 0)))) - digits, 0);
  return F(number >> lost << lost);
}

// One region along one axis.
template <class F>
struct Grid {
  F begin, size, samples, scale, reach;
  F border, last;      // of the map: the largest of F up to its length, and up to its last pixel
  int64_t last_pixel;  // which F may not hold
  int64_t bins;
  bool adaptive, none;  // none: it has no samples

  Grid(const AlignOptions& options, const Side<F>& side)
      : border(held<F>(side.length)),
        last(held<F>(side.length - 1)),
        last_pixel(side.length - 1),
        bins(side.bins),
        adaptive(options.sampling_ratio <= 0) {
    const F offset = options.aligned ? F(0.5) : F(0);
    begin = side.begin - offset;
    size = (side.end - offset) - begin;
    scale = reach = side.scale;
    if (!options.aligned && size < 1) size = 1, reach = 0;
    size /= F(bins);
    samples = adaptive ? std::ceil(size) : F(options.sampling_ratio);
    none = !(samples > 0);
  }
};

// What a sample reads: two pixels, and the terms of either.
template <class F, int kTerms>
struct Read {
  int64_t low, high;
  F of_low[kTerms], of_high[kTerms];
};

// Of one bin. The number of its first sample is 0.5, that of the next 1.5.
template <class F, int kTerms>
class BinSamples {
 public:
  BinSamples(const Grid<F>& grid, int64_t bin)
      : grid_(grid), part_(F(bin)), bins_(F(grid.bins)), first_(grid.begin + part_ * grid.size) {}

  F first() const { return first_; }
  F position(F sample) const { return first_ + (sample * grid_.size) / grid_.samples; }
  bool counts(F position, F sample) const {
    return position >= -1 && position <= grid_.border && sample < grid_.samples;
  }

  Read<F, kTerms> read(F position, F sample) const {
    const F inside = std::min(std::max(position, F(0)), grid_.last);
    Read<F, kTerms> read;
    read.low = int64_t(inside);
    read.high = std::min(read.low + 1, grid_.last_pixel);
    read.of_high[0] = inside - F(read.low);
    read.of_low[0] = 1 - read.of_high[0];
    if constexpr (kTerms > 1) {
      const bool moves = position >= 0 && position < grid_.last;
      const F t = (part_ + sample / grid_.samples) / bins_;
      read.of_high[1] = moves ? grid_.scale - grid_.reach * t : 0;
      read.of_high[2] = moves ? grid_.reach * t : 0;
      for (int i = 1; i < kTerms; ++i) read.of_low[i] = -read.of_high[i];
    }
    return read;
  }

 private:
  const Grid<F>& grid_;
  const F part_, bins_, first_;
};

}  // namespace roipool
