// Adds pooled values where they are read: a task sums a block of channels over a strip of an image,
// from all regions that reach into it.
#include <algorithm>
#include <cstring>

#include "sum_plan.h"
#include "threads.h"

namespace roipool {
namespace {

constexpr int64_t kStripBytes = kOwnCache * 4;

// A box of an image with the regions that may reach into it. Where they reach little of the image,
// it is all that they reach, and the planes are zeroed around it.
struct Strip : SumPiece {
  bool few;
};

void zero(const Map& map, int64_t channel, int64_t channels, int64_t bytes) {
  for (int64_t c = channel; c < channel + channels; ++c)
    std::memset(map.start + c * map.strides.channel * bytes, 0, std::size_t(map.plane() * bytes));
}

}  // namespace

bool add_sums(const SumCall& call) {
  const SumKernels kernels = kernels_for(call);
  const int64_t blocks = ceil_div(call.channels, kernels.lanes);
  const SumPlan plan = plan_sums(call);
  const int64_t most_bytes = std::min(kStripBytes, call.room() / call.threads);
  const int64_t most_pixels = std::max<int64_t>(1, most_bytes / kernels.pixel_bytes);
  std::vector<Strip> strips;
  strips.reserve(std::size_t(call.maps.images()));
  int64_t pixels = 0;
  double area = 0;
  for (int64_t image = 0; image < call.maps.images(); ++image) {
    const Map map = call.maps.at(image);
    const int64_t* const list = call.by_image.list(image);
    const int64_t count = call.by_image.count(image);
    const Box& all = plan.reached[image];
    const bool planes = map.strides.column == 1 && map.strides.row == map.width;
    if (planes && map.plane() > 0 && 2 * all.area() <= map.plane() && all.area() <= most_pixels) {
      strips.push_back({{image, all, list, count}, true});
      pixels = std::max(pixels, packed_pixels(all));
      area += double(map.plane()) / 2;
      continue;
    }
    const int64_t width = std::min(map.width, most_pixels);
    const int64_t height = std::max<int64_t>(1, most_pixels / std::max<int64_t>(1, width));
    for (int64_t y = 0; y < map.height; y += height)
      for (int64_t x = 0; x < map.width; x += width) {
        const Box box{y, x, std::min(y + height, map.height), std::min(x + width, map.width)};
        strips.push_back({{image, box, list, count}, false});
        pixels = std::max(pixels, packed_pixels(box));
        area += double(box.area());
      }
  }
  if (strips.empty() || blocks == 0) return true;
  const int enough = threads_for(call, kernels, plan.work + 2 * area);
  const int64_t plane_bytes = bytes_of(pixels, kernels.pixel_bytes);
  const int64_t together =
      blocks_together(blocks, int64_t(strips.size()), plane_bytes, call.room(), enough);
  const int64_t groups = ceil_div(blocks, together);
  const int64_t tasks = int64_t(strips.size()) * groups;
  const int threads = int(std::min<int64_t>(enough, tasks));
  const int64_t block_bytes = bytes_of(plane_bytes, together);
  const int64_t bytes = block_bytes + kernels.scratch_bytes(plan.most);
  const Workspace memory(bytes_of(bytes, threads));
  parallel_for(threads, tasks, [&](int64_t task, int worker) {
    const Strip& strip = strips[task / groups];
    const int64_t from = task % groups * together * kernels.lanes;
    const SumBlock sums{memory.at(worker * bytes), strip.box,
                        int(std::min(together * kernels.lanes, call.channels - from))};
    const Map map = call.maps.at(strip.image);
    const int64_t itemsize = size_of(call.dtype);
    if (strip.few) zero(map, from, sums.channels, itemsize);
    if (strip.box.area() == 0) return;
    kernels.add(sums, plan.regions(call, strip), call.pooled_from(from),
                memory.at(worker * bytes + block_bytes));
    const Strides& s = map.strides;
    const int64_t pixel = strip.box.y0 * s.row + strip.box.x0 * s.column;
    const int64_t plane = packed_pixels(strip.box) * kernels.pixel_bytes;
    for (int64_t c = 0; c < sums.channels; c += kernels.lanes) {
      const SumBlock block{static_cast<char*>(sums.pixels) + c / kernels.lanes * plane, strip.box,
                           int(std::min<int64_t>(kernels.lanes, sums.channels - c))};
      kernels.put(block, map.start + ((from + c) * s.channel + pixel) * itemsize, s, false);
    }
  });
  return true;
}

}  // namespace roipool
