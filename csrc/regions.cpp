#include "regions.h"

#include <algorithm>
#include <bit>
#include <tuple>

namespace roipool {

constexpr int32_t kStrip = 8;  // rows in which regions are neighbours from left to right

RegionsByImage::RegionsByImage(const int32_t* image, int64_t count, int64_t images)
    : start_(images + 1, 0) {
  for (int64_t k = 0; k < count; ++k)
    if (image[k] < 0)
      none_.push_back(k);
    else
      ++start_[image[k] + 1];
  for (int64_t i = 0; i < images; ++i) start_[i + 1] += start_[i];
  order_.resize(start_[images]);
  std::vector<int64_t> next(start_.begin(), start_.end() - 1);
  for (int64_t k = 0; k < count; ++k)
    if (image[k] >= 0) order_[next[image[k]]++] = k;
}

void RegionsByImage::sort_by_place(int64_t image, const Edges& edges) {
  std::vector<std::tuple<int, int32_t, int32_t, int64_t>> places;
  for (int64_t i = start_[image]; i < start_[image + 1]; ++i) {
    const int32_t* y = edges.y_bins + order_[i] * edges.pooled_h * 2;
    const int32_t* x = edges.x_bins + order_[i] * edges.pooled_w * 2;
    const int level = std::bit_width(uint32_t(std::max(0, std::min(y[1] - y[0], x[1] - x[0]))));
    places.emplace_back(level, y[0] / kStrip, x[0], order_[i]);
  }
  std::sort(places.begin(), places.end());
  for (int64_t i = 0; i < int64_t(places.size()); ++i)
    order_[start_[image] + i] = std::get<int64_t>(places[i]);
}

namespace {

struct Interval {
  int64_t begin, end;
};

// From the first to the last pixel of the non-empty bins along one axis.
Interval covered_axis(const int32_t* edges, int64_t bins) {
  Interval covered{INT32_MAX, 0};
  for (int64_t p = 0; p < bins; ++p) {
    if (edges[2 * p] >= edges[2 * p + 1]) continue;
    covered.begin = std::min<int64_t>(covered.begin, edges[2 * p]);
    covered.end = std::max<int64_t>(covered.end, edges[2 * p + 1]);
  }
  return covered;
}

}  // namespace

Box covered(const Edges& edges, int64_t region) {
  const Interval y = covered_axis(edges.y_bins + region * edges.pooled_h * 2, edges.pooled_h);
  const Interval x = covered_axis(edges.x_bins + region * edges.pooled_w * 2, edges.pooled_w);
  if (y.begin >= y.end || x.begin >= x.end) return {};
  return {y.begin, x.begin, y.end, x.end};
}

}  // namespace roipool
