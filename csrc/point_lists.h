// One region's points as its kernels walk them, with the distance of their pixel in memory; and
// pixels as they are packed for that.
#pragma once

#include "points.h"
#include "sum_blocks.h"

namespace roipool::ROIPOOL_ISA {

inline const Points& points_of(const SumRegions& regions) {
  return *static_cast<const Points*>(regions.structure);
}

// Elements between two packed blocks, of so many vectors a pixel.
template <class Sum, int Vectors>
int64_t block_size(const Box& box) {
  return packed_pixels(box) * kLanes<Sum> * Vectors;
}

template <class Mask>
ROIPOOL_INLINE bool all_lanes(Mask mask) {
  constexpr int count = sizeof(Mask) / 8;
  const auto words = (Vec<int64_t, count>)mask;
  int64_t all = -1;
  for (int i = 0; i < count; ++i) all &= words[i];
  return all == -1;
}

// Which points are inside a box, or map, and have a weight; without weights all have one. Of a
// vector of them, or of one.
template <class Sum>
struct PointTest {
  static constexpr int n = kLanes<Sum>;
  using Pixels = Vec<uint32_t, n>;
  const Points points;
  const PixelLine y, x;

  // From the first pixel of the box on; beyond the last where it lies before the first.
  static ROIPOOL_INLINE Pixels from(const int32_t* pixels, const PixelLine& line) {
    return (Pixels)load<int32_t, n>(pixels) - uint32_t(line.origin);
  }
  ROIPOOL_INLINE const Sum* weights() const { return static_cast<const Sum*>(points.weight); }

  ROIPOOL_INLINE auto mask(int64_t s) const {
    auto count =
        (from(points.y + s, y) < uint32_t(y.length)) & (from(points.x + s, x) < uint32_t(x.length));
    if (points.weight) count &= __builtin_convertvector(load(weights() + s) != 0, decltype(count));
    return count;
  }
  ROIPOOL_INLINE bool one(int64_t s) const {
    return y.holds(points.y[s]) & x.holds(points.x[s]) & (!points.weight || weights()[s] != 0);
  }
};

// Puts those points that count one behind the other.
template <class Sum, class At>
struct PointLister : PointTest<Sum> {
  using Test = PointTest<Sum>;
  using Test::n, Test::points, Test::y, Test::x, Test::weights;
  At* const at;
  Sum* const weight;

  // Those of [s, end); returns how many there are then.
  int64_t put(int64_t s, int64_t end, int64_t count) const {
    for (; s < end; ++s) {
      at[count] = At(y.at(points.y[s]) + x.at(points.x[s]));
      weight[count] = weights()[s];
      count += this->one(s);
    }
    return count;
  }

  // Whole vectors first: nearly always all of one are there.
  ROIPOOL_INLINE int64_t put_vectors(int64_t s, int64_t end, int64_t count) const {
    for (; s + n <= end; s += n)
      if (all_lanes(this->mask(s))) {
        store(at + count, Test::from(points.y + s, y) * uint32_t(y.pitch) +
                              Test::from(points.x + s, x) * uint32_t(x.pitch));
        store(weight + count, load(weights() + s));
        count += n;
      } else {
        count = put(s, s + n, count);
      }
    return put(s, end, count);
  }
};

// The points of a region as they are listed, bin behind bin: with 32 bits for the distance of
// pixels in a packed box, 64 in a map.
template <class Sum, class At = uint32_t>
struct PointList {
  At* at;
  Sum* weight;
  int64_t* begin;  // of each bin, and where the last ends

  static int64_t room(int64_t points) {  // whole vectors are stored
    return (points / kLanes<Sum> + 2) * kLanes<Sum>;
  }
  static int64_t bytes(int64_t points, int64_t bins) {
    return room(points) * int64_t(sizeof(At) + sizeof(Sum)) + (bins + 1) * 8;
  }

  PointList(Scratch& scratch, const Points& points, int64_t k, const PixelLine& y,
            const PixelLine& x) {
    const int64_t bins = points.count, most = room(points_in(points, k));
    const int32_t* const range = points.bins + k * bins * 2;
    begin = scratch.take<int64_t>(bins + 1);
    at = scratch.take<At>(most);
    weight = scratch.take<Sum>(most);
    const PointLister<Sum, At> lister{{points, y, x}, at, weight};
    int64_t* const begins = begin;
    int64_t count = 0;
    for (int64_t b = 0; b < bins; ++b) {
      begins[b] = count;
      if constexpr (sizeof(At) == 4)
        count = lister.put_vectors(range[2 * b], range[2 * b + 1], count);
      else
        count = lister.put(range[2 * b], range[2 * b + 1], count);
    }
    begins[bins] = count;
  }
};

}  // namespace roipool::ROIPOOL_ISA
