#include "geometry.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace roipool {
namespace {

// max(end − begin + 1, 1) rounded once: see inclusive_size in geometry.py.
template <class F>
F inclusive_size(F begin, F end) {
  const F near = end - begin;
  const F back = near - end;
  const F lost = (end - (near - back)) - (begin + back);
  const F above = near + lost * 2;
  const F size = lost > 0 && above - near == lost * 2 ? above : near + (lost + 1);
  return size < 1 ? F(1) : size;
}

template <class F>
void axis_edges(F begin, F end, int64_t length, int64_t count, int32_t* edges) {
  const F step = inclusive_size(begin, end) / F(count);
  const auto inside = [&](F offset) {
    // Exact wherever the sum lies inside the map: double holds every length there is.
    return int32_t(std::clamp(double(offset) + double(begin), 0.0, double(length)));
  };
  for (int64_t p = 0; p < count; ++p) {
    edges[2 * p] = inside(std::floor(F(p) * step));
    edges[2 * p + 1] = inside(std::ceil(F(p + 1) * step));
  }
}

template <class F, class In>
bool fill(const MaxBins& call) {
  const F scale = F(float(call.spatial_scale));
  const F limit = std::numeric_limits<F>::max() / 8;
  bool all_regions = true;
  for (int64_t k = 0; k < call.rois.count; ++k) {
    const In* const row = static_cast<const In*>(call.rois.start) + k * call.rois.row_stride;
    const In index = row[0];
    bool is_region = index >= 0 && index < In(call.images) && index == std::floor(index);
    F corner[4];
    for (int i = 0; i < 4; ++i) {
      const F scaled = F(row[(i + 1) * call.rois.column_stride]) * scale;
      is_region = is_region && std::abs(scaled) <= limit;
      corner[i] = std::round(scaled);
    }
    if (!is_region) std::fill_n(corner, 4, F(-9));  // off the map, where every bin is empty
    call.image[k] = is_region ? int32_t(index) : -1;
    axis_edges(corner[1], corner[3], call.height, call.bins_y, call.rows + k * call.bins_y * 2);
    axis_edges(corner[0], corner[2], call.width, call.bins_x, call.cols + k * call.bins_x * 2);
    all_regions = all_regions && is_region;
  }
  return all_regions;
}

}  // namespace

bool max_bins(const MaxBins& call) {
  if (call.in_double) return fill<double, double>(call);
  return call.rois.is_double ? fill<float, double>(call) : fill<float, float>(call);
}

}  // namespace roipool
