// Vectors summed over their lanes, as many together as they have lanes.
#pragma once

#include "floats.h"

namespace roipool::ROIPOOL_ISA {

// The sums over the lanes of n vectors of n lanes, side by side: in each the upper half is added to
// the lower, and so on. Every round makes one vector of two. While halves are longer than the lanes
// of a register they stand one behind the other, then inside each of these.
template <class T>
struct LaneSums {
  static constexpr int n = kLanes<T>, kPart = kLaneBytes / int(sizeof(T));

  // Where in the pair of vectors the element is that a round, of parts of so many lanes, puts at a
  // place: of the lower half; the upper half lies as far behind as it is long.
  static constexpr int source(int place, int part) {
    const int around = part > kPart ? n : kPart, begin = place / around * around;
    const int known = around / part, number = place % around / (part / 2);
    return (number < known ? 0 : n) + begin + number % known * part + place % (part / 2);
  }

  // Which vector's sum stands at a place in the end.
  static constexpr int vector_at(int place) {
    int vector = 0;
    for (int part = 2, count = 1; part <= n; part *= 2, count *= 2) {
      const int from = source(place, part);
      vector += from / n * count;
      place = from % n;
    }
    return vector;
  }

  static constexpr int place_of(int vector) {
    int place = 0;
    while (vector_at(place) != vector) ++place;
    return place;
  }

  template <int Part, int... I>
  static ROIPOOL_INLINE Vec<T> join(Vec<T> a, Vec<T> b, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(a, b, source(I, Part)...) +
           __builtin_shufflevector(a, b, (source(I, Part) + Part / 2)...);
  }

  template <int... I>
  static ROIPOOL_INLINE Vec<T> in_order(Vec<T> v, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(v, v, place_of(I)...);
  }

  template <int Part = n>
  static ROIPOOL_INLINE Vec<T> of(Vec<T>* v) {
    constexpr auto places = std::make_integer_sequence<int, n>{};
    repeat<Part / 2>([&](int i) ROIPOOL_BODY { v[i] = join<Part>(v[i], v[i + Part / 2], places); });
    if constexpr (Part > 2)
      return of<Part / 2>(v);
    else
      return in_order(v[0], places);
  }
};

}  // namespace roipool::ROIPOOL_ISA
