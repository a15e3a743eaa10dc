// The transpose of reading: each pooled value is added at its taps, with their weights.
#pragma once

#include "store.h"
#include "tap_lists.h"

namespace roipool::ROIPOOL_ISA {

// Adds to so many rows what consecutive bins, whose values are given, have in them.
template <int Rows, class Sum>
void add_to_rows(const Tap<Sum>* y, const TapList<Sum>& columns, const Sum* value, int64_t bins,
                 Sum* sums) {
  constexpr int n = kLanes<Sum>;
  const Tap<Sum>* x = columns.taps;
  int64_t y_at[Rows];
  Vec<Sum> y_weight[Rows];
  repeat<Rows>([&](int r) ROIPOOL_BODY {
    y_at[r] = y[r].at;
    y_weight[r] = fill(y[r].weight);
  });
  for (int64_t j = 0; j < bins; ++j, value += n)
    for (const Tap<Sum>* const end = x + columns.width; x < end; ++x) {
      const Vec<Sum> part = load(value) * x->weight;
      repeat<Rows>([&](int r) ROIPOOL_BODY {
        Sum* const cell = sums + y_at[r] + x->at;
        store(cell, load(cell) + part * y_weight[r]);
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
  Sum* const sums = static_cast<Sum*>(block.pixels);
  const int64_t across = regions.x.count;
  __builtin_memset(sums, 0, std::size_t(tap_pixels(box)) * kBlockBytes);
  for (int64_t next, i = next_inside(regions, 0, box); i < regions.count; i = next) {
    next = next_inside(regions, i + 1, box);
    ask_for_pooled<D>(pooled, regions, next, block.channels);
    const int64_t k = regions.list[i];
    TapScratch<D> scratch{static_cast<char*>(memory)};
    Sum* value = scratch.template take<Sum>(regions.bins() * n);
    const TapList<Sum> y(scratch, regions.y, k, lines.y, false);
    if (y.width == 0) continue;
    const TapList<Sum> x(scratch, regions.x, k, lines.x, true);
    if (x.width == 0) continue;
    pack_pooled<D>(pooled, k, block.channels, regions.bins(), value);
    for (int64_t by = 0; by < regions.y.count; ++by, value += across * n) {
      const Tap<Sum>* tap = y.bin(by);
      int64_t left = y.size[by];
      for (; left >= 4; left -= 4, tap += 4) add_to_rows<4>(tap, x, value, across, sums);
      switch (left) {
        case 3: add_to_rows<3>(tap, x, value, across, sums); break;
        case 2: add_to_rows<2>(tap, x, value, across, sums); break;
        case 1: add_to_rows<1>(tap, x, value, across, sums); break;
      }
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
