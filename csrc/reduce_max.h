// Maximum over integer rectangles of packed blocks.
//
// A bin is read from the widest windows kept that fit in it: that they overlap does no harm to a
// maximum. Of equal values the first in row-major order wins: windows that know their positions
// see to that, and where there are none, or zeros of both signs, a walk through the bin's pixels.
#pragma once

#include "finished_max.h"
#include "kernels.h"
#include "keys.h"
#include "windows_max.h"

namespace roipool::ROIPOOL_ISA {

// One axis of a bin: its first pixel in the packed box and where that lies, how many there are, and
// the widest windows that fit, as a power of two; −1 if the bin is empty.
struct Extent {
  int64_t first, offset, size;
  int fitting;

  Extent() = default;
  ROIPOOL_INLINE Extent(const int32_t* edges, int64_t origin, int64_t pitch)
      : first(edges[0] - origin),
        offset(first * pitch),
        size(edges[1] - edges[0]),
        fitting(size > 0 ? 63 - __builtin_clzll(uint64_t(size)) : -1) {
    if (fitting >= kLevels) fitting = kLevels - 1;
  }
};

// Position is the type of an argmax, or void where none is asked for.
template <class D, class Key, class Position>
struct MaxReducer {
  using Bits = typename D::Bits;
  static constexpr bool kArgmax = !std::is_void_v<Position>;
  static constexpr int n = kLanes<Key>;

  const Block block;  // of its own: no result that is written can change it
  const int64_t pitch = block.box.width() * n;
  const bool signed_zeros = D::kIsFloat && block.negative_zero;

  // The widest windows kept that fit in a bin.
  ROIPOOL_INLINE const Level& widest(const Extent& y, const Extent& x) const {
    return block.level[y.fitting < x.fitting ? y.fitting : x.fitting];
  }

  ROIPOOL_INLINE const Key* corner(const Level& level, const Extent& y, const Extent& x) const {
    return static_cast<const Key*>(level.windows) + y.offset + x.offset;
  }

  // The widest windows kept that fit, two by two, each row and column's last ending with the bin;
  // where the bin is longer than two, all that lie between.
  ROIPOOL_INLINE Vec<Key> maximum(const Extent& y, const Extent& x) const {
    const Level& level = widest(y, x);
    const int64_t side = level.side;
    const int64_t right = (x.size - side) * n;
    const Key* const top = corner(level, y, x);
    const Key* const bottom = top + (y.size - side) * pitch;
    if ((x.size > y.size ? x.size : y.size) > 2 * side) return between(top, bottom, right, side);
    return max(max(load(top), load(top + right)), max(load(bottom), load(bottom + right)));
  }

  __attribute__((noinline)) Vec<Key> between(const Key* top, const Key* bottom, int64_t right,
                                             int64_t side) const {
    Vec<Key> best = load(top);
    for (;;) {
      for (int64_t x = 0; x < right; x += side * n) best = max(best, load(top + x));
      best = max(best, load(top + right));
      if (top == bottom) return best;
      top = top + side * pitch < bottom ? top + side * pitch : bottom;
    }
  }

  // −0 and +0 are equal numbers: where both may occur, −0's key (−1) is compared as +0's (0).
  template <bool SignedZeros>
  static ROIPOOL_INLINE Vec<Key> comparable(Vec<Key> key) {
    return SignedZeros ? key - (key == -1) : key;
  }

