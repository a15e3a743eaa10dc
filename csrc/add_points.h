// The transpose of reading: each pooled value is added at its points, with their weights.
#pragma once

#include "point_lists.h"

namespace roipool::ROIPOOL_ISA {

// One region's values, bin by bin, of so many vectors of channels, which share the walk through the
// list.
template <int Vectors, class Sum>
void add_points_of(const PointList<Sum>& list, int64_t bins, const Sum* value, Sum* sums) {
  constexpr int n = kLanes<Sum>;
  int64_t point = 0;
  for (int64_t b = 0; b < bins; ++b, value += n) {
    Vec<Sum> values[Vectors];
    repeat<Vectors>([&](int v) ROIPOOL_BODY { values[v] = load(value + v * bins * n); });
    for (const int64_t end = list.begin[b + 1]; point < end; ++point) {
      const Vec<Sum> weight = fill(list.weight[point]);
      Sum* const pixel = sums + list.at[point];
      repeat<Vectors>([&](int v) ROIPOOL_BODY {
        store(pixel + v * n, load(pixel + v * n) + values[v] * weight);
      });
    }
  }
}

template <class D, int Most>
void add_points(const SumBlock& block, const SumRegions& regions, const SumPooled& pooled,
                void* memory) {
  using Sum = typename D::Sum;
  constexpr int n = kLanes<Sum>;
  const ExactFloats exact;
  const Points& points = points_of(regions);
  const PackedLines<Sum, Most> lines(block.box);
  const int64_t plane = block_size<Sum, Most>(block.box);
  const int vectors = (block.channels + n - 1) / n;
  __builtin_memset(block.pixels, 0, std::size_t((vectors + Most - 1) / Most * plane) * sizeof(Sum));
  for (int64_t next, i = next_inside(regions, 0, block.box); i < regions.count; i = next) {
    next = next_inside(regions, i + 1, block.box);
    ask_for_pooled<D>(pooled, regions, next, block.channels);
    const int64_t k = regions.list[i];
    Scratch scratch{static_cast<char*>(memory)};
    Sum* const values = scratch.take<Sum>(Most * points.count * n);
    const PointList<Sum> list(scratch, points, k, lines.y, lines.x);
    if (list.begin[points.count] == 0) continue;
    Sum* sums = static_cast<Sum*>(block.pixels);
    for (int first = 0; first < vectors; first += Most, sums += plane) {
      const int together = vectors - first < Most ? vectors - first : Most;
      pack_pooled_blocks<D>(pooled, k, first * n, block.channels, together, points.count, values);
      exactly<Most>(together,
                    [&](auto some) { add_points_of<some>(list, points.count, values, sums); });
    }
  }
}

}  // namespace roipool::ROIPOOL_ISA
