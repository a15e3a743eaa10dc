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

constexpr int64_t kLeastBatch = 4 << 20;     // bytes packed at once, however small the call
constexpr int64_t kMostBatch = 6 << 20;      // and for each thread, however large
constexpr int64_t kCachedResult = 16 << 20;  // a larger one is written around the caches
constexpr double kSortWork = 1500;           // in a region: with more, neighbours go together
constexpr int64_t kMostRegions = 64;         // in one task

class Forward {
 public:
  Forward(const Isa& isa, const MaxForward& call)
      : call_(call),
        by_image_(call.edges.image, call.edges.count, call.shape.images),
        result_{call.values,
                steps_of(call.channels_last, call.shape.channels, call.edges.bins()),
                call.argmax,
                call.shape.channels * call.edges.bins(),
                call.shape.width,
                call.edges.count * call.shape.channels * call.edges.bins() * size_of(call.dtype) >
                    kCachedResult} {
    for (int64_t image = 0; image < call.shape.images; ++image)
      plans_.push_back(plan_image(call.edges, by_image_.list(image), by_image_.count(image)));
    choice_ = choose(isa, call, plans_, room());
  }

  void run() {
    fill_rows_that_are_no_regions();
    pool_alone();
    pool_shared();
  }

 private:
  double own_bytes() const {
    const int64_t value = size_of(call_.dtype), position = call_.argmax ? call_.wide ? 8 : 4 : 0;
    return double(call_.shape.images * call_.shape.channels) * double(call_.shape.plane() * value) +
           double(call_.edges.count) * double(result_.region * (value + position));
  }

  // The memory that packed maps may take, together with their levels.
  double room() const { return std::max(own_bytes() / 4, double(kLeastBatch)); }

  void fill_rows_that_are_no_regions() const {
    const auto& none = by_image_.none();
    const int64_t row = result_.region * size_of(call_.dtype);
    const int64_t argmax_row = result_.region * (call_.wide ? 8 : 4);
    parallel_for(choice_.threads, int64_t(none.size()), [&](int64_t i, int) {
      std::memset(static_cast<char*>(call_.values) + none[i] * row, 0, row);
      if (call_.argmax)
        std::memset(static_cast<char*>(call_.argmax) + none[i] * argmax_row, 0xff, argmax_row);
    });
  }

  void reduce(const Block& block, const int64_t* list, int64_t count, int64_t channel) const {
    const Edges& e = call_.edges;
    choice_.kernels.reduce(block, {e.rows, e.cols, e.bins_y, e.bins_x, list, count}, result_,
                           channel);
  }

  // Few regions on a large map: each packs just what it covers, into its thread's own buffer.
  void pool_alone() const {
    struct Task {
      int64_t image;
      const int64_t* region;
      Box box;
    };
    std::vector<Task> tasks;
    int64_t bytes = 0;
    for (int64_t image = 0; image < call_.shape.images; ++image) {
      if (plans_[image].shared) continue;
      for (int64_t i = 0; i < by_image_.count(image); ++i) {
        const int64_t* region = by_image_.list(image) + i;
        tasks.push_back({image, region, covered(call_.edges, *region)});
        bytes = std::max(bytes, builder_.map_bytes(tasks.back().box));
      }
    }
    const int64_t blocks = ceil_div(call_.shape.channels, choice_.kernels.lanes);
    const int64_t count = int64_t(tasks.size()) * blocks;
    const Workspace workspace(bytes_of(bytes, std::min<int64_t>(choice_.threads, count)));
    parallel_for(choice_.threads, count, [&](int64_t index, int worker) {
      const Task& task = tasks[index / blocks];
      const int64_t channel = index % blocks * choice_.kernels.lanes;
      void* packed = workspace.at(worker * bytes);
      Block block{task.box, {}, builder_.channels_from(channel), false};
      std::fill_n(block.level, kLevels, Level{packed, 1});
      block.negative_zero = builder_.pack(task.image, channel, block.box, packed);
      reduce(block, task.region, 1, channel);
    });
  }

