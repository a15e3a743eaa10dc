// The transpose of reading: each pooled value is added at its taps, with their weights.
#pragma once

#include "store.h"
#include "tap_lists.h"

namespace roipool::ROIPOOL_ISA {

// Adds to so many rows what consecutive bins, whose values are given, have in them: of so many
// blocks of channels, which share the walk through the lists.
template <int Rows, int Blocks, class Sum>
void add_to_rows(const Tap<Sum>* y, const TapList<Sum>& columns, const Sum* value,
                 int64_t value_plane, int64_t bins, Sum* sums, int64_t plane) {
  constexpr int n = kLanes<Sum>;
  const Tap<Sum>* x = columns.taps;
  Sum* row[Rows];
  Vec<Sum> y_weight[Rows];
  repeat<Rows>([&](int r) ROIPOOL_BODY {
    row[r] = sums + y[r].at;
    y_weight[r] = fill(y[r].weight);
  });
  for (int64_t j = 0; j < bins; ++j, value += n)
    for (const Tap<Sum>* const end = x + columns.width; x < end; ++x) {
      const Vec<Sum> weight = fill(x->weight);
      repeat<Blocks>([&](int b) ROIPOOL_BODY {
        const Vec<Sum> part = load(value + b * value_plane) * weight;
        repeat<Rows>([&](int r) ROIPOOL_BODY {
          Sum* const cell = row[r] + b * plane + x->at;
          store(cell, load(cell) + part * y_weight[r]);
        });
      });
    }
}

// One region's values, bin by bin, block behind block.
template <int Blocks, class Sum>
void add_region(const TapList<Sum>& y, const TapList<Sum>& x, const Taps& taps, const Sum* value,
                Sum* sums, int64_t plane) {
  constexpr int n = kLanes<Sum>;
  const int64_t across = taps.x.count, size = taps.bins() * n;
  for (int64_t by = 0; by < taps.y.count; ++by, value += across * n) {
    const Tap<Sum>* tap = y.bin(by);
    int64_t left = y.size[by];
    for (; left > 4; left -= 4, tap += 4)
      add_to_rows<4, Blocks>(tap, x, value, size, across, sums, plane);
    if (left > 0)
      exactly<4>(left, [&](auto rows) {
        add_to_rows<rows, Blocks>(tap, x, value, size, across, sums, plane);
      });
  }
}

template <class D>
void add_taps(const SumBlock& block, const SumRegions& regions, const SumPooled& pooled,
              void* memory) {
  using Sum = typename D::Sum;
  constexpr int n = kLanes<Sum>;
  const ExactFloats exact;
  const Taps& taps = taps_of(regions);
  const Box& box = block.box;
  const PackedLines<Sum> lines(box);
  const int64_t plane = packed_pixels(box) * n, size = taps.bins() * n;
  const int blocks = (block.channels + n - 1) / n;
  __builtin_memset(block.pixels, 0, std::size_t(blocks * plane) * sizeof(Sum));
  for (int64_t next, i = next_inside(regions, 0, box); i < regions.count; i = next) {
    next = next_inside(regions, i + 1, box);
    ask_for_pooled<D>(pooled, regions, next, block.channels);
    const int64_t k = regions.list[i];
    Scratch scratch{static_cast<char*>(memory)};
    Sum* const values = scratch.take<Sum>(2 * size);
    const TapList<Sum> y(scratch, taps.y, k, lines.y, false);
    if (y.width == 0) continue;
    const TapList<Sum> x(scratch, taps.x, k, lines.x, true);
    if (x.width == 0) continue;
    for (int first = 0; first < blocks; first += 2) {
      const int together = blocks - first < 2 ? 1 : 2;
      pack_pooled_blocks<D>(pooled, k, first * n, block.channels, together, taps.bins(), values);
      Sum* const sums = static_cast<Sum*>(block.pixels) + first * plane;
      if (together == 2)
        add_region<2>(y, x, taps, values, sums, plane);
      else
        add_region<1>(y, x, taps, values, sums, plane);
    }
  }
}

}  // namespace roipool::ROIPOOL_ISA
