// Maximum over integer rectangles of packed blocks, and its transpose.
//
// A bin is read from the widest windows kept that fit in it: that they overlap does no harm to a
// maximum. Of equal values the first in row-major order wins: windows that know their positions
// see to that, and where there are none, or zeros of both signs, a walk through the bin's pixels.
#pragma once

#include "kernels.h"
#include "keys.h"
#include "store.h"

namespace roipool::ROIPOOL_ISA {

// A maximum of each channel, and the position it stands at.
template <class Key>
struct Found {
  Vec<Key> value, position;
};

template <class Key>
ROIPOOL_INLINE Found<Key> load_found(const Key* from) {
  return {load(from), load(from + kLanes<Key>)};
}

// Of equal values the first in row-major order.
template <class Key>
ROIPOOL_INLINE Found<Key> max(const Found<Key>& a, const Found<Key>& b) {
  const Vec<Key> second = (b.value > a.value) | ((b.value == a.value) & (b.position < a.position));
  return {max(a.value, b.value), second ? b.position : a.position};
}

// The windows twice as wide as those there are: each the maximum of four.
template <class Key>
void widen(const Widening& level) {
  constexpr int n = kLanes<Key>;
  const int64_t windows = level.width - 2 * level.side + 1, right = level.side * n;
  for (int64_t y = 0; y < level.rows; ++y) {
    const Key* top = static_cast<const Key*>(level.top) + y * level.width * n;
    const Key* bottom = static_cast<const Key*>(level.bottom) + y * level.width * n;
    Key* to = static_cast<Key*>(level.next) + y * level.width * n;
    for (int64_t x = 0; x < windows * n; x += n)
      store(to + x, max(max(load(top + x), load(top + x + right)),
                        max(load(bottom + x), load(bottom + x + right))));
  }
}

// With their positions: those of pixels tell where they are, and come in order.
template <class Key, bool Pixels>
void widen_found_in(const Widening& level) {
  constexpr int n = kLanes<Key>, each = Pixels ? n : 2 * n;
  const int64_t windows = level.width - 2 * level.side + 1, right = level.side * each;
  for (int64_t y = 0; y < level.rows; ++y) {
    const Key* top = static_cast<const Key*>(level.top) + y * level.width * each;
    const Key* bottom = static_cast<const Key*>(level.bottom) + y * level.width * each;
    Key* to = static_cast<Key*>(level.next) + y * level.width * 2 * n;
    int64_t place = level.place + y * level.map_width;
    for (int64_t x = 0; x < windows; ++x, ++place, top += each, bottom += each, to += 2 * n) {
      Found<Key> best;
      if constexpr (Pixels) {
        best = {load(top), broadcast<Key>(Key(place))};
        const auto next = [&](const Key* pixel, int64_t at) {
          const Vec<Key> key = load(pixel);
          best.position = key > best.value ? broadcast<Key>(Key(at)) : best.position;
          best.value = max(best.value, key);
        };
        next(top + right, place + 1);
        next(bottom, place + level.map_width);
        next(bottom + right, place + level.map_width + 1);
      } else {
        best = max(max(load_found(top), load_found(top + right)),
                   max(load_found(bottom), load_found(bottom + right)));
      }
      store(to, best.value);
      store(to + n, best.position);
    }
  }
}

template <class Key>
void widen_found(const Widening& level) {
  level.side == 1 ? widen_found_in<Key, true>(level) : widen_found_in<Key, false>(level);
}

// One axis of a bin: its first pixel in the packed box and where that lies, how many there are, and
// the widest windows that fit, as a power of two; −1 if the bin is empty.
struct Span {
  int64_t first, offset, size;
  int fitting;

  Span() = default;
  ROIPOOL_INLINE Span(const int32_t* edges, int64_t origin, int64_t pitch)
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
  using PositionBits = std::conditional_t<kArgmax, Position, int8_t>;
  static constexpr int n = kLanes<Key>;

  const Block block;  // of its own: no result that is written can change it
  const int64_t map_width;
  const int64_t pitch = block.box.width() * n;
  const bool signed_zeros = D::kIsFloat && block.negative_zero;

  // The widest windows kept that fit in a bin.
  ROIPOOL_INLINE const Level& widest(const Span& y, const Span& x) const {
    return block.level[y.fitting < x.fitting ? y.fitting : x.fitting];
  }

  ROIPOOL_INLINE const Key* corner(const Level& level, const Span& y, const Span& x) const {
    return static_cast<const Key*>(level.windows) + y.offset + x.offset;
  }

