// The largest of each bin's samples, and which it is.
#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "samples_call.h"
#include "tap_walks.h"

namespace roipool {

bool samples_max_call(const Call& call) {
  const Array &pooled = *call.result(0), *argmax = call.result(1);
  const TapCall taps = tap_call(call, call.inputs[0], pooled, &call.input(1), &call.input(2), 3);
  int32_t* const winners = argmax ? winners_of(*argmax, pooled) : nullptr;
  if (taps.regions * taps.channels * taps.bins() == 0) return true;
  const RegionsByImage by_image(taps.image, taps.regions, taps.maps.images());
  taps.set_none(by_image);
  if (winners)
    for (const int64_t k : by_image.none())
      std::fill_n(winners + k * taps.pooled.region, taps.pooled.region, -1);
  const TapPlan plan = plan_taps(taps, by_image, {});
  if (double(plan.most_y / 2) * double(plan.most_x / 2) > INT32_MAX)
    throw std::invalid_argument("a bin has more samples than int32 can count");
  const Isa& isa = isa_for(taps);
  const SampleKernels kernels = isa.samples(taps.dtype);
  const auto from = [&](int64_t channel) {
    return winners ? winners + channel * taps.bins() : nullptr;
  };
  read_pieces(
      taps, isa.taps(taps.dtype), plan,
      kernels.max_bytes(plan.most_taps, taps.y.count + taps.x.count, plan.most_x),
      {[&](const TapBlock& block, const TapRegions& regions, int64_t channel, void* scratch) {
         kernels.max(block, regions, taps.pooled_from(channel), from(channel), scratch);
       },
       [&](const TapMap& map, int channels, const TapRegions& regions, int64_t channel,
           void* scratch) {
         kernels.max_map(map, channels, regions, taps.pooled_from(channel), from(channel), scratch);
       }});
  return true;
}

}  // namespace roipool
