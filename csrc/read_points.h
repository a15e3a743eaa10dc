// Weighted sums of each bin's points, in the order listed.
#pragma once

#include "point_lists.h"
#include "store.h"

namespace roipool::ROIPOOL_ISA {

// Blocks as packed, one behind the other.
template <class D, int Vectors>
struct PointPixels {
  using Sum = typename D::Sum;
  using At = uint32_t;
  static constexpr int kTogether = Vectors;
  const Sum* first;
  int64_t plane;
  ROIPOOL_INLINE Vec<Sum> at(int64_t at, int vector) const {
    return load(first + at + vector * kLanes<Sum>);
  }
  PointPixels from(int64_t vector) const { return {first + vector / kTogether * plane, plane}; }
};

template <class D>
struct PointMapPixels : MapPixels<D> {
  using At = int64_t;
  static constexpr int kTogether = 1;
};

// All channels of the listed regions. A region's list is made once for all of them, and some
// vectors share the walk through it: each sum waits for the point before.
template <class D, class Pixels>
struct PointReader {
  using Sum = typename D::Sum;
  using Key = typename D::Key;
  using Bits = typename D::Bits;
  using List = PointList<Sum, typename Pixels::At>;
  static constexpr int n = kLanes<Sum>, kTogether = Pixels::kTogether;
  const Pixels pixels;
  const PixelLine y_line, x_line;
  const int channels;
  const SumRegions& regions;
  const SumPooled& pooled;
  const Points& points = points_of(regions);
  struct Sums {
    Vec<Key> bins[kTogether * kTile];
    Writer<D, Key, kTogether> writer;
    explicit Sums(bool around_caches) : writer(around_caches) {}
  };

  template <int Vectors>
  void read(const List& list, int vector, Bits* out, Sums& sums) const {
    constexpr int64_t lines = (Vectors * n * int64_t(sizeof(Bits)) + kLine - 1) / kLine;
    const auto from = pixels.from(vector);
    const int left = channels - vector * n;
    out += vector * n * pooled.steps.channel;
    for (int64_t first = 0; first < points.count; first += kTile) {
      const int64_t size = points.count - first < kTile ? points.count - first : kTile;
      int64_t point = list.begin[first];
      for (int64_t b = 0; b < size; ++b) {
        Vec<Sum> sum[Vectors];
        repeat<Vectors>([&](int v) ROIPOOL_BODY { sum[v] = Vec<Sum>{}; });
        for (const int64_t end = list.begin[first + b + 1]; point < end; ++point) {
          const Vec<Sum> weight = fill(list.weight[point]);
          const int64_t at = list.at[point];
          repeat<Vectors>([&](int v) ROIPOOL_BODY { sum[v] += from.at(at, v) * weight; });
        }
        repeat<Vectors>([&](int v)
                            ROIPOOL_BODY { sums.bins[v * size + b] = D::round((Vec<Key>)sum[v]); });
        sums.writer.write(lines);
      }
      sums.writer.take(sums.bins, size, left < Vectors * n ? left : Vectors * n, pooled.steps, out);
      out += size * pooled.steps.bin;
    }
  }

  void read(void* memory) const {
    const ExactFloats exact;
    Sums sums(pooled.around_caches);
    const int vectors = (channels + n - 1) / n;
    for (int64_t i = 0; i < regions.count; ++i) {
      const int64_t k = regions.list[i];
      Scratch scratch{static_cast<char*>(memory)};
      const List list(scratch, points, k, y_line, x_line);
      auto* const out = static_cast<Bits*>(pooled.first) + k * pooled.region;
      for (int vector = 0; vector < vectors; vector += kTogether)
        exactly<kTogether>(vectors - vector,
                           [&](auto some) { read<some>(list, vector, out, sums); });
    }
    sums.writer.finish();
    if (pooled.around_caches) finish_streaming();
  }
};

template <class D, int Vectors>
void read_points(const SumBlock& block, const SumRegions& regions, const SumPooled& pooled,
                 void* scratch) {
  using Sum = typename D::Sum;
  using Pixels = PointPixels<D, Vectors>;
  const PackedLines<Sum, Vectors> lines(block.box);
  const Pixels pixels{static_cast<const Sum*>(block.pixels), block_size<Sum, Vectors>(block.box)};
  PointReader<D, Pixels>{pixels, lines.y, lines.x, block.channels, regions, pooled}.read(scratch);
}

template <class D>
void read_map_points(const SumMap& map, int channels, const SumRegions& regions,
                     const SumPooled& pooled, void* scratch) {
  const PointMapPixels<D> pixels{
      {static_cast<const typename D::Bits*>(map.first), map.strides.channel, channels}};
  const PixelLine y{0, map.height, map.strides.row}, x{0, map.width, map.strides.column};
  PointReader<D, PointMapPixels<D>>{pixels, y, x, channels, regions, pooled}.read(scratch);
}

}  // namespace roipool::ROIPOOL_ISA
