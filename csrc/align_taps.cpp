#include "align_taps.h"

#include <bit>
#include <limits>

#include "align_walk.h"
#include "scaled.h"
#include "threads.h"

namespace roipool {
namespace {

// Below this, positions are so exact in either type that a walk from sample to sample meets just
// those that the text looks at for each pixel.
constexpr double kExact = 1 << 20;
constexpr int64_t kRegionsPerTask = 256;  // in less time threads would hardly have begun

// The largest whole number of F that is no larger.
template <class F>
F held(int64_t number) {
  constexpr int digits = std::numeric_limits<F>::digits;
  const int lost =
      std::max(int(std::bit_width(uint64_t(std::max<int64_t>(number, 0)))) - digits, 0);
  return F(number >> lost << lost);
}

// Of one axis: a bin's begin and end among all taps are at first counted in its task alone.
struct AxisBins {
  int64_t bins;
  int32_t* taps;
};

template <class F, class In, int kTerms>
class Aligner {
 public:
  explicit Aligner(const AlignTaps& call)
      : call_(call),
        rows_(call.rois, call.maps),
        axes_{{call.pooled_h, call.y_taps}, {call.pooled_w, call.x_taps}},
        tasks_((call.rois.count + kRegionsPerTask - 1) / kRegionsPerTask),
        found_(2 * tasks_),
        places_(tasks_) {}

  bool run() {
    parallel_for(call_.threads, tasks_, [&](int64_t task, int) { find(task); });
    for (const int axis : {0, 1}) {
      const TapMemory memory = call_.memory(join(axis));
      parallel_for(call_.threads, tasks_, [&](int64_t task, int) {
        if (call_.sums_in_double)
          put<double>(axis, task, memory);
        else
          put<float>(axis, task, memory);
      });
    }
    return std::all_of(call_.image, call_.image + call_.rois.count, [](int i) { return i >= 0; });
  }

 private:
  using Taps = typename Walk<F, kTerms>::Taps;

  Taps& found(int axis, int64_t task) { return found_[axis * tasks_ + task]; }
  int64_t end_of(int64_t task) const {
    return std::min(call_.rois.count, (task + 1) * kRegionsPerTask);
  }

  void find(int64_t task) {
    for (int64_t k = task * kRegionsPerTask; k < end_of(task); ++k) {
      const Scaled<F> region = rows_[k];
      call_.image[k] = region.image;
      Grid<F> y{}, x{};
      if (region.image >= 0) {
        const MapSizes& map = *region.map;
        y = grid_of(region.y1, region.y2, map.height, map.scale_y, call_.pooled_h);
        x = grid_of(region.x1, region.x2, map.width, map.scale_x, call_.pooled_w);
      }
      walk(y, 0, task, k);
      walk(x, 1, task, k);
    }
  }

  Grid<F> grid_of(F begin, F end, int64_t length, double scale, int64_t bins) const {
    const F offset = call_.aligned ? F(0.5) : F(0);
    Grid<F> grid{};
    grid.begin = begin - offset;
    grid.size = (end - offset) - grid.begin;
    grid.scale = grid.reach = F(scale);
    if (!call_.aligned && grid.size < 1) grid.size = 1, grid.reach = 0;
    grid.size /= F(bins);
    grid.adaptive = call_.sampling_ratio <= 0;
    grid.samples = grid.adaptive ? std::ceil(grid.size) : F(call_.sampling_ratio);
    grid.length = held<F>(length);
    grid.last = held<F>(length - 1);
    grid.last_pixel = length - 1;
    grid.some = grid.samples > 0 && length > 0;
    grid.exact =
        std::abs(double(grid.begin)) + double(bins) * std::abs(double(grid.size)) + double(length) <
        kExact;
    return grid;
  }

  void walk(const Grid<F>& grid, int axis, int64_t task, int64_t k) {
    const auto [bins, ranges] = axes_[axis];
    Taps& taps = found(axis, task);
    for (int64_t p = 0; p < bins; ++p) {
      int32_t* const range = ranges + (k * bins + p) * 2;
      range[0] = int32_t(taps.size());
      if (grid.some) Walk<F, kTerms>(grid, p, bins, taps).run();
      check(taps.size());
      range[1] = int32_t(taps.size());
    }
  }

  // Ranges count taps in 31 bits.
  void check(int64_t taps) const {
    if (taps > INT32_MAX)
      throw OutOfMemory("2^31 taps or more of regions", double(taps) * sizeof(Tap<F, kTerms>));
  }

  // Counts the taps of all tasks through, and returns how many there are.
  int64_t join(int axis) {
    const auto [bins, ranges] = axes_[axis];
    int64_t before = 0;
    for (int64_t task = 0; task < tasks_; ++task) {
      places_[task] = before;
      const int64_t count = found(axis, task).size();
      check(before + count);
      for (int64_t i = task * kRegionsPerTask * bins * 2; before && i < end_of(task) * bins * 2;
           ++i)
        ranges[i] += int32_t(before);
      before += count;
    }
    return before;
  }

  template <class Sum>
  void put(int axis, int64_t task, const TapMemory& memory) {
    int32_t* pixel = memory.pixel + places_[task];
    Sum* weight = static_cast<Sum*>(memory.weight) + places_[task];
    Sum* slopes = static_cast<Sum*>(memory.slopes) + 2 * places_[task];
    for (const Tap<F, kTerms>& tap : found(axis, task)) {
      *pixel++ = tap.pixel;
      *weight++ = Sum(tap.terms[0]);
      for (int i = 1; i < kTerms; ++i) *slopes++ = Sum(tap.terms[i]);
    }
  }

  const AlignTaps& call_;
  const ScaledRows<F, F, In> rows_;
  const AxisBins axes_[2];  // y, x
  const int64_t tasks_;
  std::vector<Taps> found_;      // by each task along y, then along x
  std::vector<int64_t> places_;  // of each task's taps among all
};

template <class F, class In>
bool aligned(const AlignTaps& call) {
  return call.slopes ? Aligner<F, In, 3>(call).run() : Aligner<F, In, 1>(call).run();
}

}  // namespace

bool align_taps(const AlignTaps& call) {
  if (call.in_double) return aligned<double, double>(call);
  return call.rois.is_double ? aligned<float, double>(call) : aligned<float, float>(call);
}

}  // namespace roipool
