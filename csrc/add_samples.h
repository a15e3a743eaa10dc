// The transpose of reading: each pooled value is added at the taps of its bin's largest sample.
#pragma once

#include "sample_lists.h"

namespace roipool::ROIPOOL_ISA {

// One region's pooled values, and the sums of some blocks of channels that they are added to.
template <class D, class G>
struct SampleAdder {
  using Sum = typename D::Sum;
  using Key = typename D::Key;
  static constexpr int n = kLanes<Sum>;
  // Of a bin, that are gone through rather than found for each channel.
  static constexpr int64_t kFewSamples = 2 * n;
  const SampleList<Sum> y, x;
  const int64_t down, across;
  const SumPooled pooled;  // of the region
  const int32_t* const winners;

  bool few() const {
    int64_t most_y = 0, most_x = 0;
    for (int64_t i = 0; i < down; ++i) most_y = y.size(i) > most_y ? y.size(i) : most_y;
    for (int64_t j = 0; j < across; ++j) most_x = x.size(j) > most_x ? x.size(j) : most_x;
    return most_y * most_x <= kFewSamples;
  }

  // Calls add(tap along y, along x) for each pixel of a sample.
  template <class Add>
  static ROIPOOL_INLINE void each_pixel(const SampleTaps<Sum>& sample_y,
                                        const SampleTaps<Sum>& sample_x, const Add& add) {
    if (sample_y.size == 2 && sample_x.size == 2) {  // as nearly always
      add(0, 0), add(1, 0), add(0, 1), add(1, 1);
      return;
    }
    for (int u = 0; u < sample_x.size; ++u)
      for (int t = 0; t < sample_y.size; ++t) add(t, u);
  }

  // A channel's, whose sums are a vector apart.
  bool add_channel(int64_t channel, Sum* sums) const {
    const auto* const values =
        static_cast<const typename G::Stored*>(pooled.first) + channel * pooled.steps.channel;
    return each_winner(winners + channel * down * across, y, x, down, across,
                       [&](int64_t bin, int64_t at_y, int64_t at_x) ROIPOOL_BODY {
                         const SampleTaps<Sum>&of_y = y.samples[at_y], &of_x = x.samples[at_x];
                         const Sum value = G::widen(values[bin * pooled.steps.bin]);
                         each_pixel(of_y, of_x, [&](int t, int u) ROIPOOL_BODY {
                           sums[of_y.at[t] + of_x.at[u]] += value * of_x.weight[u] * of_y.weight[t];
                         });
                       });
  }

  // Of so many blocks: of each bin to all its samples, but 0 where a channel's is another.
  template <int Blocks>
  bool add_blocks(const Vec<Sum>* values, const Vec<Key>* numbers, int channels, Sum* sums,
                  int64_t plane) const {
    const int64_t bins = down * across;
    Vec<Key> unknown[Blocks]{};
    for (int64_t i = 0; i < down; ++i)
      for (int64_t j = 0; j < across; ++j, ++values, ++numbers) {
        // Copies, all of which a sum that is stored could be else.
        Vec<Sum> value[Blocks];
        Vec<Key> number[Blocks];
        repeat<Blocks>([&](int b) ROIPOOL_BODY {
          value[b] = values[b * bins];
          number[b] = numbers[b * bins];
        });
        int64_t count = 0;
        for (int64_t at_y = y.first[i], end_y = y.first[i + 1]; at_y < end_y; ++at_y)
          for (int64_t at_x = x.first[j], end_x = x.first[j + 1]; at_x < end_x; ++at_x, ++count) {
            const SampleTaps<Sum> of_y = y.samples[at_y], of_x = x.samples[at_x];
            const Vec<Key> this_one = fill(Key(count));
            each_pixel(of_y, of_x, [&](int t, int u) ROIPOOL_BODY {
              Sum* const cell = sums + of_y.at[t] + of_x.at[u];
              repeat<Blocks>([&](int b) ROIPOOL_BODY {
                const Vec<Sum> part = value[b] * fill(of_x.weight[u]) * fill(of_y.weight[t]);
                const Vec<Key> added = (Vec<Key>)part & (number[b] == this_one);
                store(cell + b * plane, load(cell + b * plane) + (Vec<Sum>)added);
              });
            });
          }
        repeat<Blocks>([&](int b) ROIPOOL_BODY {
          unknown[b] |= (number[b] < -1) | (number[b] >= fill(Key(count)));
        });
      }
    bool known = true;
    for (int c = 0; c < channels; ++c) known &= unknown[c / n][c % n] == 0;
    return known;
  }

