// Windows of pixels: their maxima, and perhaps where each stands, built level by level.
#pragma once

#include "kernels.h"
#include "lanes.h"

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

}  // namespace roipool::ROIPOOL_ISA