  // The widest windows kept that fit, two by two, each row and column's last ending with the bin;
  // where the bin is longer than two, all that lie between.
  ROIPOOL_INLINE Vec<Key> maximum(const Span& y, const Span& x) const {
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
  __attribute__((noinline)) Found<Key> walk(const Span& y, const Span& x) const {
    const Key* row = corner(block.level[0], y, x);
    int64_t place = (block.box.y0 + y.first) * map_width + block.box.x0 + x.first;
    Vec<Key> best = load(row), where{};
    if constexpr (kArgmax) where = broadcast<Key>(Key(place));
    for (int64_t i = 0; i < y.size; ++i, row += pitch, place += map_width) {
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

  static ROIPOOL_INLINE bool any(Vec<Key> mask) {
    const auto words = (Vec<int64_t>)mask;
    int64_t found = 0;
    for (int i = 0; i < kLanes<int64_t>; ++i) found |= words[i];
    return found != 0;
  }

  // As `maximum`, from windows that know their positions.
  __attribute__((noinline)) Found<Key> found_in(const Level& level, const Span& y,
                                                const Span& x) const {
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

  ROIPOOL_INLINE Found<Key> find(const Span& y, const Span& x) const {
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

  void reduce(const Regions& regions, const Result& result, int64_t channel) const {
    const int64_t bins = regions.bins(), across = regions.bins_x;
    const Steps steps = result.steps, position_steps{bins, 1};
    Vec<Key> values[kTile], positions[kArgmax ? kTile : 1];
    Span columns[kTile];
    Writer<D, Key> value_writer(result.around_caches);
    Writer<Integer<PositionBits>, Key> position_writer(result.around_caches);
    for (int64_t i = 0; i < regions.count; ++i) {
      const int64_t k = regions.list[i];
      const int32_t* rows = regions.rows + k * regions.bins_y * 2;
      const int32_t* cols = regions.cols + k * across * 2;
      int64_t done = 0, size = 0, run;  // bins written, in hand, and next
      for (int64_t by = 0; by < regions.bins_y; ++by) {
        const Span y(rows + 2 * by, block.box.y0, pitch);
        for (int64_t bx = 0; bx < across; bx += run) {
          run = across - bx < kTile - size ? across - bx : kTile - size;
          Span* const column = columns + (across > kTile ? 0 : bx);
          if (across > kTile || by == 0)
            for (int64_t j = 0; j < run; ++j)
              column[j] = Span(cols + 2 * (bx + j), block.box.x0, n);
          for (int64_t j = 0; j < run; ++j) {
            const Found<Key> found = find(y, column[j]);
            values[size + j] = found.value;
            if constexpr (kArgmax) positions[size + j] = found.position;
          }
          size += run;
          value_writer.write(run);
          if constexpr (kArgmax) position_writer.write(run);
          if (size < kTile && done + size < bins) continue;
          value_writer.take(values, size, block.channels, steps,
                            static_cast<Bits*>(result.values) + k * result.region +
                                channel * steps.channel + done * steps.bin);
          if constexpr (kArgmax)
            position_writer.take(
                positions, size, block.channels, position_steps,
                static_cast<Position*>(result.argmax) + k * result.region + channel * bins + done);
          done += size;
          size = 0;
        }
      }
    }
  }
};

template <class D, class Key, class Position>
void reduce(const Block& block, const Regions& regions, const Result& result, int64_t channel) {
  MaxReducer<D, Key, Position>{block, result.map_width}.reduce(regions, result, channel);
  if (result.around_caches) finish_streaming();
}

// The sum type of a gradient, and its rounding to the stored type.
template <class T>
struct Plain {
  using Stored = T;
  using Sum = T;
  static T widen(T value) { return value; }
  static T round(T sum) { return sum; }
};

template <class To, class From>
ROIPOOL_INLINE To same_bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  __builtin_memcpy(&to, &from, sizeof to);
  return to;
}

// IEEE half precision, rounded to nearest, ties to even; not every compiler has it as a type.
struct Half {
  using Stored = uint16_t;
  using Sum = float;
  static constexpr uint32_t kInfinity = 0x7f800000, kRebias = (127 - 15) << 23;

  static float widen(uint16_t bits) {
    const uint32_t sign = uint32_t(bits & 0x8000) << 16, rest = uint32_t(bits & 0x7fff) << 13;
    if ((bits & 0x7c00) == 0x7c00) return same_bits<float>(sign | kInfinity | rest);
    // Scaling by 2^112 moves the exponent's bias, and is exact for subnormals too.
    return same_bits<float>(sign | same_bits<uint32_t>(same_bits<float>(rest) * 0x1p112f));
  }

  static uint16_t round(float sum) {
    const uint32_t word = same_bits<uint32_t>(sum), size = word & 0x7fffffff;
    const uint16_t sign = uint16_t(word >> 16 & 0x8000);
    if (size > kInfinity) return sign | 0x7e00;
    if (size >= 0x47800000) return sign | 0x7c00;  // 2^16 and more
    if (size < 0x38800000)  // below 2^-14: adding 1/2 shifts a subnormal's bits into place
      return sign | uint16_t(same_bits<uint32_t>(same_bits<float>(size) + 0.5f));
    return sign | uint16_t((size - kRebias + 0xfff + (size >> 13 & 1)) >> 13);
  }
};

// bfloat16: the upper half of a float32.
struct Brain {
  using Stored = uint16_t;
  using Sum = float;
  static float widen(uint16_t bits) { return same_bits<float>(uint32_t(bits) << 16); }
  static uint16_t round(float sum) {
    const uint32_t word = same_bits<uint32_t>(sum);
    if (sum != sum) return uint16_t(word >> 16 | 0x40);
    return uint16_t((word + 0x7fff + (word >> 16 & 1)) >> 16);
  }
};

// Asks for memory that is needed soon: processors foresee the rest of a long stretch, but not where
// the next one begins.
inline void ask_for(const void* start, int64_t bytes) {
  constexpr int64_t kLine = 64, kFirst = 16 * kLine;
  for (int64_t at = 0; at < bytes && at < kFirst; at += kLine)
    __builtin_prefetch(static_cast<const char*>(start) + at);
}

// Regions run outermost: a region's gradients for these channels lie near each other in memory.
// `Last` tells whether the sums of a pixel's channels lie side by side, or those of a plane's
// pixels.
template <class G, class Position, bool Last>
bool add_at_argmax(const Pooled& pooled, const int64_t* list, int64_t count, int64_t channels,
                   int64_t plane, typename G::Sum* sums) {
  const int64_t pixel = Last ? channels : 1, channel = Last ? 1 : plane;
  const auto* const grad = static_cast<const typename G::Stored*>(pooled.grad);
  const auto* const argmax = static_cast<const Position*>(pooled.argmax);
  const int64_t stretch = channels * pooled.bins;
  bool inside = true;
  for (int64_t i = 0; i < count; ++i) {
    if (i + 1 < count) {
      ask_for(grad + list[i + 1] * pooled.region, stretch * int64_t(sizeof *grad));
      ask_for(argmax + list[i + 1] * pooled.region, stretch * int64_t(sizeof *argmax));
    }
    const auto* g = grad + list[i] * pooled.region;
    const auto* a = argmax + list[i] * pooled.region;
    for (int64_t c = 0; c < channels; ++c, g += pooled.steps.channel, a += pooled.bins)
      for (int64_t b = 0; b < pooled.bins; ++b)
        if (const Position at = a[b]; uint64_t(at) < uint64_t(plane))
          sums[c * channel + at * pixel] += G::widen(g[b * pooled.steps.bin]);
        else
          inside &= at == -1;
  }
  return inside;
}

template <class G, class Position>
bool scatter_max(const Pooled& pooled, const int64_t* list, int64_t count, int64_t channels,
                 int64_t plane, const GradData& grad_data) {
  using Stored = typename G::Stored;
  using Sum = typename G::Sum;
  const ExactFloats exact;
  Stored* const out = static_cast<Stored*>(grad_data.first);
  void* const memory = grad_data.scratch ? grad_data.scratch : grad_data.first;
  Sum* const sums = static_cast<Sum*>(memory);
  __builtin_memset(sums, 0, std::size_t(channels * plane) * sizeof(Sum));
  if (grad_data.pitch) {
    const bool inside =
        add_at_argmax<G, Position, true>(pooled, list, count, channels, plane, sums);
    for (int64_t at = 0; at < plane; ++at)
      for (int64_t c = 0; c < channels; ++c)
        out[at * grad_data.pitch + c] = G::round(sums[at * channels + c]);
    return inside;
  }
  const bool inside = add_at_argmax<G, Position, false>(pooled, list, count, channels, plane, sums);
  if (grad_data.scratch)
    for (int64_t i = 0; i < channels * plane; ++i) out[i] = G::round(sums[i]);
  return inside;
}

}  // namespace roipool::ROIPOOL_ISA
