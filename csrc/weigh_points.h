// What each point's weight is multiplied by: the derivative by the weights.
#pragma once

#include "lane_sums.h"
#include "point_lists.h"

namespace roipool::ROIPOOL_ISA {

// Channels whose products are summed before their lanes are, and before they leave for memory: as
// many as keep a region's pixels in a core's own cache.
inline constexpr int kPointGroup = 128;

// The points of one region inside a box, those without a weight among them, bin behind bin.
struct WeighedPoints {
  struct Point {
    int64_t at;     // as of those that are read
    int64_t place;  // in the list of all points
  };
  Point* points;
  int64_t* begin;  // of each bin, and where the last ends

  static int64_t bytes(int64_t points, int64_t bins) {
    return (points + 1) * int64_t(sizeof(Point)) + (bins + 1) * 8;
  }

  WeighedPoints(Scratch& scratch, const Points& all, int64_t k, const PixelLine y,
                const PixelLine x)
      : begin(scratch.take<int64_t>(all.count + 1)) {
    points = reinterpret_cast<Point*>(scratch.next);
    const int32_t* const bins = all.bins + k * all.count * 2;
    Point* to = points;
    for (int64_t b = 0; b < all.count; ++b) {
      begin[b] = to - points;
      for (int64_t s = bins[2 * b]; s < bins[2 * b + 1]; ++s) {
        *to = {y.at(all.y[s]) + x.at(all.x[s]), s};
        to += y.holds(all.y[s]) & x.holds(all.x[s]);
      }
    }
    begin[all.count] = to - points;
    scratch.take<Point>(to - points);
  }
};

// One region, of up to kPointGroup channels: of each point the products of pixels and pooled values
// are summed over vectors, as if these were kLaneGroup lanes wide, then over the lanes.
template <class D, int Vectors>
struct PointWeigher {
  using Sum = typename D::Sum;
  static constexpr int n = kLanes<Sum>, kWide = kLaneGroup / n;
  static constexpr int kStep = Vectors > kWide ? Vectors : kWide;
  static constexpr int kTogether = kWide < 8 ? 8 / kWide : 1;  // points
  const Sum* const pixels;
  const int64_t plane;
  const Sum* const pooled;  // a vector of channels per bin, vector behind vector
  const int64_t bins;
  const int vectors;
  Sum* const sums;

  // So many points of a bin.
  template <int Count>
  ROIPOOL_INLINE void weigh(const WeighedPoints::Point* points, int64_t bin,
                            Vec<Sum>* totals) const {
    const Sum* pixel[Count];
    Vec<Sum> sum[Count * kWide];
    repeat<Count>([&](int i) ROIPOOL_BODY { pixel[i] = pixels + points[i].at; });
    repeat<Count * kWide>([&](int i) ROIPOOL_BODY { sum[i] = Vec<Sum>{}; });
    const Sum* value = pooled + bin * n;
    for (int first = 0; first < vectors; first += kStep) {
      repeat<kStep>([&](int v) ROIPOOL_BODY {
        const Vec<Sum> of_bin = load(value);
        value += bins * n;
        repeat<Count>([&](int i) ROIPOOL_BODY {
          sum[i * kWide + v % kWide] +=
              of_bin * load(pixel[i] + v / Vectors * plane + v % Vectors * n);
        });
      });
      repeat<Count>([&](int i) ROIPOOL_BODY { pixel[i] += kStep / Vectors * plane; });
    }
    repeat<Count>([&](int i) ROIPOOL_BODY {
      Vec<Sum>* const wide = sum + i * kWide;
      for (int half = kWide / 2; half > 0; half /= 2)
        for (int w = 0; w < half; ++w) wide[w] += wide[w + half];
      totals[i] = wide[0];
    });
  }

  // From a vector of each of n points, or of fewer, to its place.
  void put(const WeighedPoints::Point* points, int64_t count, Vec<Sum>* totals) const {
    const Vec<Sum> found = LaneSums<Sum>::of(totals);
    Sum values[n];
    store(values, found);
    for (int64_t i = 0; i < count; ++i) sums[points[i].place] = values[i];
  }

