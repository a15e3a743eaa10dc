#include "align_taps.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>

#include "memory.h"
#include "threads.h"

namespace roipool {
namespace {

constexpr int kNear = 6;  // NEAR of geometry/taps.py
// Below this, positions are so exact in either type that a walk from sample to sample meets just
// those that the text looks at for each pixel.
constexpr double kExact = 1 << 20;
constexpr int64_t kRegionsPerTask = 64;

// One region along one axis; the names are those of geometry/taps.py.
template <class F>
struct Grid {
  F begin, size, samples, length, last;
  bool none, adaptive, exact;
};

template <class F>
struct Tap {
  int32_t pixel;
  F weight;
};

template <class F>
struct Walk {
  const Grid<F>& grid;
  const F first;
  Tap<F>* const taps;
  int64_t count = 0;

  F position(F sample) const { return first + (sample * grid.size) / grid.samples; }
  bool counts(F position, F sample) const {
    return position >= -1 && position <= grid.length && sample < grid.samples;
  }
  F inside(F position) const { return std::min(std::max(position, F(0)), grid.last); }

  // Pixels come ascending, but for that a sample's first may be the one before the last.
  void add(F pixel, F weight) {
    const auto at = int32_t(pixel);
    for (int64_t i = count - 1; i >= 0 && i >= count - 2; --i)
      if (taps[i].pixel == at) {
        taps[i].weight += weight;
        return;
      }
    taps[count++] = {at, weight};
  }

  void add_sample(F position) {
    const F q = inside(position), low = std::floor(q), share = q - low;
    add(low, F(0) + (1 - share));
    if (const F high = std::min(low + 1, grid.last); share != 0) add(high, share);
  }

  void walk() {
    const auto samples = int64_t(grid.samples);
    int64_t j = 0;
    if (grid.adaptive) {  // those before are off the map
      const F near = std::floor((-1 - first) / (grid.size / grid.samples) - F(0.5)) - 1;
      j = int64_t(std::min(std::max(near, F(0)), grid.samples));
    }
    for (; j < samples; ++j) {
      const F ordinal = F(j) + F(0.5), sample = grid.size < 0 ? grid.samples - ordinal : ordinal;
      const F at = position(sample);
      if (at > grid.length) break;
      if (counts(at, sample)) add_sample(at);
    }
  }

  // Where positions are rounded to more than a pixel: as the text has it.
  void look_around() {
    const F end = std::min(std::floor(inside(position(grid.samples - F(0.5)))) + 1, grid.last);
    const F apart = grid.size / grid.samples;
    for (F pixel = std::floor(inside(position(F(0.5)))); pixel <= end; ++pixel) {
      const F near = std::floor((pixel - 1 - first) / apart - F(0.5)) - 1;
      const F from = std::min(std::max(near, F(0)), grid.samples);
      F total = 0;
      for (int i = 0; i < kNear; ++i) {
        const F sample = from + (F(i) + F(0.5)), at = position(sample);
        if (!counts(at, sample)) continue;
        const F q = inside(at), low = std::floor(q), share = q - low;
        if (low == pixel) total += 1 - share;
        if (std::min(low + 1, grid.last) == pixel) total += share;
      }
      taps[count++] = {int32_t(pixel), total};
    }
  }

  // Of what was found, that which has a weight.
  int64_t finish() {
    int64_t kept = 0;
    for (int64_t i = 0; i < count; ++i) {
      const F weight = taps[i].weight / grid.samples;
      if (weight != 0) taps[kept++] = {taps[i].pixel, weight};
    }
    return kept;
  }
};

template <class F>
class Aligner {
 public:
  Aligner(const AlignTaps& call, AlignedTaps& result) : call_(call), result_(result) {
    for (const MapSizes& map : call.maps) images_ += map.images;
  }

  template <class In>
  void run() {
    const int64_t count = call_.rois.count;
    result_.image.resize(count);
    grids_[0].resize(count);
    grids_[1].resize(count);
    for (int64_t k = 0; k < count; ++k) {
      const In* const row = static_cast<const In*>(call_.rois.start) + k * call_.rois.row_stride;
      result_.image[k] = region(row, k);
      result_.all_regions = result_.all_regions && result_.image[k] >= 0;
    }
    find(grids_[0], call_.bins_y, result_.y);
    find(grids_[1], call_.bins_x, result_.x);
  }

 private:
  template <class In>
  int32_t region(const In* row, int64_t k) {
    const In index = row[0];
    if (!(index >= 0 && index < In(images_) && index == std::floor(index))) return -1;
    int64_t before = 0;
    const MapSizes* map = call_.maps.data();
    for (; index >= In(before + map->images); ++map) before += map->images;
    const F limit = std::numeric_limits<F>::max() / 8;
    const F scale[] = {F(map->scale_y), F(map->scale_x)};
    F ends[4];  // y1, x1, y2, x2
    for (int i = 0; i < 4; ++i) {
      ends[i] = scale[i % 2] * F(row[((i ^ 1) + 1) * call_.rois.column_stride]);
      if (!(std::abs(ends[i]) <= limit)) return -1;
    }
    grids_[0][k] = grid(ends[0], ends[2], map->height, call_.bins_y);
    grids_[1][k] = grid(ends[1], ends[3], map->width, call_.bins_x);
    return int32_t(index);
  }

