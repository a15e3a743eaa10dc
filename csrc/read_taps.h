// Weighted sums of pixels: along x inside a row, then along y.
#pragma once

#include "store.h"
#include "tap_lists.h"

namespace roipool::ROIPOOL_ISA {

// Pixels as packed.
template <class D>
struct PackedPixels {
  using Sum = typename D::Sum;
  static constexpr bool kPadded = true;
  const Sum* first;
  ROIPOOL_INLINE Vec<Sum> at(int64_t place) const { return load(first + place); }
};

// Pixels as they lie in the caller's map, taken channel by channel; of padding there is none.
template <class D>
struct MapPixels {
  using Sum = typename D::Sum;
  using Key = typename D::Key;
  static constexpr bool kPadded = false;
  const typename D::Bits* first;
  int64_t channel;
  int channels;
  ROIPOOL_INLINE Vec<Sum> at(int64_t place) const {
    Vec<Key> bits{};
    for (int c = 0; c < channels; ++c) bits[c] = first[place + c * channel];
    return (Vec<Sum>)D::widen(bits);
  }
};

template <class D, class Pixels>
struct TapReader {
  using Sum = typename D::Sum;
  using Key = typename D::Key;
  const Pixels pixels;
  const TapLine y_line, x_line;
  const int channels;

  // Adds to the sums of consecutive bins what they have in so many rows. Each row has a sum of its
  // own: their additions do not wait for each other.
  template <int Rows>
  void add_rows(const Tap<Sum>* y, const TapList<Sum>& columns, int64_t first, int64_t bins,
                Vec<Sum>* sums) const {
    int64_t y_at[Rows];
    Vec<Sum> y_weight[Rows];
    repeat<Rows>([&](int r) ROIPOOL_BODY {
      y_at[r] = y[r].at;
      y_weight[r] = fill(y[r].weight);
    });
    for (int64_t j = 0; j < bins; ++j) {
      const Tap<Sum>* x = columns.bin(first + j);
      const Tap<Sum>* const end = x + (Pixels::kPadded ? columns.width : columns.size[first + j]);
      if (!Pixels::kPadded && x == end) continue;
      Vec<Sum> row[Rows];
      Vec<Sum> weight = fill(x->weight);
      repeat<Rows>([&](int r) ROIPOOL_BODY { row[r] = pixels.at(y_at[r] + x->at) * weight; });
      while (++x < end) {
        weight = fill(x->weight);
        repeat<Rows>([&](int r) ROIPOOL_BODY { row[r] += pixels.at(y_at[r] + x->at) * weight; });
      }
      Vec<Sum> sum = sums[j];
      repeat<Rows>([&](int r) ROIPOOL_BODY { sum += row[r] * y_weight[r]; });
      sums[j] = sum;
    }
  }

  // Bins [first, first + size) of a row of bins.
  void read_bins(const TapList<Sum>& y, const TapList<Sum>& x, int64_t row, int64_t first,
                 int64_t size, Vec<Sum>* sums) const {
    for (int64_t j = 0; j < size; ++j) sums[j] = Vec<Sum>{};
    if (x.width == 0) return;
    const Tap<Sum>* tap = y.bin(row);
    int64_t left = y.size[row];
    for (; left >= 4; left -= 4, tap += 4) add_rows<4>(tap, x, first, size, sums);
    switch (left) {
      case 3: return add_rows<3>(tap, x, first, size, sums);
      case 2: return add_rows<2>(tap, x, first, size, sums);
      case 1: return add_rows<1>(tap, x, first, size, sums);
    }
  }

  void read(const TapRegions& regions, const TapPooled& pooled, void* memory) const {
    const ExactFloats exact;
    const int64_t across = regions.x.count;
    Vec<Sum> sums[kTile];
    Vec<Key> values[kTile];
    Writer<D, Key> writer(pooled.around_caches);
    for (int64_t i = 0; i < regions.count; ++i) {
      const int64_t k = regions.list[i];
      TapScratch<D> scratch{static_cast<char*>(memory)};
      const TapList<Sum> y(scratch, regions.y, k, y_line, false);
      const TapList<Sum> x(scratch, regions.x, k, x_line, Pixels::kPadded);
      auto* out = static_cast<typename D::Bits*>(pooled.first) + k * pooled.region;
      int64_t size = 0, run;
      for (int64_t by = 0; by < regions.y.count; ++by)
        for (int64_t bx = 0; bx < across; bx += run) {
          run = across - bx < kTile - size ? across - bx : kTile - size;
          read_bins(y, x, by, bx, run, sums + size);
          size += run;
          writer.write(run);
          if (size < kTile && (by + 1 < regions.y.count || bx + run < across)) continue;
          for (int64_t b = 0; b < size; ++b) values[b] = D::round((Vec<Key>)sums[b]);
          writer.take(values, size, channels, pooled.steps, out);
          out += size * pooled.steps.bin;
          size = 0;
        }
    }
  }
};

template <class D>
void read_taps(const TapBlock& block, const TapRegions& regions, const TapPooled& pooled,
               void* scratch) {
  using Sum = typename D::Sum;
  const TapLines<Sum> lines(block.box);
  const PackedPixels<D> pixels{static_cast<const Sum*>(block.pixels)};
  TapReader<D, PackedPixels<D>>{pixels, lines.y, lines.x, block.channels}.read(regions, pooled,
                                                                               scratch);
  if (pooled.around_caches) finish_streaming();
}

template <class D>
void read_map_taps(const TapMap& map, int channels, const TapRegions& regions,
                   const TapPooled& pooled, void* scratch) {
  const MapPixels<D> pixels{static_cast<const typename D::Bits*>(map.first), map.strides.channel,
                            channels};
  const TapLine y{0, map.height, map.strides.row}, x{0, map.width, map.strides.column};
  TapReader<D, MapPixels<D>>{pixels, y, x, channels}.read(regions, pooled, scratch);
  if (pooled.around_caches) finish_streaming();
}

}  // namespace roipool::ROIPOOL_ISA
