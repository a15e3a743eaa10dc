// Reads feature maps at the taps of each bin's largest sample.
#include <algorithm>
#include <atomic>

#include "samples_call.h"
#include "threads.h"

namespace roipool {
namespace {

constexpr int64_t kChannels = 64;         // of a region, read in one task
constexpr int64_t kReadsPerThread = 1e4;  // fewer are done sooner alone

}  // namespace

bool samples_read_call(const Call& call) {
  const Array& pooled = *call.result(0);
  const TapCall taps = tap_call(call, call.inputs[0], pooled, &call.input(1), &call.input(2), 3, 1);
  const Winners winners = winners_of(call.input(4), pooled);
  if (taps.regions * taps.channels * taps.bins() == 0) return true;
  const RegionsByImage by_image(taps.image, taps.regions, taps.maps.images());
  taps.set_none(by_image);
  const TapPlan plan = plan_taps(taps, by_image, {});
  const SampleKernels kernels = chosen_isa().samples(taps.dtype);
  const int64_t groups = ceil_div(taps.channels, kChannels), tasks = taps.regions * groups;
  const int64_t most = 1 + taps.regions * taps.channels * taps.bins() / kReadsPerThread;
  const int threads = int(std::min({int64_t(taps.threads), most, tasks}));
  const int64_t bytes = kernels.lists_bytes(plan.most_taps, taps.y.count + taps.x.count);
  const Workspace memory(bytes_of(bytes, threads));
  std::atomic<bool> known{true};
  parallel_for(threads, tasks, [&](int64_t task, int worker) {
    const int64_t k = task / groups, channel = task % groups * kChannels;
    if (taps.image[k] < 0) return;
    const Map map = taps.maps.at(taps.image[k]);
    const char* const start = map.start + channel * map.strides.channel * size_of(taps.dtype);
    const int channels = int(std::min(kChannels, taps.channels - channel));
    if (!kernels.read({start, map.height, map.width, map.strides}, channels,
                      {taps.y, taps.x, &k, 1, plan.reach.data()}, taps.pooled_from(channel),
                      winners + channel * taps.bins(), memory.at(worker * bytes)))
      known = false;
  });
  return known;
}

}  // namespace roipool
