// The taps of one bin along one axis, found by walking from sample to sample. The names, and each
// rounding, are those of geometry/taps.py.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "memory.h"

namespace roipool {

// One region along one axis.
template <class F>
struct Grid {
  F begin, size, samples, scale, reach;
  F length, last;      // of the map: the largest of F up to its length, and up to its last pixel
  int64_t last_pixel;  // which F may not hold
  bool some, adaptive, exact;
};

// Its weight and, where there are three terms, the slopes of that for the region's two ends.
template <class F, int kTerms>
struct Tap {
  int32_t pixel;
  F terms[kTerms];
};

template <class F, int kTerms>
class Walk {
 public:
  using Taps = List<Tap<F, kTerms>>;

  Walk(const Grid<F>& grid, int64_t bin, int64_t bins, Taps& taps)
      : grid_(grid),
        part_(F(bin)),
        bins_(F(bins)),
        first_(grid.begin + part_ * grid.size),
        taps_(taps),
        start_(taps.size()) {}

  // Appends the taps that weigh or move.
  void run() {
    if (grid_.exact || !grid_.adaptive)
      from_sample_to_sample();
    else
      from_pixel_to_pixel();
    Tap<F, kTerms>* kept = taps_.begin() + start_;
    for (Tap<F, kTerms>* tap = kept; tap != taps_.end(); ++tap) {
      bool counts = false;
      for (F& term : tap->terms) counts |= (term /= grid_.samples) != 0;
      if (counts) *kept++ = *tap;
    }
    taps_.cut(kept);
  }

 private:
  // Samples of an adaptive grid are at least half a pixel apart: NEAR of geometry/taps.py.
  static constexpr int kNear = 6;

  // What a sample reads: two pixels, and what the terms of either gain.
  struct Read {
    int64_t low, high;
    F of_low[kTerms], of_high[kTerms];
  };

  F position(F sample) const { return first_ + (sample * grid_.size) / grid_.samples; }
  bool counts(F position, F sample) const {
    return position >= -1 && position <= grid_.length && sample < grid_.samples;
  }
  F inside(F position) const { return std::min(std::max(position, F(0)), grid_.last); }

  Read read(F position, F sample) const {
    const F q = inside(position);
    Read read;
    read.low = int64_t(q);
    read.high = std::min(read.low + 1, grid_.last_pixel);
    read.of_high[0] = q - F(read.low);
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

  // Pixels come ascending, but for that a sample's first may be the one before the last.
  void add(int64_t pixel, const F* terms) {
    Tap<F, kTerms>* const end = taps_.end();
    for (int64_t i = 1; i <= std::min<int64_t>(taps_.size() - start_, 2); ++i)
      if (end[-i].pixel == pixel) return add_to(end[-i], terms);
    Tap<F, kTerms> tap{int32_t(pixel), {}};
    add_to(tap, terms);
    taps_.add(tap);
  }
  static void add_to(Tap<F, kTerms>& tap, const F* terms) {
    for (int i = 0; i < kTerms; ++i) tap.terms[i] += terms[i];
  }

  // The sample from which on pixels are read that do not lie before this position.
  F near(F position) const {
    const F sample = std::floor((position - first_) / (grid_.size / grid_.samples) - F(0.5)) - 1;
    return std::min(std::max(sample, F(0)), grid_.samples);
  }

  void from_sample_to_sample() {
    const auto samples = int64_t(grid_.samples);
    for (int64_t j = grid_.adaptive ? int64_t(near(-1)) : 0; j < samples; ++j) {
      const F ordinal = F(j) + F(0.5), sample = grid_.size < 0 ? grid_.samples - ordinal : ordinal;
      const F at = position(sample);
      if (at > grid_.length) break;
      if (!counts(at, sample)) continue;
      const Read found = read(at, sample);
      add(found.low, found.of_low);
      add(found.high, found.of_high);
    }
  }

  // Where positions are rounded to more than a pixel: as the text has it.
  void from_pixel_to_pixel() {
    const int64_t end = read(position(grid_.samples - F(0.5)), 0).high;
    for (int64_t pixel = read(position(F(0.5)), 0).low; pixel <= end; ++pixel) {
      const F from = near(F(pixel) - 1);
      Tap<F, kTerms> tap{int32_t(pixel), {}};
      for (int i = 0; i < kNear; ++i) {
        const F sample = from + (F(i) + F(0.5)), at = position(sample);
        if (!counts(at, sample)) continue;
        const Read found = read(at, sample);
        if (found.low == pixel) add_to(tap, found.of_low);
        if (found.high == pixel) add_to(tap, found.of_high);
      }
      taps_.add(tap);
    }
  }

  const Grid<F>& grid_;
  const F part_, bins_, first_;
  Taps& taps_;
  const int64_t start_;
};

}  // namespace roipool
