#include <algorithm>
#include <atomic>
#include <vector>

#include "isa.h"
#include "max_pool.h"
#include "memory.h"
#include "regions.h"
#include "threads.h"

namespace roipool {
namespace {

constexpr int64_t kLeastChannels = 2;    // summed together
constexpr int64_t kLeastRoom = 4 << 20;  // bytes of sums, however small the call
constexpr int64_t kLeastBeside = 16;     // where they lie side by side in memory

int64_t sum_bytes(const MaxBackward& call) {
  return std::max<int64_t>(size_of(call.dtype), sizeof(float));
}

bool summed_in_place(const MaxBackward& call, const Map& map) {
  return size_of(call.dtype) == sum_bytes(call) && !map.channels_last();
}

// Channels summed together: as many planes as stay in a core's own cache beside what is read, and
// tasks for all threads.
int64_t group_of(const MaxBackward& call, const Map& map) {
  const int64_t channels = call.grad_data.channels();
  const int64_t cached = kOwnCache / 2 / std::max<int64_t>(1, map.plane() * sum_bytes(call));
  const int64_t shared = call.grad_data.images() * channels / (kTasksPerThread * call.threads);
  const int64_t least =
      map.channels_last() || call.grad_channels_last ? kLeastBeside : kLeastChannels;
  const int64_t most = std::max<int64_t>(1, std::min({std::max(cached, least), shared, channels}));
  return ceil_div(channels, ceil_div(channels, most));
}

// The memory that sums may take beside the result: a quarter of what the call's arrays take.
int64_t room_of(const MaxBackward& call) {
  const double pooled = double(call.regions) * double(call.grad_data.channels() * call.bins);
  const double bytes = (call.grad_data.elements() + pooled) * double(size_of(call.dtype)) +
                       pooled * (call.wide ? 8 : 4);
  return std::max(kLeastRoom, int64_t(std::min(bytes / 4, double(INT64_MAX / 2))));
}

}  // namespace

bool max_backward(const Isa& isa, const MaxBackward& call) {
  struct Task {
    int64_t image, channel, channels, first, pixels;
  };
  std::vector<Task> tasks;
  const int64_t channels = call.grad_data.channels(), room = room_of(call);
  int64_t scratch = 0;
  for (const MapArray& array : call.grad_data.arrays()) {
    if (array.images * array.plane() * channels == 0) continue;
    const Map map = call.grad_data.at(array.first);
    const int64_t group = group_of(call, map);
    int64_t pixels = map.plane();
    if (!summed_in_place(call, map)) {
      const int64_t most = room / (call.threads * group * sum_bytes(call));
      pixels = std::min(pixels, std::max<int64_t>(1, most));
      scratch = std::max(scratch, bytes_of(group, pixels, sum_bytes(call)));
    }
    for (int64_t image = 0; image < array.images; ++image)
      for (int64_t c = 0; c < channels; c += group)
        for (int64_t at = 0; at < map.plane(); at += pixels)
          tasks.push_back({array.first + image, c, std::min(group, channels - c), at,
                           std::min(pixels, map.plane() - at)});
  }
  const ScatterMax scatter = isa.scatter_max(call.dtype, call.wide);
  const RegionsByImage by_image(call.image, call.regions, call.grad_data.images());
  const int64_t bytes = size_of(call.dtype), index_bytes = call.wide ? 8 : 4;
  const Steps steps = steps_of(call.grad_channels_last, channels, call.bins);
  const Workspace sums(bytes_of(scratch, std::min<int64_t>(call.threads, tasks.size())));
  std::atomic<bool> inside{true};
  parallel_for(call.threads, int64_t(tasks.size()), [&](int64_t index, int worker) {
    const Task& task = tasks[index];
    const Map map = call.grad_data.at(task.image);
    const int64_t c = task.channel;
    const Pooled pooled{static_cast<const char*>(call.grad) + c * steps.channel * bytes, steps,
                        static_cast<const char*>(call.argmax) + c * call.bins * index_bytes,
                        channels * call.bins, call.bins};
    const int64_t place =
        map.channels_last() ? task.first * channels + c : c * map.plane() + task.first;
    const GradData grad_data{map.start + place * bytes, map.channels_last() ? channels : 0,
                             summed_in_place(call, map) ? nullptr : sums.at(worker * scratch)};
    if (!scatter(pooled, by_image.list(task.image), by_image.count(task.image), task.channels,
                 {task.first, task.pixels, map.plane()}, grad_data))
      inside = false;
  });
  return inside;
}

}  // namespace roipool
