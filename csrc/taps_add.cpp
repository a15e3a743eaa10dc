// Adds pooled values at their taps: a task sums a block of channels over a strip of an image, from
// all regions that reach into it.
#include <algorithm>

#include "tap_plan.h"
#include "threads.h"

namespace roipool {
namespace {

constexpr int64_t kStripBytes = kOwnCache / 4;

}  // namespace

bool taps_add_call(const Call& call) {
  const TapCall taps =
      tap_call(call, call.results[0], call.input(0), &call.input(1), &call.input(2), 3);
  const RegionsByImage by_image(taps.image, taps.regions, taps.maps.images());
  const TapKernels kernels = tap_kernels_for(taps);
  const int64_t blocks = ceil_div(taps.channels, kernels.lanes);
  const TapPlan plan = plan_taps(taps, by_image, {});
  const int64_t most_bytes = std::min(kStripBytes, taps.room() / taps.threads);
  const int64_t most_pixels = std::max<int64_t>(1, most_bytes / kernels.pixel_bytes);
  std::vector<TapPiece> strips;
  int64_t pixels = 0;
  double area = 0;
  for (int64_t image = 0; image < taps.maps.images(); ++image) {
    const Map map = taps.maps.at(image);
    const int64_t width = std::min(map.width, most_pixels);
    const int64_t height = std::max<int64_t>(1, most_pixels / std::max<int64_t>(1, width));
    for (int64_t y = 0; y < map.height; y += height)
      for (int64_t x = 0; x < map.width; x += width) {
        const Box box{y, x, std::min(y + height, map.height), std::min(x + width, map.width)};
        strips.push_back({image, box, by_image.list(image), by_image.count(image)});
        pixels = std::max(pixels, tap_pixels(box));
        area += double(box.area());
      }
  }
  const int64_t tasks = int64_t(strips.size()) * blocks;
  if (tasks == 0) return true;
  const int threads =
      int(std::min<int64_t>(threads_for(taps, (plan.work + 2 * area) * double(blocks)), tasks));
  const int64_t block_bytes = bytes_of(pixels, kernels.pixel_bytes);
  const int64_t bytes = block_bytes + kernels.scratch_bytes(plan.most_taps, taps.bins());
  const Workspace memory(bytes_of(bytes, threads));
  parallel_for(threads, tasks, [&](int64_t task, int worker) {
    const TapPiece& strip = strips[task / blocks];
    const int64_t channel = task % blocks * kernels.lanes;
    const TapBlock block{memory.at(worker * bytes), strip.box,
                         int(std::min<int64_t>(kernels.lanes, taps.channels - channel))};
    kernels.add(block, taps.some(plan, strip), taps.pooled_from(channel),
                memory.at(worker * bytes + block_bytes));
    const Map map = taps.maps.at(strip.image);
    const Strides& s = map.strides;
    const int64_t first = channel * s.channel + strip.box.y0 * s.row + strip.box.x0 * s.column;
    kernels.put(block, map.start + first * size_of(taps.dtype), s, false);
  });
  return true;
}

}  // namespace roipool
