#include <algorithm>
#include <atomic>

#include "isa.h"
#include "max_pool.h"
#include "memory.h"
#include "regions.h"
#include "threads.h"

namespace roipool {

constexpr int64_t kLeastChannels = 2;  // summed together
constexpr int64_t kLeastBeside = 16;   // where they lie side by side in memory

bool max_backward(const Isa& isa, const MaxBackward& call) {
  if (call.shape.channels * call.shape.plane() == 0) return true;
  const ScatterMax scatter = isa.scatter_max(call.dtype, call.wide);
  const RegionsByImage by_image(call.image, call.regions, call.shape.images);
  const int64_t bytes = size_of(call.dtype), index_bytes = call.wide ? 8 : 4;
  const int64_t plane = call.shape.plane(), channels = call.shape.channels;
  const Steps steps = steps_of(call.grad_channels_last, channels, call.bins);
  // Channels summed together: as many planes as stay in a core's own cache beside what is read,
  // and tasks for all threads.
  const int64_t sum_bytes = std::max<int64_t>(bytes, sizeof(float));
  const int64_t cached = kOwnCache / 2 / std::max<int64_t>(1, plane * sum_bytes);
  const int64_t shared = call.shape.images * channels / (kTasksPerThread * call.threads);
  const int64_t least =
      call.channels_last || call.grad_channels_last ? kLeastBeside : kLeastChannels;
  const int64_t most = std::max<int64_t>(1, std::min({std::max(cached, least), shared, channels}));
  const int64_t groups = ceil_div(channels, most), group = ceil_div(channels, groups);
  const int64_t tasks = call.shape.images * groups;
  const bool in_place = bytes == sum_bytes && !call.channels_last;
  const int64_t scratch = in_place ? 0 : bytes_of(group, plane, sum_bytes);
  const Workspace sums(bytes_of(scratch, std::min<int64_t>(call.threads, tasks)));
  std::atomic<bool> inside{true};
  parallel_for(call.threads, tasks, [&](int64_t task, int worker) {
    const int64_t image = task / groups, c = task % groups * group;
    const Pooled pooled{static_cast<const char*>(call.grad) + c * steps.channel * bytes, steps,
                        static_cast<const char*>(call.argmax) + c * call.bins * index_bytes,
                        channels * call.bins, call.bins};
    const int64_t first = image * channels * plane + c * (call.channels_last ? 1 : plane);
    const GradData grad_data{static_cast<char*>(call.grad_data) + first * bytes,
                             call.channels_last ? channels : 0,
                             in_place ? nullptr : sums.at(worker * scratch)};
    const bool fits = scatter(pooled, by_image.list(image), by_image.count(image),
                              std::min(group, channels - c), plane, grad_data);
    if (!fits) inside = false;
  });
  return inside;
}

}  // namespace roipool
