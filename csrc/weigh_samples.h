// What the weights of largest samples' taps are multiplied by: the derivative by the weights.
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
};

// The samples of one region along an axis: the taps that weigh, and all, those that do not too.
template <class Sum>
struct SamplesToWeigh {
  const SampleList<Sum> weighing, all;

  SamplesToWeigh(Scratch& scratch, const TapAxis& axis, int64_t k, const PixelLine line)
      : weighing(scratch, axis, k, line), all(scratch, axis, k, line, Weighing::all) {}
};

// Along y each tap is multiplied by its row of pixels, summed along x; along x by its column.
template <class G>
struct SampleWeigher {
  using Sum = typename G::Sum;
  const SamplesToWeigh<Sum>&y, &x;
  Sum *const y_sums, *const x_sums;
  const PlanePixels<G> pixels;

  // A pooled value at its sample, which nearly always lies between four pixels.
  ROIPOOL_INLINE void weigh(Sum value, int64_t at_y, int64_t at_x) const {
    const SampleTaps<Sum>&row = y.weighing.samples[at_y], &column = x.weighing.samples[at_x];
    if (row.size == 2 && column.size == 2) return weigh(value, row, column);
    if (y_sums) add(value, y.all.samples[at_y], column, y_sums);
    if (x_sums) add(value, x.all.samples[at_x], row, x_sums);
  }

 private:
  // Each pixel is read once.
  ROIPOOL_INLINE void weigh(Sum value, const SampleTaps<Sum>& row,
                            const SampleTaps<Sum>& column) const {
    Sum found[2][2];
    for (int t = 0; t < 2; ++t)
      for (int u = 0; u < 2; ++u) found[t][u] = pixels.at(row.at[t] + column.at[u]);
    const auto sum = [&](const Sum(&weight)[2], Sum a, Sum b) {
      return value * (a * weight[0] + b * weight[1]);
    };
    const Sum of_y[] = {sum(column.weight, found[0][0], found[0][1]),
                        sum(column.weight, found[1][0], found[1][1])};
    const Sum of_x[] = {sum(row.weight, found[0][0], found[1][0]),
                        sum(row.weight, found[0][1], found[1][1])};
    for (int t = 0; t < 2 && y_sums; ++t) y_sums[row.place[t]] += of_y[t];
    for (int u = 0; u < 2 && x_sums; ++u) x_sums[column.place[u]] += of_x[u];
  }

  ROIPOOL_INLINE void add(Sum value, const SampleTaps<Sum>& sample, const SampleTaps<Sum>& other,
                          Sum* sums) const {
    if (other.size == 0) return;  // nothing times infinity
    for (int t = 0; t < sample.size; ++t)
      sums[sample.place[t]] += value * pixels.along(other, sample.at[t]);
  }
};

template <class D, class G>
void weigh_samples(const SumMap& map, int channels, const SumRegions& regions,
                   const SumPooled& pooled, const Weighed& sums, void* memory) {
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
    const SamplesToWeigh<Sum> y(scratch, samples.y, k, y_line), x(scratch, samples.x, k, x_line);
    for (int64_t c = 0; c < channels; ++c) {
      const auto* const values =
          static_cast<const Stored*>(pooled.first) + k * pooled.region + c * pooled.steps.channel;
      const SampleWeigher<G> weigher{
          y,
          x,
          static_cast<Sum*>(sums.lists[0]),
          static_cast<Sum*>(sums.lists[1]),
          {static_cast<const Stored*>(map.first) + c * map.strides.channel}};
      known &= each_winner(samples.winners_of(k, pooled) + c * down * across, y.all, x.all, down,
                           across, [&](int64_t bin, int64_t at_y, int64_t at_x) ROIPOOL_BODY {
                             weigher.weigh(G::widen(values[bin * pooled.steps.bin]), at_y, at_x);
                           });
    }
  }
  samples.tell(known);
}

}  // namespace roipool::ROIPOOL_ISA
