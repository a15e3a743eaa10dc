// The taps of `align_taps`: samples that meet the same pixel are one, found by walking from sample
// to sample.
#include "align_grid.h"

namespace roipool {
namespace {

// Below this, positions are so exact in either type that a walk from sample to sample meets just
// those that the text looks at for each pixel.
constexpr double kExact = 1 << 20;

template <class F, int kTerms>
class Walk {
 public:
  Walk(const Grid<F>& grid, int64_t bin, Taps<F, kTerms>& taps)
      : grid_(grid), samples_(grid, bin), taps_(taps), start_(taps.size()) {}

  // Appends the taps that weigh or move.
  void run(bool exact) {
    if (exact || !grid_.adaptive)
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
  // Samples of an adaptive grid are at least half a pixel apart: NEAR of geometry/align.py.
  static constexpr int kNear = 6;

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
    const F apart = grid_.size / grid_.samples;
    const F sample = std::floor((position - samples_.first()) / apart - F(0.5)) - 1;
    return std::min(std::max(sample, F(0)), grid_.samples);
  }

  void from_sample_to_sample() {
    const auto samples = int64_t(grid_.samples);
    for (int64_t j = grid_.adaptive ? int64_t(near(-1)) : 0; j < samples; ++j) {
      const F ordinal = F(j) + F(0.5), sample = grid_.size < 0 ? grid_.samples - ordinal : ordinal;
      const F at = samples_.position(sample);
      if (at > grid_.border) break;
      if (!samples_.counts(at, sample)) continue;
      const Read<F, kTerms> found = samples_.read(at, sample);
      add(found.low, found.of_low);
      add(found.high, found.of_high);
    }
  }

  // Where positions are rounded to more than a pixel: as the text has it.
  void from_pixel_to_pixel() {
    const int64_t end = read(grid_.samples - F(0.5)).high;
    for (int64_t pixel = read(F(0.5)).low; pixel <= end; ++pixel) {
      const F from = near(F(pixel) - 1);
      Tap<F, kTerms> tap{int32_t(pixel), {}};
      for (int i = 0; i < kNear; ++i) {
        const F sample = from + (F(i) + F(0.5)), at = samples_.position(sample);
        if (!samples_.counts(at, sample)) continue;
        const Read<F, kTerms> found = samples_.read(at, sample);
        if (found.low == pixel) add_to(tap, found.of_low);
        if (found.high == pixel) add_to(tap, found.of_high);
      }
      taps_.add(tap);
    }
  }
  Read<F, kTerms> read(F sample) const { return samples_.read(samples_.position(sample), sample); }

  const Grid<F>& grid_;
  const BinSamples<F, kTerms> samples_;
  Taps<F, kTerms>& taps_;
  const int64_t start_;
};

template <class F, int kTerms>
class AlignBins {
 public:
  AlignBins(const AlignOptions& options, const Side<F>& side)
      : grid_(options, side),
        some_(!grid_.none && side.length > 0),
        exact_(std::abs(double(grid_.begin)) + double(side.bins) * std::abs(double(grid_.size)) +
                   double(side.length) <
               kExact) {}

  void add(int64_t bin, Taps<F, kTerms>& taps) const {
    if (some_) Walk<F, kTerms>(grid_, bin, taps).run(exact_);
  }

 private:
  const Grid<F> grid_;
  const bool some_, exact_;
};

struct Align : TapConvention, AlignOptions {
  using AlignOptions::AlignOptions;
  template <class F, int kTerms>
  using Bins = AlignBins<F, kTerms>;
};

}  // namespace

bool align_taps(const Listing& call) { return find_taps<Align>(call); }

}  // namespace roipool
