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

// Rows [y0, y1) of the level whose windows are four times as wide, each the maximum of four rows
// of four windows of the level given. Only windows that lie inside the box are defined.
template <class Key>
void widen(const void* level, void* next, int64_t side, Box box, int64_t y0, int64_t y1) {
  constexpr int n = kLanes<Key>;
  constexpr int64_t kPiece = 128, kWidestSide = 4;
  Vec<Key> tall[kPiece + 3 * kWidestSide];  // four windows high, one wide
  const int64_t pitch = box.width() * n, down = side * pitch;
  const int64_t windows = box.width() - 4 * side + 1;
  for (int64_t y = y0; y < y1; ++y) {
    for (int64_t x0 = 0; x0 < windows; x0 += kPiece) {
      const Key* from = static_cast<const Key*>(level) + y * pitch + x0 * n;
      Key* to = static_cast<Key*>(next) + y * pitch + x0 * n;
      const int64_t size = windows - x0 < kPiece ? windows - x0 : kPiece;
      for (int64_t x = 0; x < size + 3 * side; ++x, from += n)
        tall[x] = max(max(load(from), load(from + down)),
                      max(load(from + 2 * down), load(from + 3 * down)));
      for (int64_t x = 0; x < size; ++x, to += n)
        store(to, max(max(tall[x], tall[x + side]), max(tall[x + 2 * side], tall[x + 3 * side])));
    }
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

  // The maximum of windows laid over the bin from its top left; the last window of each row and
  // column is moved back so that it ends with the bin.
  template <int64_t Side>
  ROIPOOL_INLINE Vec<Key> windows(int level, const Bin& bin) const {
    Vec<Key> best = load(pixel(level, bin.y0, bin.x0));
    const int64_t last_y = bin.y1 - Side, last_x = bin.x1 - Side;
    for (int64_t y = bin.y0;; y = y + Side < last_y ? y + Side : last_y) {
      const Key* row = pixel(level, y, bin.x0);
      const Key* last = row + (last_x - bin.x0) * n;
      for (; row < last; row += Side * n) best = max(best, load(row));
      best = max(best, load(last));
      if (y == last_y) return best;
    }
  }

  ROIPOOL_INLINE Vec<Key> maximum(const Bin& bin) const {
    const int64_t height = bin.y1 - bin.y0, width = bin.x1 - bin.x0;
    const int64_t shorter = height < width ? height : width;
    if (shorter >= 16 && block.levels > 2) return windows<16>(2, bin);
    if (shorter >= 4 && block.levels > 1) return windows<4>(1, bin);
    return windows<1>(0, bin);
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
struct Plain32 {
  using Stored = float;
  using Sum = float;
};
struct Plain64 {
  using Stored = double;
  using Sum = double;
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

template <class G, class Position>
bool scatter_max(const void* grad, const void* argmax, const int64_t* list, int64_t count,
                 int64_t stride, int64_t bins, int64_t channels, int64_t plane, void* out,
                 float* scratch) {
  using Stored = typename G::Stored;
  using Sum = typename G::Sum;
  constexpr bool in_place = std::is_same_v<Stored, Sum>;
  bool inside = true;
  for (int64_t c = 0; c < channels; ++c) {
    Stored* to = static_cast<Stored*>(out) + c * plane;
    Sum* sum;
    if constexpr (in_place)
      sum = to;
    else
      sum = scratch;
    for (int64_t i = 0; i < plane; ++i) sum[i] = 0;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t at = list[i] * stride + c * bins;
      const Stored* g = static_cast<const Stored*>(grad) + at;
      const Position* a = static_cast<const Position*>(argmax) + at;
      for (int64_t b = 0; b < bins; ++b) {
        if (a[b] < 0 || a[b] >= plane) {
          inside &= a[b] == -1;
          continue;
        }
        if constexpr (in_place)
          sum[a[b]] += g[b];
        else
          sum[a[b]] += G::widen(g[b]);
      }
    }
    if constexpr (!in_place)
      for (int64_t i = 0; i < plane; ++i) to[i] = G::round(sum[i]);
  }
  return inside;
}

}  // namespace roipool::ROIPOOL_ISA
