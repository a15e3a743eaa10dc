#include "geometry.h"

#include "inclusive_bins.h"
#include "scaled.h"

namespace roipool {
namespace {

template <class F>
void axis_bins(F first, F last, int64_t length, int64_t count, int32_t* bins) {
  const InclusiveBins<F> found(first, last, length, count);
  for (int64_t p = 0; p < count; ++p) bins[2 * p] = found.begin(p), bins[2 * p + 1] = found.end(p);
}

template <class F, class In>
bool fill(const RegionBins& call) {
  const ScaledRows<F, float, In> rows(call.rois, call.maps);
  const int64_t y_size = call.pooled_h * 2, x_size = call.pooled_w * 2;
  bool all_regions = true;
  for (int64_t k = 0; k < call.rois.count; ++k) {
    const Scaled<F> region = rows[k];
    int32_t *const y_bins = call.y_bins + k * y_size, *const x_bins = call.x_bins + k * x_size;
    call.image[k] = region.image;
    if (region.image < 0) {
      std::fill_n(y_bins, y_size, 0);
      std::fill_n(x_bins, x_size, 0);
      all_regions = false;
    } else {
      axis_bins(region.y1, region.y2, region.map->height, call.pooled_h, y_bins);
      axis_bins(region.x1, region.x2, region.map->width, call.pooled_w, x_bins);
    }
  }
  return all_regions;
}

}  // namespace

bool fill_bins(const RegionBins& call) {
  if (call.in_double) return fill<double, double>(call);
  return call.rois.is_double ? fill<float, double>(call) : fill<float, float>(call);
}

}  // namespace roipool
