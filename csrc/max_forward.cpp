#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "isa.h"
#include "max_pool.h"
#include "memory.h"
#include "plan.h"
#include "threads.h"
#include "windows.h"

namespace roipool {
namespace {

// Bytes packed at once, however small the call, and for each thread, however large. With 1 or 2 MB
// a thread fast_rcnn takes 5 to 15 % longer.
constexpr int64_t kLeastBatch = 4 << 20, kMostBatch = 6 << 20;

// A larger result is written around the caches. From 4 MB on train's forward would be 14 % faster,
// but its backward, which reads it, 5 % slower.
constexpr int64_t kCachedResult = 16 << 20;

constexpr double kSortWork = 1500;    // in a region: with more, neighbours go together
constexpr int64_t kMostRegions = 64;  // in one task: 32 are 7 % slower, 128 and 256 no faster

int64_t position_bytes(const MaxForward& call) { return call.argmax ? call.wide ? 8 : 4 : 0; }

Result result_of(const MaxForward& call) {
  const int64_t region = call.data.channels() * call.edges.bins();
  return {call.values, steps_of(call.channels_last, call.data.channels(), call.edges.bins()),
          call.argmax, region, call.edges.count * region * size_of(call.dtype) > kCachedResult};
}

// The memory that packed maps may take, together with their levels: a quarter of what the call's
// arrays take.
double room_of(const MaxForward& call) {
  const double values = double(call.edges.count) * double(call.data.channels() * call.edges.bins());
  const double bytes = (call.data.elements() + values) * double(size_of(call.dtype)) +
                       values * double(position_bytes(call));
  return std::max(bytes / 4, double(kLeastBatch));
}

// Of images that have regions.
std::vector<ImagePlan> plans_of(const MaxForward& call, const RegionsByImage& regions) {
  std::vector<ImagePlan> plans;
  for (int64_t image = 0; image < call.data.images(); ++image) {
    if (regions.count(image) == 0) continue;
    const Map map = call.data.at(image);
    plans.push_back(plan_image(call.edges, regions.list(image), regions.count(image),
                               map.channels_last(), map.beside(call.data.channels())));
    plans.back().image = image;
  }
  return plans;
}

// What the tasks of a call are made from.
struct Pooling {
  const MaxForward& call;
  const RegionsByImage& regions;
  const std::vector<ImagePlan>& plans;
  const Choice& choice;
  const WindowBuilder& builder;
  const Result result = result_of(call);

