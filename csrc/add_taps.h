// The transpose of reading: each pooled value is added at its taps, with their weights.
#pragma once

#include "store.h"
#include "tap_lists.h"

namespace roipool::ROIPOOL_ISA {

template <class D>
void add_taps(const TapBlock& block, const TapRegions& regions, const TapPooled& pooled,
              void* memory) {
  using Sum = typename D::Sum;
  constexpr int n = kLanes<Sum>;
  const ExactFloats exact;
  Sum* const sums = static_cast<Sum*>(block.pixels);
  const Box& box = block.box;
  __builtin_memset(sums, 0, std::size_t(box.area()) * kBlockBytes);
  for (int64_t i = 0; i < regions.count; ++i) {
    const int64_t k = regions.list[i];
    TapScratch<D> scratch{static_cast<char*>(memory)};
    Sum* const values = scratch.template take<Sum>(regions.bins() * n);
    TapList<Sum> y = make_list<Sum>(scratch, regions.y, k);
    y.fill(regions.y, k, box.y0, box.height(), box.width() * n);
    if (y.begin[regions.y.count] == 0) continue;
    TapList<Sum> x = make_list<Sum>(scratch, regions.x, k);
    x.fill(regions.x, k, box.x0, box.width(), n);
    pack_pooled<D>(pooled, k, block.channels, regions.bins(), values);
    const Sum* value = values;
    for (int64_t by = 0; by < regions.y.count; ++by)
      for (int64_t bx = 0; bx < regions.x.count; ++bx, value += n)
        for (int64_t t = x.begin[bx]; t < x.begin[bx + 1]; ++t) {
          const Vec<Sum> part = load(value) * x.taps[t].weight;
          Sum* const column = sums + x.taps[t].at;
          for (int64_t s = y.begin[by]; s < y.begin[by + 1]; ++s) {
            Sum* const cell = column + y.taps[s].at;
            store(cell, load(cell) + part * y.taps[s].weight);
          }
        }
  }
}

template <class D>
void put_sums(const TapBlock& block, void* first, Strides strides, bool around_caches) {
  using Key = typename D::Key;
  constexpr int n = kLanes<Key>;
  const ExactFloats exact;
  const Key* from = static_cast<const Key*>(block.pixels);
  int64_t height = block.box.height(), width = block.box.width();
  if (strides.row == width * strides.column) {  // rows follow each other: one long row
    width *= height;
    height = 1;
  }
  Vec<Key> values[kTile];
  Writer<D, Key> writer(around_caches);
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; x += kTile) {
      const int64_t size = width - x < kTile ? width - x : kTile;
      for (int64_t i = 0; i < size; ++i, from += n) values[i] = D::round(load(from));
      writer.take(values, size, block.channels, {strides.channel, strides.column},
                  static_cast<typename D::Bits*>(first) + y * strides.row + x * strides.column);
    }
  writer.finish();
  if (around_caches) finish_streaming();
}

}  // namespace roipool::ROIPOOL_ISA