  void weigh(const WeighedPoints& list) const {
    Vec<Sum> totals[n + kTogether]{};
    const WeighedPoints::Point *next = list.points, *waiting = next;
    for (int64_t b = 0; b < bins; ++b)
      for (const WeighedPoints::Point* const end = list.points + list.begin[b + 1]; next < end;) {
        const int64_t count = end - next < kTogether ? end - next : kTogether;
        exactly<kTogether>(count,
                           [&](auto some) { weigh<some>(next, b, totals + (next - waiting)); });
        next += count;
        if (next - waiting < n) continue;
        Vec<Sum> some[n];
        repeat<n>([&](int i) ROIPOOL_BODY { some[i] = totals[i]; });
        put(waiting, n, some);
        waiting += n;
        repeat<kTogether>([&](int i) ROIPOOL_BODY { totals[i] = totals[n + i]; });
      }
    if (next > waiting) put(waiting, next - waiting, totals);
  }
};

// All channels of the listed regions, a group at a time. A region's list is made once for all.
template <class D, int Vectors>
struct PointRegionsWeigher {
  using Sum = typename D::Sum;
  using Weigher = PointWeigher<D, Vectors>;
  static constexpr int n = kLanes<Sum>, kPixel = Vectors * n, kStep = Weigher::kStep * n;
  static_assert(kPointGroup % kStep == 0);

  static int64_t bytes(const ListSizes& most) {
    return most.bins() * kPointGroup * int64_t(sizeof(Sum)) +
           whole_lines(WeighedPoints::bytes(most.entries, most.bins()));
  }

  // Lanes that are no channels are zero: whatever they held would be summed with the others.
  static void clear(Sum* pixels, int64_t count, int channels) {
    for (; count > 0; --count, pixels += kPixel)
      for (int c = channels; c < kPixel; ++c) pixels[c] = 0;
  }

  static void weigh(const SumBlock& block, const SumRegions& regions, const SumPooled& pooled,
                    const Weighed& sums, void* memory) {
    const ExactFloats exact;
    const PackedLines<Sum, Vectors> lines(block.box);
    const int64_t plane = block_size<Sum, Vectors>(block.box);
    Sum* const pixels = static_cast<Sum*>(block.pixels);
    if (block.channels % kPixel)
      clear(pixels + block.channels / kPixel * plane, plane / kPixel, block.channels % kPixel);
    for (int64_t next, i = next_inside(regions, 0, block.box); i < regions.count; i = next) {
      next = next_inside(regions, i + 1, block.box);
      ask_for_pooled<D>(pooled, regions, next, block.channels);
      weigh_region(block, points_of(regions), lines, regions.list[i], pooled, sums,
                   {static_cast<char*>(memory)});
    }
  }

 private:
  static void weigh_region(const SumBlock& block, const Points& points,
                           const PackedLines<Sum, Vectors>& lines, int64_t k,
                           const SumPooled& pooled, const Weighed& sums, Scratch scratch) {
    const int64_t plane = block_size<Sum, Vectors>(block.box), bins = points.count;
    Sum* const values = scratch.take<Sum>(bins * kPointGroup);
    const WeighedPoints list(scratch, points, k, lines.y, lines.x);
    if (list.begin[bins] == 0) return;
    const Sum* pixels = static_cast<const Sum*>(block.pixels);
    Sum* of_group = static_cast<Sum*>(sums.lists[0]);
    for (int first = 0; first < block.channels; first += kPointGroup, of_group += sums.group) {
      const int left = block.channels - first, channels = left < kPointGroup ? left : kPointGroup;
      const int vectors = (channels + kStep - 1) / kStep * Weigher::kStep;
      pack_pooled_blocks<D>(pooled, k, first, block.channels, vectors, bins, values);
      for (int64_t b = 0; b < bins && channels % n; ++b)
        for (int c = channels % n; c < n; ++c) values[(channels / n * bins + b) * n + c] = 0;
      Weigher{pixels, plane, values, bins, vectors, of_group}.weigh(list);
      pixels += vectors / Vectors * plane;
    }
  }
};

}  // namespace roipool::ROIPOOL_ISA