  void reduce(const Block& block, const int64_t* list, int64_t count, int64_t channel) const {
    const Edges& e = call.edges;
    choice.kernels.reduce(block, {e.y_bins, e.x_bins, e.pooled_h, e.pooled_w, list, count}, result,
                          channel);
  }
};

void fill_rows_that_are_no_regions(const Pooling& p) {
  const std::vector<int64_t>& none = p.regions.none();
  const int64_t row = p.result.region * size_of(p.call.dtype);
  const int64_t argmax_row = p.result.region * position_bytes(p.call);
  parallel_for(p.choice.threads, int64_t(none.size()), [&](int64_t i, int) {
    std::memset(static_cast<char*>(p.call.values) + none[i] * row, 0, row);
    if (p.call.argmax)
      std::memset(static_cast<char*>(p.call.argmax) + none[i] * argmax_row, 0xff, argmax_row);
  });
}

// Few regions on a large map: each packs just what it covers, into its thread's own buffer.
void pool_per_region(const Pooling& p) {
  struct Task {
    int64_t image;
    const int64_t* region;
    Box box;
  };
  std::vector<Task> tasks;
  int64_t bytes = 0;
  for (const ImagePlan& plan : p.plans) {
    if (plan.per_image) continue;
    for (int64_t i = 0; i < p.regions.count(plan.image); ++i) {
      const int64_t* region = p.regions.list(plan.image) + i;
      tasks.push_back({plan.image, region, covered(p.call.edges, *region)});
      bytes = std::max(bytes, p.builder.map_bytes(tasks.back().box));
    }
  }
  const int lanes = p.choice.kernels.lanes;
  const int64_t blocks = ceil_div(p.call.data.channels(), lanes);
  const int64_t count = int64_t(tasks.size()) * blocks;
  const Workspace workspace(bytes_of(bytes, std::min<int64_t>(p.choice.threads, count)));
  parallel_for(p.choice.threads, count, [&](int64_t index, int worker) {
    const Task& task = tasks[index / blocks];
    const int64_t channel = index % blocks * lanes;
    void* packed = workspace.at(worker * bytes);
    Block block{
        task.box, p.call.data.at(task.image).width, {}, p.builder.channels_from(channel), false};
    std::fill_n(block.level, kLevels, Level{packed, 1});
    block.negative_zero = p.builder.pack(task.image, channel, block.box, packed);
    p.reduce(block, task.region, 1, channel);
  });
}

// Nothing is packed: a task is a row of a region's bins, of one channel or of all that lie side by
// side.
void pool_in_place(const Pooling& p, const MaxKernels& kernels) {
  const Edges& e = p.call.edges;
  const int64_t channels = p.call.data.channels(), bytes = size_of(p.call.dtype);
  const int64_t each = channels * e.pooled_h;
  parallel_for(p.choice.threads, e.count * each, [&](int64_t task, int) {
    const int64_t k = task / each, channel = task % each / e.pooled_h, y = task % e.pooled_h;
    if (e.image[k] < 0) return;
    const Map map = p.call.data.at(e.image[k]);
    const int64_t together = map.beside(channels);
    if (channel % together) return;
    const int64_t place = k * p.result.region, bin = y * e.pooled_w;
    const int64_t value = place + channel * p.result.steps.channel + bin * p.result.steps.bin;
    const int64_t position = place + channel * e.bins() + bin;
    kernels.in_place(
        {map.start + channel * map.strides.channel * bytes, map.end, map.strides, map.width,
         int(together), e.y_bins + (k * e.pooled_h + y) * 2, e.x_bins + k * e.pooled_w * 2,
         e.pooled_w, static_cast<char*>(p.call.values) + value * bytes, p.result.steps,
         p.call.argmax ? static_cast<char*>(p.call.argmax) + position * position_bytes(p.call)
                       : nullptr,
         e.bins(), p.call.wide});
  });
}

// The blocks of channels that are packed whole, then reduced region by region.
std::vector<Unit> units_of(const Pooling& p) {
  std::vector<Unit> units;
  for (std::size_t i = 0; i < p.plans.size(); ++i) {
    const ImagePlan& plan = p.plans[i];
    const int64_t width = p.call.data.at(plan.image).width;
    for (int64_t c = 0; plan.per_image && c < p.call.data.channels(); c += p.choice.kernels.lanes)
      units.emplace_back(plan.image, c,
                         Block{plan.box, width, {}, p.builder.channels_from(c), false},
                         p.choice.levels[i].kept);
  }
  return units;
}

// Each thread packs and reduces blocks by itself, in memory that no other core changes.
void pool_private(const Pooling& p, std::span<Unit> units) {
  int64_t ring = 0;
  for (const Unit& unit : units) ring = std::max(ring, p.builder.ring_bytes(unit));
  const int64_t kept = p.choice.most, each = kept + ring;
  const Workspace workspace(bytes_of(each, std::min<int64_t>(p.choice.threads, units.size())));
  parallel_for(p.choice.threads, int64_t(units.size()), [&](int64_t index, int worker) {
    Unit& unit = units[index];
    p.builder.lay_out(unit, workspace.at(worker * each));
    p.builder.build(unit, workspace.at(worker * each + kept));
    in_runs(p.regions.count(unit.image), [&](int64_t first, int64_t count) {
      p.reduce(unit.block, p.regions.list(unit.image) + first, count, unit.channel);
    });
    unit.map.reset();
  });
}

// A task is a run of one image's regions through all its blocks in the batch: a thread writes
// whole stretches of the result, so two threads seldom meet on a page.
void reduce_batch(const Pooling& p, std::span<const Unit> batch) {
  struct Task {
    std::span<const Unit> units;
    const int64_t* list;
    int64_t count;
  };
  std::vector<Task> tasks;
  while (!batch.empty()) {
    const int64_t image = batch[0].image, count = p.regions.count(image);
    const auto next = std::find_if(batch.begin(), batch.end(),
                                   [&](const Unit& unit) { return unit.image != image; });
    const auto units = batch.first(next - batch.begin());
    const int64_t run = std::min(kMostRegions, ceil_div(count, kTasksPerThread * p.choice.threads));
    for (int64_t i = 0; i < count; i += run)
      tasks.push_back({units, p.regions.list(image) + i, std::min(run, count - i)});
    batch = batch.subspan(units.size());
  }
  parallel_for(p.choice.threads, int64_t(tasks.size()), [&](int64_t index, int) {
    const Task& task = tasks[index];
    for (const Unit& unit : task.units) p.reduce(unit.block, task.list, task.count, unit.channel);
  });
}

// All threads share each block, in batches that stay near the cores, but of one block at least.
void pool_shared(const Pooling& p, std::span<Unit> units, double room) {
  if (units.empty()) return;
  const int64_t most = p.choice.most;
  const int64_t bytes =
      std::max(most, int64_t(std::min(room, double(kMostBatch) * p.choice.threads)));
  const Workspace workspace(std::min(bytes, bytes_of(most, units.size())));
  for (auto begin = units.begin(), end = begin; begin != units.end(); begin = end) {
    for (int64_t at = 0; end != units.end() && at + p.builder.kept_bytes(*end) <= bytes; ++end) {
      p.builder.lay_out(*end, workspace.at(at));
      at += p.builder.kept_bytes(*end);
    }
    const std::span<Unit> batch(begin, end);
    p.builder.build(batch, p.choice.threads);
    reduce_batch(p, batch);
    for (Unit& unit : batch) unit.map.reset();
  }
}

}  // namespace

void max_forward(const Isa& isa, const MaxForward& call) {
  if (call.edges.count * call.data.channels() * call.edges.bins() == 0) return;
  RegionsByImage regions(call.edges.image, call.edges.count, call.data.images());
  const std::vector<ImagePlan> plans = plans_of(call, regions);
  const Demand demand{call.data.channels(), call.argmax != nullptr, call.threads, room_of(call)};
  const std::vector<MaxKernels> widths =
      max_kernels_by_width(isa, call.dtype, call.argmax, call.wide);
  const Choice choice = choose(widths, demand, plans);
  const int64_t blocks = ceil_div(call.data.channels(), choice.kernels.lanes);
  for (std::size_t i = 0; i < plans.size(); ++i) {
    const int64_t image = plans[i].image;
    if (plans[i].per_image &&
        choice.levels[i].work * double(blocks) > kSortWork * double(regions.count(image)))
      regions.sort_by_place(image, call.edges);
  }
  const WindowBuilder builder(call, choice.kernels);
  const Pooling pooling{call, regions, plans, choice, builder};
  fill_rows_that_are_no_regions(pooling);
  if (choice.in_place) return pool_in_place(pooling, widths[0]);
  pool_per_region(pooling);
  // Where there is room each thread has blocks of its own; those that would leave threads idle are
  // shared among all.
  std::vector<Unit> units = units_of(pooling);
  const int64_t count = int64_t(units.size());
  const int64_t own = choice.private_blocks ? count - count % choice.threads : 0;
  pool_private(pooling, std::span(units).first(own));
  pool_shared(pooling, std::span(units).subspan(own), demand.room);
}

}  // namespace roipool
