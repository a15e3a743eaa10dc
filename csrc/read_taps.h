// Weighted sums of pixels: along x inside a row, then along y.
#pragma once

#include "store.h"
#include "tap_lists.h"

namespace roipool::ROIPOOL_ISA {

// Pixels as packed.
template <class D>
struct PackedPixels {
  using Sum = typename D::Sum;
  const Sum* first;
  int64_t row, column;
  ROIPOOL_INLINE Vec<Sum> at(int64_t place) const { return load(first + place); }
};

// Pixels as they lie in the caller's map, taken channel by channel.
template <class D>
struct MapPixels {
  using Sum = typename D::Sum;
  using Key = typename D::Key;
  const typename D::Bits* first;
  int64_t row, column, channel;
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
  const int channels;

  // So many rows of a bin at once, each its own sum: their additions do not wait for each other.
  template <int Rows>
  ROIPOOL_INLINE Vec<Sum> add_rows(Vec<Sum> sum, const Tap<Sum>* y, const Tap<Sum>* x,
                                   const Tap<Sum>* x_end) const {
    Vec<Sum> row[Rows];
    for (int r = 0; r < Rows; ++r) row[r] = pixels.at(y[r].at + x->at) * x->weight;
    while (++x < x_end)
      for (int r = 0; r < Rows; ++r) row[r] += pixels.at(y[r].at + x->at) * x->weight;
    for (int r = 0; r < Rows; ++r) sum += row[r] * y[r].weight;
    return sum;
  }

  ROIPOOL_INLINE Vec<Sum> bin(const Tap<Sum>* y, const Tap<Sum>* y_end, const Tap<Sum>* x,
                              const Tap<Sum>* x_end) const {
    Vec<Sum> sum{};
    if (x == x_end) return sum;
    for (; y_end - y >= 4; y += 4) sum = add_rows<4>(sum, y, x, x_end);
    switch (y_end - y) {
      case 3: return add_rows<3>(sum, y, x, x_end);
      case 2: return add_rows<2>(sum, y, x, x_end);
      case 1: return add_rows<1>(sum, y, x, x_end);
    }
    return sum;
  }

  void read(const TapRegions& regions, const Box& box, const TapPooled& pooled,
            void* memory) const {
    const ExactFloats exact;
    Vec<Key> values[kTile];
    Writer<D, Key> writer(pooled.around_caches);
    for (int64_t i = 0; i < regions.count; ++i) {
      const int64_t k = regions.list[i];
      TapScratch<D> scratch{static_cast<char*>(memory)};
      TapList<Sum> y = make_list<Sum>(scratch, regions.y, k);
      TapList<Sum> x = make_list<Sum>(scratch, regions.x, k);
      y.fill(regions.y, k, box.y0, box.height(), pixels.row);
      x.fill(regions.x, k, box.x0, box.width(), pixels.column);
      auto* out = static_cast<typename D::Bits*>(pooled.first) + k * pooled.region;
      int64_t size = 0;
      for (int64_t by = 0; by < regions.y.count; ++by) {
        for (int64_t bx = 0; bx < regions.x.count; ++bx) {
          const Vec<Sum> sum = bin(y.taps + y.begin[by], y.taps + y.begin[by + 1],
                                   x.taps + x.begin[bx], x.taps + x.begin[bx + 1]);
          values[size++] = D::round((Vec<Key>)sum);
          writer.write(1);
          if (size < kTile) continue;
          writer.take(values, size, channels, pooled.steps, out);
          out += size * pooled.steps.bin;
          size = 0;
        }
      }
      if (size > 0) writer.take(values, size, channels, pooled.steps, out);
    }
  }
};

template <class D>
void read_taps(const TapBlock& block, const TapRegions& regions, const TapPooled& pooled,
               void* scratch) {
  constexpr int n = kLanes<typename D::Sum>;
  const auto* const first = static_cast<const typename D::Sum*>(block.pixels);
  const PackedPixels<D> pixels{first, block.box.width() * n, n};
  TapReader<D, PackedPixels<D>>{pixels, block.channels}.read(regions, block.box, pooled, scratch);
  if (pooled.around_caches) finish_streaming();
}

template <class D>
void read_map_taps(const TapMap& map, int channels, const TapRegions& regions,
                   const TapPooled& pooled, void* scratch) {
  const MapPixels<D> pixels{static_cast<const typename D::Bits*>(map.first), map.strides.row,
                            map.strides.column, map.strides.channel, channels};
  const Box whole{0, 0, map.height, map.width};
  TapReader<D, MapPixels<D>>{pixels, channels}.read(regions, whole, pooled, scratch);
  if (pooled.around_caches) finish_streaming();
}

}  // namespace roipool::ROIPOOL_ISA
