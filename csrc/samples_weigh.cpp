// What the weights of each bin's largest sample are multiplied by, along y, along x or both: a task
// sums those of a region, whose taps are its own.
#include <algorithm>
#include <atomic>
#include <cstring>

#include "samples_call.h"
#include "threads.h"

namespace roipool {
namespace {

constexpr int64_t kReadsPerThread = 1e4;  // fewer are done sooner alone

void* zeros_of(const Array* weights) {
  if (!weights) return nullptr;
  void* const sums = contiguous(*weights);
  std::memset(sums, 0, std::size_t(weights->shape[0] * weights->itemsize));
  return sums;
}

bool weigh(const TapCall& taps, Winners winners, const Array* y, const Array* x) {
  const TapSums sums{zeros_of(y), zeros_of(x), 0};
  if (taps.regions * taps.channels * taps.bins() == 0) return true;
  const RegionsByImage by_image(taps.image, taps.regions, taps.maps.images());
  const TapPlan plan = plan_taps(taps, by_image, {y != nullptr, x != nullptr});
  const SampleKernels kernels = chosen_isa().samples(taps.dtype);
  const int64_t most = 1 + taps.regions * taps.channels * taps.bins() / kReadsPerThread;
  const int threads = int(std::min({int64_t(taps.threads), most, taps.regions}));
  const int64_t bytes = kernels.lists_bytes(plan.most_taps, taps.y.count + taps.x.count);
  const Workspace memory(bytes_of(bytes, threads));
  std::atomic<bool> known{true};
  parallel_for(threads, taps.regions, [&](int64_t k, int worker) {
    if (taps.image[k] < 0) return;
    const Map map = taps.maps.at(taps.image[k]);
    if (!kernels.weigh({map.start, map.height, map.width, map.strides}, int(taps.channels),
                       {taps.y, taps.x, &k, 1, plan.reach.data()}, taps.pooled, winners, sums,
                       memory.at(worker * bytes)))
      known = false;
  });
  return known;
}

}  // namespace

bool samples_weigh_y_call(const Call& call) {
  const Array& pooled = call.input(0);
  const TapCall taps = tap_call(call, call.inputs[1], pooled, nullptr, &call.input(2), 3, 1);
  return weigh(taps, winners_of(call.input(4), pooled), call.result(0), nullptr);
}

bool samples_weigh_x_call(const Call& call) {
  const Array& pooled = call.input(0);
  const TapCall taps = tap_call(call, call.inputs[1], pooled, &call.input(2), nullptr, 3, 1);
  return weigh(taps, winners_of(call.input(4), pooled), nullptr, call.result(0));
}

bool samples_weigh_call(const Call& call) {
  const Array& pooled = call.input(0);
  const TapCall taps = tap_call(call, call.inputs[1], pooled, &call.input(2), &call.input(3), 4, 1);
  return weigh(taps, winners_of(call.input(5), pooled), call.result(0), call.result(1));
}

}  // namespace roipool
