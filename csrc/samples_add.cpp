// Adds pooled values at the taps of each bin's largest sample.
#include <atomic>

#include "samples_call.h"
#include "tap_walks.h"

namespace roipool {

bool samples_add_call(const Call& call) {
  const Array& pooled = call.input(0);
  const TapCall taps =
      tap_call(call, call.results[0], pooled, &call.input(1), &call.input(2), 3, 1);
  const Winners winners = winners_of(call.input(4), pooled);
  const RegionsByImage by_image(taps.image, taps.regions, taps.maps.images());
  const TapPlan plan = plan_taps(taps, by_image, {});
  const Isa& isa = isa_for(taps);
  const SampleKernels kernels = isa.samples(taps.dtype);
  std::atomic<bool> known{true};
  add_in_strips(
      taps, isa.taps(taps.dtype), by_image, plan,
      kernels.add_bytes(plan.most_taps, taps.y.count, taps.x.count),
      [&](const TapBlock& block, const TapRegions& regions, int64_t channel, void* scratch) {
        if (!kernels.add(block, regions, taps.pooled_from(channel), winners + channel * taps.bins(),
                         scratch))
          known = false;
      });
  return known;
}

}  // namespace roipool
