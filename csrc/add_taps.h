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
void add_region(const TapList<Sum>& y, const TapList<Sum>& x, const TapRegions& regions,
                const Sum* value, Sum* sums, int64_t plane) {
  constexpr int n = kLanes<Sum>;
  const int64_t across = regions.x.count, size = regions.bins() * n;
  for (int64_t by = 0; by < regions.y.count; ++by, value += across * n) {
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
void add_taps(const TapBlock& block, const TapRegions& regions, const TapPooled& pooled,
              void* memory) {
  using Sum = typename D::Sum;
  constexpr int n = kLanes<Sum>;
  const ExactFloats exact;
  const Box& box = block.box;
  const TapLines<Sum> lines(box);
  const int64_t plane = tap_pixels(box) * n, size = regions.bins() * n;
  const int blocks = (block.channels + n - 1) / n;
  __builtin_memset(block.pixels, 0, std::size_t(blocks * plane) * sizeof(Sum));
  for (int64_t next, i = next_inside(regions, 0, box); i < regions.count; i = next) {
    next = next_inside(regions, i + 1, box);
    ask_for_pooled<D>(pooled, regions, next, block.channels);
    const int64_t k = regions.list[i];
    TapScratch<D> scratch{static_cast<char*>(memory)};
    Sum* const values = scratch.template take<Sum>(2 * size);
    const TapList<Sum> y(scratch, regions.y, k, lines.y, false);
    if (y.width == 0) continue;
    const TapList<Sum> x(scratch, regions.x, k, lines.x, true);
    if (x.width == 0) continue;
    for (int first = 0; first < blocks; first += 2) {
      const int together = blocks - first < 2 ? 1 : 2;
      for (int b = 0; b < together; ++b) {
        const int left = block.channels - (first + b) * n;
        TapPooled from = pooled;
        from.first =
            static_cast<typename D::Bits*>(pooled.first) + (first + b) * n * pooled.steps.channel;
        pack_pooled<D>(from, k, left < n ? left : n, regions.bins(), values + b * size);
      }
      Sum* const sums = static_cast<Sum*>(block.pixels) + first * plane;
      if (together == 2)
        add_region<2>(y, x, regions, values, sums, plane);
      else
        add_region<1>(y, x, regions, values, sums, plane);
    }
  }
}

template <class D>
void put_sums(const TapBlock& block, void* first, Strides strides, bool around_caches) {
  using Key = typename D::Key;
  constexpr int n = kLanes<Key>;
  const ExactFloats exact;
  const Box& box = block.box;
  Vec<Key> values[kTile];
  Writer<D, Key> writer(around_caches);
  const auto put = [&](int64_t size, int64_t y, int64_t x) {
    writer.take(values, size, block.channels, {strides.channel, strides.column},
                static_cast<typename D::Bits*>(first) + y * strides.row + x * strides.column);
  };
  // Rows that follow each other in memory are one long row.
  const bool joined = strides.row == box.width() * strides.column;
  int64_t size = 0, from_y = 0, from_x = 0;
  for (int64_t y = 0; y < box.height(); ++y) {
    const Key* from = static_cast<const Key*>(block.pixels) + y * tap_pitch(box) * n;
    for (int64_t x = 0; x < box.width(); ++x, from += n) {
      if (size == 0) from_y = y, from_x = x;
      values[size++] = D::round(load(from));
      if (size < kTile && (joined || x + 1 < box.width())) continue;
      put(size, from_y, from_x);
      size = 0;
    }
  }
  if (size > 0) put(size, from_y, from_x);
  writer.finish();
  if (around_caches) finish_streaming();
}

}  // namespace roipool::ROIPOOL_ISA
