// Maximum over integer rectangles of packed blocks, and its transpose.
//
// Values alone are read from the coarsest level whose windows fit in the bin: windows that
// overlap do no harm to a maximum. Positions are found by walking the bin in row-major order, so
// that the first of equal values wins.
#pragma once

#include "kernels.h"
#include "keys.h"
#include "store.h"

namespace roipool::ROIPOOL_ISA {

// Rows [y0, y1) of the level whose windows are twice as wide as those of the level given: each the
// maximum of four.
template <class Key>
void widen(const void* level, void* next, int64_t side, Box box, int64_t y0, int64_t y1) {
  constexpr int n = kLanes<Key>;
  const int64_t pitch = box.width() * n, windows = box.width() - 2 * side + 1;
  for (int64_t y = y0; y < y1; ++y) {
    const Key* top = static_cast<const Key*>(level) + y * pitch;
    const Key* bottom = top + side * pitch;
    Key* to = static_cast<Key*>(next) + y * pitch;
    for (int64_t x = 0; x < windows * n; x += n)
      store(to + x, max(max(load(top + x), load(top + x + side * n)),
                        max(load(bottom + x), load(bottom + x + side * n))));
  }
}

struct Bin {
  int64_t y0, y1, x0, x1;
  bool empty() const { return y0 >= y1 || x0 >= x1; }
};

template <class Key>
struct Found {
  Vec<Key> value, position;
};

// Position is the type of an argmax, or void where none is asked for.
template <class D, class Key, class Position>
struct MaxReducer {
  using Bits = typename D::Bits;
  static constexpr bool kArgmax = !std::is_void_v<Position>;
  static constexpr int n = kLanes<Key>;
  static constexpr int64_t kTile = 64;  // bins reduced before they are written out

  const Block& block;
  int64_t map_width;

  ROIPOOL_INLINE const Key* pixel(int level, int64_t y, int64_t x) const {
    return static_cast<const Key*>(block.level[level]) +
           ((y - block.box.y0) * block.box.width() + (x - block.box.x0)) * n;
  }

