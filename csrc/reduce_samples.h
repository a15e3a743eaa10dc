// The largest of each bin's samples, and which it is, of all regions; or the values of samples
// whose numbers are given: the tangent of the maximum, and the transpose of its gradient.
#pragma once

#include "compare_samples.h"
#include "store.h"

namespace roipool::ROIPOOL_ISA {

// All blocks of channels of the listed regions. A region's lists are made once for all of them.
template <class D, class Pixels, Wanted kWanted>
struct SampleRegionsReducer {
  using Sum = typename D::Sum;
  using Key = typename D::Key;
  using Bits = typename D::Bits;
  using Compared = SamplesToCompare<D, Pixels::kPadded>;
  static constexpr int n = kLanes<Sum>;
  static constexpr bool kFind = kWanted == Wanted::largest;
  const Pixels pixels;
  const PixelLine y_line, x_line;
  const int channels;
  const SumRegions& regions;
  const SumPooled& pooled;
  const Samples& samples = samples_of(regions);
  const int64_t across = samples.x.count < kTile ? samples.x.count : kTile;
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

  static int64_t bytes(const ListSizes& most) {
    const int64_t together = most_together(most.most_x / 2);
    return (kRows + 1) * together * 2 * kBlockBytes + sample_lists_bytes<Sum>(most);
  }

  void reduce(void* memory) const {
    const ExactFloats exact;
    Found found(pooled.around_caches);
    const int blocks = (channels + n - 1) / n;
    for (int64_t i = 0; i < regions.count; ++i) {
      const int64_t k = regions.list[i];
      Scratch scratch{static_cast<char*>(memory)};
      const int64_t pitch = 2 * samples_together(k);
      auto* const sums = scratch.take<Vec<Sum>>((kRows + 1) * pitch);
      __builtin_memset(sums, 0, std::size_t(pitch) * kBlockBytes);
      const Compared compared(scratch, samples, k, y_line, x_line);
      int block = 0;
      for (; block + 2 <= blocks; block += 2) reduce<2>(compared, k, block, pitch, sums, found);
      if (block < blocks) reduce<1>(compared, k, block, pitch, sums, found);
    }
    found.value_writer.finish();
    found.number_writer.finish();
    if (pooled.around_caches) finish_streaming();
  }

 private:
  // Of those along x the most whose rows are summed together.
  int64_t samples_together(int64_t k) const {
    const int32_t* const bins = samples.x.bins + k * samples.x.count * 2;
    int64_t most = 0, all = 0;
    for (int64_t j = 0; j < samples.x.count; ++j) {
      const int64_t taps = bins[2 * j + 1] - bins[2 * j], size = taps > 0 ? taps / 2 : 0;
      if (size > most) most = size;
      all += size;
    }
    return all < most_together(most) ? all : most_together(most);
  }

  // `sums` begins with a row of nothing.
  template <int Blocks>
  void reduce(const Compared& compared, int64_t k, int block, int64_t pitch, Vec<Sum>* sums,
              Found& found) const {
    const SampleReducer<D, Pixels, kWanted, Blocks> reducer{
        compared,
        {pixels.from(block), compared.x, compared.rows.at, sums + pitch, pitch},
        sums,
        samples.winners != nullptr};
    const int left = channels - block * n, there = left < Blocks * n ? left : Blocks * n;
    auto* const out = static_cast<Bits*>(pooled.first) + k * pooled.region;
    const Steps steps{samples.bins(), 1};  // of winners
    int32_t* const winners = samples.winners ? samples.winners_of(k, pooled) : nullptr;
    const auto write = [&](int64_t lines) {
      found.value_writer.write(lines);
      if (kFind && winners) found.number_writer.write(lines);
    };
    for (int64_t y0 = 0; y0 < samples.y.count; y0 += down)
      for (int64_t x0 = 0; x0 < samples.x.count; x0 += across) {
        const int64_t y1 = y0 + down < samples.y.count ? y0 + down : samples.y.count;
        const int64_t x1 = x0 + across < samples.x.count ? x0 + across : samples.x.count;
        const int64_t size = (y1 - y0) * (x1 - x0);
        const auto place = [&](Steps s) {
          return block * n * s.channel + (y0 * samples.x.count + x0) * s.bin;
        };
        if constexpr (!kFind) {
          pack_numbers(winners + place(steps), there, size, found.numbers);
          samples.tell(all_known(compared, y0, y1, x0, x1, there, found.numbers));
        }
        for (int64_t x = x0, next; x < x1; x = next) {
          next = end_of_those_together(compared.x_axis, x, x1);
          const Largest<Key> largest{found.values + x - x0, found.numbers + x - x0, size};
          reducer.reduce(y0, y1, x, next, x1 - x0, largest, write);
        }
        found.value_writer.take(found.values, size, there, pooled.steps, out + place(pooled.steps));
        if (kFind && winners)
          found.number_writer.take(found.numbers, size, there, steps, winners + place(steps));
      }
  }

  void pack_numbers(const int32_t* from, int there, int64_t size, Vec<Key>* numbers) const {
    const int64_t bins = samples.bins();
    const int32_t* const end = from + (there - 1) * bins + size;
    for (int left = there; left > 0; left -= n, from += n * bins, numbers += size)
      Packer<Integer<int32_t>, Key>(from, end, {0, bins, 0, 1}, left < n ? left : n, 1, size,
                                    numbers)
          .pack();
  }

  // Whether each number of a tile is that of a sample, or −1.
  static bool all_known(const Compared& compared, int64_t y0, int64_t y1, int64_t x0, int64_t x1,
                        int there, const Vec<Key>* numbers) {
    bool known = true;
    for (int left = there; left > 0; left -= n) {
      Vec<Key> unknown{};
      for (int64_t y = y0; y < y1; ++y)
        for (int64_t x = x0; x < x1; ++x, ++numbers) {
          const Key count = Key(compared.y_axis.size(y) * compared.x_axis.size(x));
          unknown |= (*numbers < -1) | (*numbers >= fill(count));
        }
      for (int c = 0; c < n && c < left; ++c) known &= unknown[c] == 0;
    }
    return known;
  }

  static int64_t end_of_those_together(const SampleAxis& x, int64_t first, int64_t end) {
    int64_t next = first + 1;
    while (next < end && x.first[next + 1] - x.first[first] <= kSamplesAcross) ++next;
    return next;
  }
};

template <class D, Wanted kWanted>
void reduce_samples(const SumBlock& block, const SumRegions& regions, const SumPooled& pooled,
                    void* scratch) {
  using Sum = typename D::Sum;
  const PackedLines<Sum> lines(block.box);
  const PackedPixels<D> pixels{static_cast<const Sum*>(block.pixels),
                               packed_pixels(block.box) * kLanes<Sum>};
  SampleRegionsReducer<D, PackedPixels<D>, kWanted>{pixels,         lines.y, lines.x,
                                                    block.channels, regions, pooled}
      .reduce(scratch);
}

template <class D, Wanted kWanted>
void reduce_map_samples(const SumMap& map, int channels, const SumRegions& regions,
                        const SumPooled& pooled, void* scratch) {
  const MapPixels<D> pixels{static_cast<const typename D::Bits*>(map.first), map.strides.channel,
                            channels};
  const PixelLine y{0, map.height, map.strides.row}, x{0, map.width, map.strides.column};
  SampleRegionsReducer<D, MapPixels<D>, kWanted>{pixels, y, x, channels, regions, pooled}.reduce(
      scratch);
}

}  // namespace roipool::ROIPOOL_ISA
