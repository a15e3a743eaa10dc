// The largest of each bin's samples, and which it is, of all regions.
#pragma once

#include "compare_samples.h"
#include "store.h"

namespace roipool::ROIPOOL_ISA {

// All blocks of channels of the listed regions. A region's lists are made once for all of them.
template <class D, class Pixels>
struct SampleRegionsReducer {
  using Sum = typename D::Sum;
  using Key = typename D::Key;
  using Bits = typename D::Bits;
  using Samples = SamplesToCompare<D, Pixels::kPadded>;
  static constexpr int n = kLanes<Sum>;
  const Pixels pixels;
  const TapLine y_line, x_line;
  const int channels;
  const TapRegions& regions;
  const TapPooled& pooled;
  int32_t* const winners;
  const int64_t across = regions.x.count < kTile ? regions.x.count : kTile;
  const int64_t down = kTile / across;

  // A tile of bins.
  struct Found {
    Vec<Key> values[2 * kTile], numbers[2 * kTile];
    Writer<D, Key, 2> value_writer;
    Writer<Integer<int32_t>, Key, 2> number_writer;
    explicit Found(bool around_caches)
        : value_writer(around_caches), number_writer(around_caches) {}
  };

  static int64_t most_together(int64_t samples_of_a_bin) {
    return samples_of_a_bin > kSamplesAcross ? samples_of_a_bin : kSamplesAcross;
  }

  static int64_t bytes(int64_t taps, int64_t bins, int64_t taps_across) {
    const int64_t most = most_together(taps_across / 2);
    return (kRows + 1) * most * 2 * kBlockBytes + sample_lists_bytes<Sum>(taps, bins);
  }

  void reduce(void* memory) const {
    const ExactFloats exact;
    Found found(pooled.around_caches);
    const int blocks = (channels + n - 1) / n;
    for (int64_t i = 0; i < regions.count; ++i) {
      const int64_t k = regions.list[i];
      TapScratch<D> scratch{static_cast<char*>(memory)};
      const int64_t pitch = 2 * samples_together(k);
      auto* const sums = scratch.template take<Vec<Sum>>((kRows + 1) * pitch);
      __builtin_memset(sums, 0, std::size_t(pitch) * kBlockBytes);
      const Samples samples(scratch, regions, k, y_line, x_line);
      int block = 0;
      for (; block + 2 <= blocks; block += 2) reduce<2>(samples, k, block, pitch, sums, found);
      if (block < blocks) reduce<1>(samples, k, block, pitch, sums, found);
    }
    found.value_writer.finish();
    found.number_writer.finish();
    if (pooled.around_caches) finish_streaming();
  }

 private:
  // Of those along x the most whose rows are summed together.
  int64_t samples_together(int64_t k) const {
    const int32_t* const bins = regions.x.bins + k * regions.x.count * 2;
    int64_t most = 0, all = 0;
    for (int64_t j = 0; j < regions.x.count; ++j) {
      const int64_t taps = bins[2 * j + 1] - bins[2 * j], size = taps > 0 ? taps / 2 : 0;
      if (size > most) most = size;
      all += size;
    }
    return all < most_together(most) ? all : most_together(most);
  }

  // `sums` begins with a row of nothing.
  template <int Blocks>
  void reduce(const Samples& samples, int64_t k, int block, int64_t pitch, Vec<Sum>* sums,
              Found& found) const {
    const SampleReducer<D, Pixels, Blocks> reducer{
        samples, {pixels.from(block), samples.x, samples.rows.at, sums + pitch, pitch}, sums};
    const int left = channels - block * n, there = left < Blocks * n ? left : Blocks * n;
    const Steps steps{regions.bins(), 1};  // of winners
    const auto write = [&](int64_t lines) {
      found.value_writer.write(lines);
      if (winners) found.number_writer.write(lines);
    };
    for (int64_t y0 = 0; y0 < regions.y.count; y0 += down)
      for (int64_t x0 = 0; x0 < regions.x.count; x0 += across) {
        const int64_t y1 = y0 + down < regions.y.count ? y0 + down : regions.y.count;
        const int64_t x1 = x0 + across < regions.x.count ? x0 + across : regions.x.count;
        const int64_t size = (y1 - y0) * (x1 - x0);
        for (int64_t x = x0, next; x < x1; x = next) {
          next = end_of_those_together(samples.x_axis, x, x1);
          const Largest<Key> largest{found.values + x - x0, found.numbers + x - x0, size};
          reducer.reduce(y0, y1, x, next, x1 - x0, largest, write);
        }
        const auto place = [&](Steps s) {
          return k * pooled.region + block * n * s.channel + (y0 * regions.x.count + x0) * s.bin;
        };
        found.value_writer.take(found.values, size, there, pooled.steps,
                                static_cast<Bits*>(pooled.first) + place(pooled.steps));
        if (winners)
          found.number_writer.take(found.numbers, size, there, steps, winners + place(steps));
      }
  }

  static int64_t end_of_those_together(const SampleAxis& x, int64_t first, int64_t end) {
    int64_t next = first + 1;
    while (next < end && x.first[next + 1] - x.first[first] <= kSamplesAcross) ++next;
    return next;
  }
};

template <class D>
void max_samples(const TapBlock& block, const TapRegions& regions, const TapPooled& pooled,
                 int32_t* winners, void* scratch) {
  using Sum = typename D::Sum;
  const TapLines<Sum> lines(block.box);
  const PackedPixels<D> pixels{static_cast<const Sum*>(block.pixels),
                               tap_pixels(block.box) * kLanes<Sum>};
  SampleRegionsReducer<D, PackedPixels<D>>{pixels,  lines.y, lines.x, block.channels,
                                           regions, pooled,  winners}
      .reduce(scratch);
}

template <class D>
void max_map_samples(const TapMap& map, int channels, const TapRegions& regions,
                     const TapPooled& pooled, int32_t* winners, void* scratch) {
  const MapPixels<D> pixels{static_cast<const typename D::Bits*>(map.first), map.strides.channel,
                            channels};
  const TapLine y{0, map.height, map.strides.row}, x{0, map.width, map.strides.column};
  SampleRegionsReducer<D, MapPixels<D>>{pixels, y, x, channels, regions, pooled, winners}.reduce(
      scratch);
}

}  // namespace roipool::ROIPOOL_ISA