  // The widest windows that fit, laid over the bin from its top left; the last of each row and
  // column is moved back so that it ends with the bin. Most bins take two by two.
  ROIPOOL_INLINE Vec<Key> maximum(const Bin& bin) const {
    const int64_t height = bin.y1 - bin.y0, width = bin.x1 - bin.x0;
    const int fitting = 63 - __builtin_clzll(height < width ? height : width);
    const int level = fitting < block.levels ? fitting : block.levels - 1;
    const int64_t side = int64_t(1) << level, step = side * n;
    const int64_t pitch = block.box.width() * n;
    const Key* top = pixel(level, bin.y0, bin.x0);
    const Key* const bottom = top + (height - side) * pitch;
    const int64_t last = (width - side) * n;
    Vec<Key> best = max(max(load(top), load(top + last)), max(load(bottom), load(bottom + last)));
    if (height <= 2 * side && width <= 2 * side) return best;
    for (;;) {
      for (int64_t x = 0; x < last; x += step) best = max(best, load(top + x));
      best = max(best, load(top + last));
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
  Found<Key> walk(const Bin& bin) const {
    Vec<Key> best = load(pixel(0, bin.y0, bin.x0));
    Vec<Key> where = broadcast<Key>(Key(bin.y0 * map_width + bin.x0));
    for (int64_t y = bin.y0; y < bin.y1; ++y) {
      const Key* row = pixel(0, y, bin.x0);
      Vec<Key> here = broadcast<Key>(Key(y * map_width + bin.x0));
      for (int64_t x = bin.x0; x < bin.x1; ++x, row += n, here += 1) {
        const Vec<Key> key = load(row);
        const Vec<Key> better = comparable<SignedZeros>(key) > comparable<SignedZeros>(best);
        best = better ? key : best;
        where = better ? here : where;
      }
    }
    if constexpr (D::kIsFloat) where |= best == Key(D::kNaN);  // nothing but NaN: −1
    return {best, where};
  }

  static ROIPOOL_INLINE bool any(Vec<Key> mask) {
    const auto words = (Vec<int64_t>)mask;
    int64_t found = 0;
    for (int i = 0; i < kLanes<int64_t>; ++i) found |= words[i];
    return found != 0;
  }

  ROIPOOL_INLINE Found<Key> find(const Bin& bin) const {
    if (bin.empty()) return {broadcast<Key>(Key(D::encode(Bits(0)))), broadcast<Key>(-1)};
    const bool signed_zeros = D::kIsFloat && block.negative_zero;
    if constexpr (kArgmax) {
      return signed_zeros ? walk<true>(bin) : walk<false>(bin);
    } else {
      const Vec<Key> best = maximum(bin);
      if (signed_zeros && any(best == 0)) return walk<true>(bin);  // a −0 may have come first
      return {best, Vec<Key>{}};
    }
  }

  void reduce(const Regions& regions, const Result& result, int64_t channel) const {
    Vec<Key> values[kTile], positions[kArgmax ? kTile : 1];
    const int64_t bins = regions.bins();
    for (int64_t i = 0; i < regions.count; ++i) {
      const int64_t k = regions.list[i];
      const int32_t* rows = regions.rows + k * regions.bins_y * 2;
      const int32_t* cols = regions.cols + k * regions.bins_x * 2;
      int64_t y = 0, x = 0;
      for (int64_t first = 0; first < bins; first += kTile) {
        const Tile tile{bins - first < kTile ? bins - first : kTile, bins, block.channels};
        for (int64_t b = 0; b < tile.size; ++b) {
          const auto found = find({rows[2 * y], rows[2 * y + 1], cols[2 * x], cols[2 * x + 1]});
          values[b] = found.value;
          if constexpr (kArgmax) positions[b] = found.position;
          if (++x == regions.bins_x) x = 0, ++y;
        }
        const int64_t at = k * result.stride + channel * bins + first;
        store_tile<D, Key>(values, tile, static_cast<Bits*>(result.values) + at);
        if constexpr (kArgmax)
          store_tile<Integer<Position>, Key>(positions, tile,
                                             static_cast<Position*>(result.argmax) + at);
      }
    }
  }
};

template <class D, class Key, class Position>
void reduce(const Block& block, const Regions& regions, const Result& result, int64_t channel) {
  MaxReducer<D, Key, Position>{block, result.map_width}.reduce(regions, result, channel);
}

// The sum type of a gradient, and its rounding to the stored type.
template <class T>
struct Plain {
  using Stored = T;
  using Sum = T;
  static T widen(T value) { return value; }
};

struct Half {
  using Stored = uint16_t;
  using Sum = float;
  static float widen(uint16_t bits) {
    _Float16 half;
    __builtin_memcpy(&half, &bits, sizeof half);
    return float(half);
  }
  static uint16_t round(float sum) {
    const _Float16 half = _Float16(sum);
    uint16_t bits;
    __builtin_memcpy(&bits, &half, sizeof bits);
    return bits;
  }
};

struct Brain {
  using Stored = uint16_t;
  using Sum = float;
  static float widen(uint16_t bits) {
    const uint32_t word = uint32_t(bits) << 16;
    float value;
    __builtin_memcpy(&value, &word, sizeof value);
    return value;
  }
  static uint16_t round(float sum) {  // to nearest, ties to even
    uint32_t word;
    __builtin_memcpy(&word, &sum, sizeof word);
    if (sum != sum) return uint16_t(word >> 16 | 0x40);
    return uint16_t((word + 0x7fff + (word >> 16 & 1)) >> 16);
  }
};

// Regions run outermost: a region's gradients for these channels lie side by side in memory.
template <class G, class Position>
bool scatter_max(const void* grad, const void* argmax, const int64_t* list, int64_t count,
                 int64_t stride, int64_t bins, int64_t channels, int64_t plane, void* out,
                 void* scratch) {
  using Stored = typename G::Stored;
  using Sum = typename G::Sum;
  constexpr bool in_place = std::is_same_v<Stored, Sum>;
  Sum* const sums = static_cast<Sum*>(in_place ? out : scratch);
  __builtin_memset(sums, 0, std::size_t(channels * plane) * sizeof(Sum));
  bool inside = true;
  for (int64_t i = 0; i < count; ++i) {
    const Stored* g = static_cast<const Stored*>(grad) + list[i] * stride;
    const Position* a = static_cast<const Position*>(argmax) + list[i] * stride;
    for (int64_t c = 0; c < channels; ++c, g += bins, a += bins) {
      Sum* const sum = sums + c * plane;
      for (int64_t b = 0; b < bins; ++b)
        if (uint64_t(a[b]) < uint64_t(plane))
          sum[a[b]] += G::widen(g[b]);
        else
          inside &= a[b] == -1;
    }
  }
  if constexpr (!in_place)
    for (int64_t i = 0; i < channels * plane; ++i) static_cast<Stored*>(out)[i] = G::round(sums[i]);
  return inside;
}

}  // namespace roipool::ROIPOOL_ISA