  bool add_in_blocks(int channels, Vec<Sum>* values, Sum* sums, int64_t plane) const {
    const int64_t bins = down * across;
    auto* const numbers = reinterpret_cast<Vec<Key>*>(values + 2 * bins);
    bool known = true;
    for (int c = 0; c < channels; c += 2 * n, sums += 2 * plane) {
      const int there = channels - c < 2 * n ? channels - c : 2 * n;
      for (int b = 0; b * n < there; ++b) pack(c + b * n, there - b * n, b * bins, values, numbers);
      known &= there > n ? add_blocks<2>(values, numbers, there, sums, plane)
                         : add_blocks<1>(values, numbers, there, sums, plane);
    }
    return known;
  }

 private:
  void pack(int channel, int left, int64_t to, Vec<Sum>* values, Vec<Key>* numbers) const {
    const int there = left < n ? left : n;
    const int64_t bins = down * across;
    SumPooled from = pooled;
    from.first = static_cast<typename D::Bits*>(pooled.first) + channel * pooled.steps.channel;
    pack_pooled<D>(from, 0, there, bins, values + to);
    const int32_t* const first = winners + channel * bins;
    Packer<Integer<int32_t>, Key>(first, first + there * bins, {0, bins, 0, 1}, there, 1, bins,
                                  numbers + to)
        .pack();
  }
};

template <class Sum>
int64_t add_samples_bytes(const ListSizes& most) {
  return 4 * most.bins() * kBlockBytes + sample_lists_bytes<Sum>(most);
}

template <class D, class G>
void add_samples(const SumBlock& block, const SumRegions& regions, const SumPooled& pooled,
                 void* memory) {
  using Sum = typename D::Sum;
  constexpr int n = kLanes<Sum>;
  const ExactFloats exact;
  const Samples& samples = samples_of(regions);
  const Box& box = block.box;
  const PackedLines<Sum> lines(box);
  const int64_t plane = packed_pixels(box) * n;
  const int blocks = (block.channels + n - 1) / n;
  Sum* const sums = static_cast<Sum*>(block.pixels);
  __builtin_memset(sums, 0, std::size_t(blocks * plane) * sizeof(Sum));
  bool known = true;
  for (int64_t next, i = next_inside(regions, 0, box); i < regions.count; i = next) {
    next = next_inside(regions, i + 1, box);
    ask_for_pooled<D>(pooled, regions, next, block.channels);
    const int64_t k = regions.list[i];
    Scratch scratch{static_cast<char*>(memory)};
    auto* const values = scratch.take<Vec<Sum>>(4 * samples.bins());
    SumPooled of_region = pooled;
    of_region.first = static_cast<typename D::Bits*>(pooled.first) + k * pooled.region;
    const SampleAdder<D, G> adder{{scratch, samples.y, k, lines.y},
                                  {scratch, samples.x, k, lines.x},
                                  samples.y.count,
                                  samples.x.count,
                                  of_region,
                                  samples.winners_of(k, pooled)};
    if (adder.few())
      known &= adder.add_in_blocks(block.channels, values, sums, plane);
    else
      for (int64_t c = 0; c < block.channels; ++c)
        known &= adder.add_channel(c, sums + c / n * plane + c % n);
  }
  samples.tell(known);
}

}  // namespace roipool::ROIPOOL_ISA