  template <bool SignedZeros>
  __attribute__((noinline)) Found<Key> walk(const Extent& y, const Extent& x) const {
    const Key* row = corner(block.level[0], y, x);
    int64_t place = (block.box.y0 + y.first) * block.map_width + block.box.x0 + x.first;
    Vec<Key> best = load(row), where{};
    if constexpr (kArgmax) where = broadcast<Key>(Key(place));
    for (int64_t i = 0; i < y.size; ++i, row += pitch, place += block.map_width) {
      Vec<Key> here{};
      if constexpr (kArgmax) here = broadcast<Key>(Key(place));
      for (int64_t at = 0; at < x.size * n; at += n) {
        const Vec<Key> key = load(row + at);
        const Vec<Key> better = comparable<SignedZeros>(key) > comparable<SignedZeros>(best);
        best = SignedZeros ? (better ? key : best) : max(best, key);
        if constexpr (kArgmax) {
          where = better ? here : where;
          here += 1;
        }
      }
    }
    if constexpr (D::kIsFloat) where |= best == Key(D::kNaN);  // nothing but NaN: −1
    return {best, where};
  }

  // As `maximum`, from windows that know their positions.
  __attribute__((noinline)) Found<Key> found_in(const Level& level, const Extent& y,
                                                const Extent& x) const {
    const int64_t step = level.side * 2 * n, drop = level.side * 2 * pitch;
    const int64_t right = (x.size - level.side) * 2 * n;
    const Key* top = static_cast<const Key*>(level.windows) + (y.offset + x.offset) * 2;
    const Key* const bottom = top + (y.size - level.side) * 2 * pitch;
    Found<Key> best = load_found(top);
    for (;;) {
      for (int64_t at = step; at < right; at += step) best = max(best, load_found(top + at));
      best = max(best, load_found(top + right));
      if (top == bottom) break;
      top = top + drop < bottom ? top + drop : bottom;
      best = max(best, load_found(top));
    }
    if constexpr (D::kIsFloat) best.position |= best.value == Key(D::kNaN);
    return best;
  }

  ROIPOOL_INLINE Found<Key> find(const Extent& y, const Extent& x) const {
    if ((y.fitting | x.fitting) < 0)
      return {broadcast<Key>(Key(D::encode(Bits(0)))), broadcast<Key>(-1)};
    Found<Key> best{};
    if constexpr (kArgmax) {
      const Level& level = widest(y, x);
      best = level.side > 1 ? found_in(level, y, x) : walk<false>(y, x);
    } else {
      best.value = maximum(y, x);
    }
    if (signed_zeros && any(best.value == 0)) return walk<true>(y, x);  // a −0 may have come first
    return best;
  }

  ROIPOOL_INLINE void reduce_row(const Extent& row, const Extent* columns, int64_t across,
                                 Finished<D, Key, Position>& finished) const {
    for (int64_t x = 0, run; x < across; x += run) {
      run = finished.room(across - x);
      for (int64_t j = 0; j < run; ++j) finished.set(j, find(row, columns[x + j]));
      finished.add(run);
    }
  }

  void reduce(const Regions& regions, const Result& result, int64_t channel) const {
    Finished<D, Key, Position> finished(result, block.channels, channel, regions.bins());
    Extent columns[kTile];
    for (int64_t i = 0; i < regions.count; ++i) {
      const int64_t k = regions.list[i];
      const int32_t* y_bins = regions.y_bins + k * regions.pooled_h * 2;
      const int32_t* x_bins = regions.x_bins + k * regions.pooled_w * 2;
      finished.begin(k);
      for (int64_t left = 0; left < regions.pooled_w; left += kTile) {
        const int64_t across = regions.pooled_w - left < kTile ? regions.pooled_w - left : kTile;
        for (int64_t x = 0; x < across; ++x)
          columns[x] = Extent(x_bins + 2 * (left + x), block.box.x0, n);
        for (int64_t y = 0; y < regions.pooled_h; ++y) {
          finished.go_on_at(y * regions.pooled_w + left);
          reduce_row(Extent(y_bins + 2 * y, block.box.y0, pitch), columns, across, finished);
        }
      }
      finished.hand_over();
    }
  }
};

template <class D, class Key, class Position>
void reduce(const Block& block, const Regions& regions, const Result& result, int64_t channel) {
  MaxReducer<D, Key, Position>{block}.reduce(regions, result, channel);
  if (result.around_caches) finish_streaming();
}

}  // namespace roipool::ROIPOOL_ISA
