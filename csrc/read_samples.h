// The values of the largest samples, read again: the tangent of their maximum, and the transpose of
// its gradient.
#pragma once

#include "sample_lists.h"

namespace roipool::ROIPOOL_ISA {

// The caller's pixels of one channel. G tells how numbers are widened and rounded.
template <class G>
struct PlanePixels {
  using Sum = typename G::Sum;
  const typename G::Stored* first;

  ROIPOOL_INLINE Sum at(int64_t place) const { return G::widen(first[place]); }

  // What the taps of a sample along one axis read, from a pixel of the other on.
  ROIPOOL_INLINE Sum along(const SampleTaps<Sum>& sample, int64_t place) const {
    Sum sum = 0;
    for (int t = 0; t < sample.size; ++t) sum += at(place + sample.at[t]) * sample.weight[t];
    return sum;
  }

  // A sample's value: along x, then along y. Nearly all samples lie between four pixels.
  ROIPOOL_INLINE Sum value(const SampleTaps<Sum>& y, const SampleTaps<Sum>& x) const {
    Sum sum = 0;
    if (y.size == 2 && x.size == 2) {
      for (int t = 0; t < 2; ++t)
        sum += (at(y.at[t] + x.at[0]) * x.weight[0] + at(y.at[t] + x.at[1]) * x.weight[1]) *
               y.weight[t];
      return sum;
    }
    for (int t = 0; t < y.size && x.size > 0; ++t) sum += along(x, y.at[t]) * y.weight[t];
    return sum;
  }
};

template <class D, class G>
void read_samples(const SumMap& map, int channels, const SumRegions& regions,
                  const SumPooled& pooled, void* memory) {
  using Sum = typename D::Sum;
  using Stored = typename G::Stored;
  const ExactFloats exact;
  const PixelLine y_line{0, map.height, map.strides.row}, x_line{0, map.width, map.strides.column};
  const Samples& samples = samples_of(regions);
  const int64_t down = samples.y.count, across = samples.x.count;
  bool known = true;
  for (int64_t i = 0; i < regions.count; ++i) {
    const int64_t k = regions.list[i];
    Scratch scratch{static_cast<char*>(memory)};
    const SampleList<Sum> y(scratch, samples.y, k, y_line), x(scratch, samples.x, k, x_line);
    for (int64_t c = 0; c < channels; ++c) {
      const PlanePixels<G> pixels{static_cast<const Stored*>(map.first) + c * map.strides.channel};
      auto* const out =
          static_cast<Stored*>(pooled.first) + k * pooled.region + c * pooled.steps.channel;
      for (int64_t bin = 0; bin < down * across; ++bin) out[bin * pooled.steps.bin] = 0;
      known &= each_winner(samples.winners_of(k, pooled) + c * down * across, y, x, down, across,
                           [&](int64_t bin, int64_t at_y, int64_t at_x) ROIPOOL_BODY {
                             const Sum value = pixels.value(y.samples[at_y], x.samples[at_x]);
                             out[bin * pooled.steps.bin] = G::round(value);
                           });
    }
  }
  samples.tell(known);
}

}  // namespace roipool::ROIPOOL_ISA