  Grid<F> grid(F begin, F end, int64_t length, int64_t bins) const {
    const F offset = call_.aligned ? F(0.5) : F(0);
    Grid<F> grid{};
    grid.begin = begin - offset;
    grid.size = (end - offset) - grid.begin;
    if (!call_.aligned && grid.size < 1) grid.size = 1;
    grid.size /= F(bins);
    grid.adaptive = call_.sampling_ratio <= 0;
    grid.samples = grid.adaptive ? std::ceil(grid.size) : F(call_.sampling_ratio);
    grid.length = F(length);
    grid.last = call_.maps.size() == 1 ? F(length - 1) : F(length) - 1;
    grid.none = grid.samples <= 0 || length == 0;
    grid.exact =
        std::abs(double(grid.begin)) + double(bins) * std::abs(double(grid.size)) + double(length) <
        kExact;
    return grid;
  }

  // At most so many taps are found in all of a region's bins, which lie side by side.
  static int64_t most(const Grid<F>& grid, int64_t bins) {
    if (grid.none) return 0;
    const double each = grid.adaptive ? double(grid.size) + 4 : 2 * double(grid.samples);
    return int64_t(std::min(double(bins) * each, double(grid.length) + 4 * double(bins)));
  }

  void find(const std::vector<Grid<F>>& grids, int64_t bins, AxisTaps& axis) const {
    const int64_t count = call_.rois.count;
    std::vector<int64_t> place(count + 1, 0);
    for (int64_t k = 0; k < count; ++k)
      place[k + 1] = place[k] + (result_.image[k] < 0 ? 0 : most(grids[k], bins));
    const Workspace memory(bytes_of(place[count], sizeof(Tap<F>)));
    Tap<F>* const found = static_cast<Tap<F>*>(memory.at(0));
    axis.taps.resize(bytes_of(count, bins, 2));
    in_parallel([&](int64_t k) {
      Tap<F>* next = found + place[k];
      for (int64_t p = 0; p < bins; ++p) {
        int64_t taps = 0;
        if (result_.image[k] >= 0 && !grids[k].none) taps = bin(grids[k], p, next);
        next += taps;
        axis.taps[(k * bins + p) * 2 + 1] = int32_t(taps);
      }
    });
    int64_t total = 0;
    for (int64_t i = 0; i < count * bins; ++i) {
      axis.taps[2 * i] = int32_t(total);
      total += axis.taps[2 * i + 1];
      axis.taps[2 * i + 1] = int32_t(total);
    }
    if (total > INT32_MAX) throw std::bad_alloc();  // what counts taps could not hold it
    axis.pixel.resize(total);
    if (call_.sums_in_double)
      put(found, place, bins, axis, axis.wide_weight);
    else
      put(found, place, bins, axis, axis.weight);
  }

  static int64_t bin(const Grid<F>& grid, int64_t p, Tap<F>* taps) {
    Walk<F> walk{grid, grid.begin + F(p) * grid.size, taps};
    if (grid.exact || !grid.adaptive)
      walk.walk();
    else
      walk.look_around();
    return walk.finish();
  }

  template <class Weight>
  void put(const Tap<F>* found, const std::vector<int64_t>& place, int64_t bins, AxisTaps& axis,
           std::vector<Weight>& weight) const {
    weight.resize(axis.pixel.size());
    in_parallel([&](int64_t k) {
      const Tap<F>* from = found + place[k];
      const int64_t end = bins > 0 ? axis.taps[(k + 1) * bins * 2 - 1] : 0;
      for (int64_t s = bins > 0 ? axis.taps[k * bins * 2] : 0; s < end; ++s, ++from) {
        axis.pixel[s] = from->pixel;
        weight[s] = Weight(from->weight);
      }
    });
  }

  template <class Task>
  void in_parallel(const Task& task) const {
    const int64_t count = call_.rois.count;
    const int64_t tasks = (count + kRegionsPerTask - 1) / kRegionsPerTask;
    parallel_for(call_.threads, tasks, [&](int64_t i, int) {
      const int64_t end = std::min(count, (i + 1) * kRegionsPerTask);
      for (int64_t k = i * kRegionsPerTask; k < end; ++k) task(k);
    });
  }

  const AlignTaps& call_;
  AlignedTaps& result_;
  int64_t images_ = 0;
  std::vector<Grid<F>> grids_[2];
};

}  // namespace

AlignedTaps align_taps(const AlignTaps& call) {
  AlignedTaps result;
  if (call.in_double)
    Aligner<double>(call, result).run<double>();
  else if (call.rois.is_double)
    Aligner<float>(call, result).run<double>();
  else
    Aligner<float>(call, result).run<float>();
  return result;
}

}  // namespace roipool
