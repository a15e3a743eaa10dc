// The taps of `align_samples`: those of a sample are a pair, or where its pixels are samples singly
// two pairs. Pairs are neither merged nor left out, so that their numbers are those of the text.
#include "align_grid.h"

namespace roipool {
namespace {

constexpr int kBeyond = 2;  // BEYOND of geometry/samples.py

struct Samples : TapConvention, AlignOptions {
  bool singly;
  explicit Samples(const Listing& call) : AlignOptions(call), singly(call.options[2] != 0) {}
  template <class F, int kTerms>
  class Bins;
};

// Of a bin's samples the first that is listed, how far it is to the next, and how many are.
template <class F>
struct Listed {
  F first, step, count;
};

template <class F>
Listed<F> listed(const Grid<F>& grid, F first) {
  if (grid.none) return {0, 1, 0};
  if (!grid.adaptive) return {0, 1, grid.samples};
  constexpr F rounding = std::numeric_limits<F>::epsilon();
  const F apart = grid.size / grid.samples;
  const F begin = (-1 - first) / apart, end = (grid.border - first) / apart;
  const F far =
      std::min(std::floor(4 * rounding * std::max(std::abs(begin), std::abs(end))), grid.samples);
  const auto within = [&](F sample) { return std::min(std::max(sample, F(0)), grid.samples); };
  Listed<F> found;
  found.first = within(std::floor(begin) - kBeyond - far);
  const F stop = within(std::ceil(end) + kBeyond + far);
  found.step = std::max((found.first + found.first * (F(0.75) * rounding)) - found.first, F(1));
  found.count = std::max(std::ceil((stop - found.first) / found.step), F(0));
  return found;
}

template <class F, int kTerms>
class Samples::Bins {
 public:
  Bins(const Samples& options, const Side<F>& side) : grid_(options, side), options_(options) {}

  void add(int64_t bin, Taps<F, kTerms>& taps) const {
    const BinSamples<F, kTerms> samples(grid_, bin);
    const Listed<F> all = listed(grid_, samples.first());
    for (int64_t j = 0; F(j) < all.count; ++j) {
      const F sample = all.first + (all.step * F(j) + F(0.5));
      const F position = samples.position(sample);
      Read<F, kTerms> found = samples.read(position, sample);
      if (!(samples.counts(position, sample) && grid_.last_pixel >= 0)) {
        const F slope = 0;
        found.of_low[0] = found.of_high[0] = 0;
        for (int i = 1; i < kTerms; ++i) found.of_low[i] = -slope, found.of_high[i] = slope;
      }
      add(found.low, found.of_low, taps);
      if (options_.singly) add(found.low, nullptr, taps);
      add(found.high, found.of_high, taps);
      if (options_.singly) add(found.low, nullptr, taps);
    }
  }

 private:
  static void add(int64_t pixel, const F* terms, Taps<F, kTerms>& taps) {
    Tap<F, kTerms> tap{int32_t(std::max<int64_t>(pixel, 0)), {}};  // a map may have no pixel
    if (terms) std::copy_n(terms, kTerms, tap.terms);
    taps.add(tap);
  }

  const Grid<F> grid_;
  const Samples& options_;
};

}  // namespace

bool align_samples(const Listing& call) { return find_taps<Samples>(call); }

}  // namespace roipool
