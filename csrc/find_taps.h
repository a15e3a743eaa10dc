// Taps of all bins along both axes: rows, threads and lists for any convention that finds those of
// one bin along one axis.
#pragma once

#include <algorithm>
#include <array>

#include "conventions.h"
#include "scaled.h"
#include "task_lists.h"
#include "threads.h"

namespace roipool {

// Its weight and, where there are three terms, the slopes of that for the region's two ends.
template <class Term, int kTerms>
struct Tap {
  int32_t pixel;
  Term terms[kTerms];
};

template <class Term, int kTerms>
using Taps = List<Tap<Term, kTerms>>;

// One region along one axis, its ends on the map.
template <class F>
struct Side {
  F begin, end;
  int64_t length;  // of the map
  F scale;
  int64_t bins;
};

// What most conventions are. Each adds what it reads of a call's options, and the class Bins<F,
// kTerms>(convention, side) whose add(bin, taps) appends a bin's taps.
struct TapConvention {
  static constexpr bool kMoves = true;  // whether weights move with the ends
  using Corners = roipool::Corners;
  template <class F>
  using Scale = F;  // what scales are rounded to
  template <class F>
  using Term = F;  // what weights are computed in
};

template <class Convention, class F, class In, int kTerms>
class TapFinder {
 public:
  explicit TapFinder(const Listing& call)
      : call_(call),
        convention_(call),
        rows_(call.rois, call.maps),
        bins_{call.pooled_h, call.pooled_w},
        tasks_((call.rois.count + kRegionsPerTask - 1) / kRegionsPerTask),
        found_{Lists(tasks_), Lists(tasks_)} {}

  bool run() {
    parallel_for(call_.threads, tasks_, [&](int64_t task, int) { find(task); });
    for (const int axis : {0, 1}) {
      if (call_.sums_in_double)
        put<double>(axis);
      else
        put<float>(axis);
    }
    const int64_t regions = call_.rois.count * (call_.each ? bins_[0] * bins_[1] : 1);
    return std::all_of(call_.image, call_.image + regions, [](int image) { return image >= 0; });
  }

 private:
  static constexpr int64_t kRegionsPerTask = 256;  // in less time threads would hardly have begun
  using Bins = typename Convention::template Bins<F, kTerms>;
  using Entry = Tap<typename Convention::template Term<F>, kTerms>;
  using Lists = TaskLists<Entry>;

  int64_t end_of(int64_t task) const {
    return std::min(call_.rois.count, (task + 1) * kRegionsPerTask);
  }

  void find(int64_t task) {
    for (int64_t k = task * kRegionsPerTask; k < end_of(task); ++k) {
      const Scaled<F> region = rows_[k];
      put_image(k, region.image);
      if (region.image < 0) {
        for (const int axis : {0, 1})
          for (int64_t p = 0; p < bins_[axis]; ++p) found_[axis][task].end_bin();
        continue;
      }
      const MapSizes& map = *region.map;
      find(0, task, {region.y1, region.y2, map.height, scale_of(map.scale_y), bins_[0]});
      find(1, task, {region.x1, region.x2, map.width, scale_of(map.scale_x), bins_[1]});
    }
  }

  void find(int axis, int64_t task, const Side<F>& side) {
    const Bins bins(convention_, side);
    typename Lists::Found& found = found_[axis][task];
    for (int64_t p = 0; p < side.bins; ++p) {
      bins.add(p, found.entries);
      found.end_bin();
    }
  }

  static F scale_of(double scale) { return F(typename Convention::template Scale<F>(scale)); }

  void put_image(int64_t k, int32_t image) {
    if (!call_.each) {
      call_.image[k] = image;
      return;
    }
    const int64_t bins = bins_[0] * bins_[1];
    for (int64_t bin = 0; bin < bins; ++bin)
      call_.image[k * bins + bin] = image < 0 ? image : int32_t(image * bins + bin);
  }

  // Where the entries of an axis go.
  template <class Sum>
  struct Memory {
    int32_t* pixel;
    Sum* weight;
    Sum* slopes;  // two for each, if any
  };

  template <class Sum>
  void put(int axis) {
    const int64_t count = found_[axis].join(call_.each ? bins_[1 - axis] : 1);
    const auto sums = [&](int64_t of_each) {
      return static_cast<Sum*>(call_.memory(count * of_each * int64_t(sizeof(Sum))));
    };
    Memory<Sum> memory{static_cast<int32_t*>(call_.memory(count * 4)), sums(1), nullptr};
    if (kTerms > 1) memory.slopes = sums(kTerms - 1);
    parallel_for(call_.threads, tasks_, [&](int64_t task, int) { put(axis, task, memory); });
  }

  template <class Sum>
  void put(int axis, int64_t task, const Memory<Sum>& memory) {
    typename Lists::Found& found = found_[axis][task];
    const int64_t bins = call_.each ? bins_[0] * bins_[1] : bins_[axis];
    int32_t* range = call_.ranges[axis] + task * kRegionsPerTask * bins * 2;
    int64_t at = found.place;
    if (!call_.each) {
      found.put_ranges(range);
      for (const Entry& entry : found.entries) put(entry, at++, memory);
      return;
    }
    const int32_t* size = found.sizes.begin();
    std::vector<const Entry*> ends(bins_[axis] + 1, found.entries.begin());
    for (int64_t k = task * kRegionsPerTask; k < end_of(task); ++k) {
      ends[0] = ends[bins_[axis]];
      for (int64_t p = 0; p < bins_[axis]; ++p) ends[p + 1] = ends[p] + *size++;
      for (int64_t bin = 0; bin < bins; ++bin) {
        const int64_t p = place_of(bin, axis);
        *range++ = int32_t(at);
        for (const Entry* entry = ends[p]; entry != ends[p + 1]; ++entry) put(*entry, at++, memory);
        *range++ = int32_t(at);
      }
    }
  }

  // Along an axis, of a bin by its number in the region.
  int64_t place_of(int64_t bin, int axis) const {
    return axis == 0 ? bin / bins_[1] : bin % bins_[1];
  }

  template <class Sum>
  static void put(const Entry& entry, int64_t at, const Memory<Sum>& memory) {
    memory.pixel[at] = entry.pixel;
    memory.weight[at] = Sum(entry.terms[0]);
    for (int i = 1; i < kTerms; ++i) memory.slopes[at * (kTerms - 1) + i - 1] = Sum(entry.terms[i]);
  }

  const Listing& call_;
  const Convention convention_;
  const ScaledRows<F, typename Convention::template Scale<F>, In, typename Convention::Corners>
      rows_;
  const std::array<int64_t, 2> bins_;  // along y, along x
  const int64_t tasks_;
  std::array<Lists, 2> found_;
};

template <class Convention, class F, class In>
bool find_taps_in(const Listing& call) {
  if constexpr (Convention::kMoves)
    if (call.slopes) return TapFinder<Convention, F, In, 3>(call).run();
  return TapFinder<Convention, F, In, 1>(call).run();
}

template <class Convention>
bool find_taps(const Listing& call) {
  if (call.in_double) return find_taps_in<Convention, double, double>(call);
  return call.rois.is_double ? find_taps_in<Convention, float, double>(call)
                             : find_taps_in<Convention, float, float>(call);
}

}  // namespace roipool