  // Many regions: blocks of channels are packed whole, then reduced region by region. Where there
  // is room each thread does so by itself, in memory that no other core changes; the blocks that
  // would leave threads idle are shared among all.
  void pool_shared() {
    std::vector<Unit> units;
    for (int64_t image = 0; image < call_.shape.images; ++image) {
      const ImagePlan& plan = plans_[image];
      const Levels& levels = choice_.levels[image];
      if (!plan.shared) continue;
      const int lanes = choice_.kernels.lanes;
      if (levels.work * double(ceil_div(call_.shape.channels, lanes)) >
          kSortWork * double(by_image_.count(image)))
        by_image_.sort_by_place(image, call_.edges);
      for (int64_t channel = 0; channel < call_.shape.channels; channel += lanes)
        units.emplace_back(image, channel,
                           Block{plan.box, {}, builder_.channels_from(channel), false},
                           levels.kept);
    }
    const int64_t count = int64_t(units.size());
    const std::span<Unit> all(units);
    const auto apart = all.first(choice_.apart ? count - count % choice_.threads : 0);
    pool_apart(apart);
    pool_together(all.subspan(apart.size()));
  }

  void pool_apart(std::span<Unit> units) const {
    int64_t ring = 0;
    for (const Unit& unit : units) ring = std::max(ring, builder_.ring_bytes(unit));
    const int64_t each = choice_.most + ring;
    const Workspace workspace(bytes_of(each, std::min<int64_t>(choice_.threads, units.size())));
    parallel_for(choice_.threads, int64_t(units.size()), [&](int64_t index, int worker) {
      Unit& unit = units[index];
      builder_.lay_out(unit, workspace.at(worker * each));
      builder_.build(unit, workspace.at(worker * each + choice_.most));
      reduce(unit.block, by_image_.list(unit.image), by_image_.count(unit.image), unit.channel);
      unit.map.reset();
    });
  }

  // In batches that stay near the cores, but of one block at least.
  void pool_together(std::span<Unit> units) const {
    if (units.empty()) return;
    const int64_t bytes =
        std::max(choice_.most, int64_t(std::min(room(), double(kMostBatch) * choice_.threads)));
    const Workspace workspace(std::min(bytes, bytes_of(choice_.most, units.size())));
    for (auto begin = units.begin(), end = begin; begin != units.end(); begin = end) {
      for (int64_t at = 0; end != units.end() && at + builder_.kept_bytes(*end) <= bytes; ++end) {
        builder_.lay_out(*end, workspace.at(at));
        at += builder_.kept_bytes(*end);
      }
      builder_.build({begin, end}, choice_.threads);
      reduce_batch({begin, end});
      for (Unit& unit : std::span(begin, end)) unit.map.reset();
    }
  }

  // A task is a run of one image's regions through all its blocks in the batch: a thread writes
  // whole stretches of the result, so two threads seldom meet on a page.
  void reduce_batch(std::span<const Unit> batch) const {
    struct Task {
      const Unit *begin, *end;
      const int64_t* list;
      int64_t count;
    };
    std::vector<Task> tasks;
    const Unit* const end = batch.data() + batch.size();
    for (const Unit* unit = batch.data(); unit != end;) {
      const int64_t image = unit->image;
      const Unit* next = std::find_if(unit, end, [&](const Unit& u) { return u.image != image; });
      const int64_t count = by_image_.count(image);
      const int64_t run =
          std::min(kMostRegions, ceil_div(count, kTasksPerThread * choice_.threads));
      for (int64_t i = 0; i < count; i += run)
        tasks.push_back({unit, next, by_image_.list(image) + i, std::min(run, count - i)});
      unit = next;
    }
    parallel_for(choice_.threads, int64_t(tasks.size()), [&](int64_t index, int) {
      const Task& task = tasks[index];
      for (const Unit* unit = task.begin; unit != task.end; ++unit)
        reduce(unit->block, task.list, task.count, unit->channel);
    });
  }

  const MaxForward& call_;
  Choice choice_;
  const WindowBuilder builder_{call_, choice_.kernels};
  RegionsByImage by_image_;
  const Result result_;
  std::vector<ImagePlan> plans_;
};

}  // namespace

void max_forward(const Isa& isa, const MaxForward& call) {
  if (call.edges.count * call.shape.channels * call.edges.bins() > 0) Forward(isa, call).run();
}

}  // namespace roipool
