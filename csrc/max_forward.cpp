#include <algorithm>
#include <atomic>
#include <cstring>
#include <span>
#include <vector>

#include "isa.h"
#include "max_pool.h"
#include "memory.h"
#include "plan.h"
#include "threads.h"

namespace roipool {
namespace {

constexpr int64_t kLeastBatch = 4 << 20;           // bytes packed at once, however small the call
constexpr int64_t kMostBatch = 6 << 20;            // and for each thread, however large
constexpr int64_t kBuiltTogether = kOwnCache / 4;  // packed before the next levels are built
constexpr int64_t kCachedResult = 16 << 20;        // a larger one is written around the caches
constexpr double kWorkPerThread = 1e5;  // in reads of a vector: less is done sooner alone
constexpr double kSortWork = 1500;      // in a region: with more, neighbours go together
constexpr int64_t kMostRegions = 64;    // in one task

// One channel block of one image, packed for all the image's regions.
struct Unit {
  int64_t image, channel;
  Block block;
  std::atomic<bool> negative_zero{false};

  Unit(int64_t image, int64_t channel, Block block)
      : image(image), channel(channel), block(block) {}
  Unit(Unit&& other) : Unit(other.image, other.channel, other.block) {}
};

// The narrowest blocks that hold all channels: lanes without a channel cost as much as others.
MaxKernels kernels_for(const Isa& best, const MaxForward& call) {
  for (const Isa* isa : isas_here()) {
    if (isa == &best) break;
    const MaxKernels kernels = isa->max(call.dtype, call.argmax, call.wide);
    if (kernels.lanes >= call.shape.channels) return kernels;
  }
  return best.max(call.dtype, call.argmax, call.wide);
}

class Forward {
 public:
  Forward(const Isa& isa, const MaxForward& call)
      : call_(call),
        kernels_(kernels_for(isa, call)),
        by_image_(call.edges.image, call.edges.count, call.shape.images),
        result_{call.values,
                steps_of(call.channels_last, call.shape.channels, call.edges.bins()),
                call.argmax,
                call.shape.channels * call.edges.bins(),
                call.shape.width,
                call.edges.count * call.shape.channels * call.edges.bins() * size_of(call.dtype) >
                    kCachedResult} {}

  void run() {
    double work = 0;
    for (int64_t image = 0; image < call_.shape.images; ++image) {
      plans_.push_back(
          plan_image(call_.edges, by_image_.list(image), by_image_.count(image), call_.argmax));
      work += plans_[image].work;
      // Levels are built only where they take less memory than the call's own arrays.
      int& levels = plans_[image].levels;
      const double level = double(plans_[image].box.area()) * kernels_.pixel_bytes;
      while (levels > 1 && level * levels > std::max(own_bytes(), double(kMostBatch))) --levels;
    }
    const int64_t blocks = ceil_div(call_.shape.channels, kernels_.lanes);
    threads_ = int(std::min(double(call_.threads), 1 + work * double(blocks) / kWorkPerThread));
    fill_rows_that_are_no_regions();
    pool_alone(blocks);
    pool_shared(blocks);
  }

 private:
  double own_bytes() const {
    return (double(call_.shape.images * call_.shape.channels) * double(call_.shape.plane()) +
            double(call_.edges.count) * double(result_.region)) *
           double(size_of(call_.dtype));
  }

  int64_t packed_bytes(const Box& box, int levels) const {
    return bytes_of(box.height(), box.width(), kernels_.pixel_bytes, levels);
  }

  int64_t packed_bytes(const Unit& unit) const {
    return packed_bytes(unit.block.box, unit.block.levels);
  }

  void fill_rows_that_are_no_regions() const {
    const auto& none = by_image_.none();
    const int64_t row = result_.region * size_of(call_.dtype);
    const int64_t argmax_row = result_.region * (call_.wide ? 8 : 4);
    parallel_for(threads_, int64_t(none.size()), [&](int64_t i, int) {
      std::memset(static_cast<char*>(call_.values) + none[i] * row, 0, row);
      if (call_.argmax)
        std::memset(static_cast<char*>(call_.argmax) + none[i] * argmax_row, 0xff, argmax_row);
    });
  }

  // Channels in the block that starts at `channel`.
  int channels_from(int64_t channel) const {
    return int(std::min<int64_t>(kernels_.lanes, call_.shape.channels - channel));
  }

  const void* element(int64_t at) const {
    return static_cast<const char*>(call_.data) + at * size_of(call_.dtype);
  }

  // Just behind the last element, whichever way the strides run.
  const void* end_of_data() const {
    const auto last = [](int64_t count, int64_t stride) {
      return stride > 0 ? (count - 1) * stride : 0;
    };
    const Strides& s = call_.strides;
    const Shape& shape = call_.shape;
    return element(last(shape.images, s.image) + last(shape.channels, s.channel) +
                   last(shape.height, s.row) + last(shape.width, s.column) + 1);
  }

  bool pack(int64_t image, int64_t channel, const Box& box, void* to) const {
    const Strides& s = call_.strides;
    const int64_t at = image * s.image + channel * s.channel + box.y0 * s.row + box.x0 * s.column;
    return kernels_.pack(element(at), end_of_data(), s, channels_from(channel), box.height(),
                         box.width(), to);
  }

  void reduce(const Block& block, const int64_t* list, int64_t count, int64_t channel) const {
    const Edges& e = call_.edges;
    kernels_.reduce(block, {e.rows, e.cols, e.bins_y, e.bins_x, list, count}, result_, channel);
  }

  // Few regions on a large map: each packs just what it covers, into its thread's own buffer.
  void pool_alone(int64_t blocks) const {
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
        bytes = std::max(bytes, packed_bytes(tasks.back().box, 1));
      }
    }
    const int64_t count = int64_t(tasks.size()) * blocks;
    const Workspace workspace(bytes_of(bytes, std::min<int64_t>(threads_, count)));
    parallel_for(threads_, count, [&](int64_t index, int worker) {
      const Task& task = tasks[index / blocks];
      const int64_t channel = index % blocks * kernels_.lanes;
      void* packed = workspace.at(worker * bytes);
      Block block{task.box, {packed}, 1, channels_from(channel), false};
      block.negative_zero = pack(task.image, channel, block.box, packed);
      reduce(block, task.region, 1, channel);
    });
  }

  // Many regions: blocks of channels are packed whole, then reduced region by region, in at most a
  // quarter of the memory of the call's own arrays, and no more than stays near the cores; but at
  // least one block.
  void pool_shared(int64_t blocks) {
    std::vector<Unit> units;
    int64_t most = 0, all = 0;
    for (int64_t image = 0; image < call_.shape.images; ++image) {
      const ImagePlan& plan = plans_[image];
      if (!plan.shared) continue;
      if (plan.work * double(blocks) > kSortWork * double(by_image_.count(image)))
        by_image_.sort_by_place(image, call_.edges);
      for (int64_t channel = 0; channel < call_.shape.channels; channel += kernels_.lanes) {
        units.emplace_back(image, channel,
                           Block{plan.box, {}, plan.levels, channels_from(channel), false});
        most = std::max(most, packed_bytes(units.back()));
        all += packed_bytes(units.back());
      }
    }
    const int64_t budget = int64_t(
        std::min(std::max(own_bytes() / 4, double(kLeastBatch)), double(kMostBatch) * threads_));
    // A small result is filled block by block, without waiting for each other; a large one in long
    // stretches of memory.
    if (!result_.around_caches && int64_t(units.size()) >= 2 * threads_ &&
        most <= budget / threads_)
      pool_blocks(units, most);
    else
      pool_batches(units, std::max(most, std::min(all, budget)));
  }

  void pool_blocks(std::vector<Unit>& units, int64_t most) const {
    const Workspace workspace(bytes_of(most, threads_));
    parallel_for(threads_, int64_t(units.size()), [&](int64_t index, int worker) {
      Unit& unit = units[index];
      lay_out(unit.block, workspace.at(worker * most));
      build_rows(unit, 0, unit.block.box.height());
      unit.block.negative_zero = unit.negative_zero;
      reduce(unit.block, by_image_.list(unit.image), by_image_.count(unit.image), unit.channel);
    });
  }

  void pool_batches(std::vector<Unit>& units, int64_t bytes) const {
    const Workspace workspace(bytes);
    for (auto begin = units.begin(), end = begin; begin != units.end(); begin = end) {
      for (int64_t at = 0; end != units.end() && at + packed_bytes(*end) <= bytes; ++end) {
        lay_out(end->block, workspace.at(at));
        at += packed_bytes(*end);
      }
      pool_batch({begin, end});
    }
  }

  // One level behind the other.
  void lay_out(Block& block, void* memory) const {
    for (int level = 0; level < block.levels; ++level)
      block.level[level] = static_cast<char*>(memory) + packed_bytes(block.box, level);
  }

  void pool_batch(std::span<Unit> batch) const {
    by_rows(batch, [&](Unit& unit, int64_t y0, int64_t y1) { build_rows(unit, y0, y1); });
    by_rows(batch, [&](Unit& unit, int64_t y0, int64_t y1) { build_seam(unit, y0, y1); });
    for (Unit& unit : batch) unit.block.negative_zero = unit.negative_zero;
    reduce_batch(batch);
  }

  // Packs rows [y0, y1) and builds the windows that lie within them, each level from what is still
  // in a core's cache.
  void build_rows(Unit& unit, int64_t y0, int64_t y1) const {
    const int64_t row = unit.block.box.width() * kernels_.pixel_bytes;
    const int64_t step = std::max<int64_t>(1, kBuiltTogether / row);
    for (int64_t from = y0; from < y1; from += step) {
      const int64_t to = std::min(from + step, y1);
      pack_rows(unit, from, to);
      for (int level = 1; level < unit.block.levels; ++level)
        widen_rows(unit, level, std::max(y0, from - reach(level)), to - reach(level));
    }
  }

  // The windows that begin in rows [y0, y1) and end behind them.
  void build_seam(const Unit& unit, int64_t y0, int64_t y1) const {
    for (int level = 1; level < unit.block.levels; ++level)
      widen_rows(unit, level, std::max(y0, y1 - reach(level)), y1);
  }

  // How many more rows a window of the level has than one.
  static int64_t reach(int level) { return (int64_t(1) << level) - 1; }

  void pack_rows(Unit& unit, int64_t y0, int64_t y1) const {
    const Box& box = unit.block.box;
    const Box part{box.y0 + y0, box.x0, box.y0 + y1, box.x1};
    if (pack(unit.image, unit.channel, part, level_at(unit, 0, y0))) unit.negative_zero = true;
  }

  void widen_rows(const Unit& unit, int level, int64_t y0, int64_t y1) const {
    const Box& box = unit.block.box;
    kernels_.widen(unit.block.level[level - 1], level_at(unit, level, 0), int64_t(1) << (level - 1),
                   box, y0, std::min(y1, box.height() - reach(level)));
  }

  void* level_at(const Unit& unit, int level, int64_t y) const {
    return static_cast<char*>(const_cast<void*>(unit.block.level[level])) +
           y * unit.block.box.width() * kernels_.pixel_bytes;
  }

  // Cuts each unit into as many runs of rows as keep all threads busy, none shorter than its
  // windows: a seam then needs no other.
  template <class Task>
  void by_rows(std::span<Unit> batch, const Task& task) const {
    const int64_t cuts = ceil_div(kTasksPerThread * threads_, int64_t(batch.size()));
    parallel_for(threads_, int64_t(batch.size()) * cuts, [&](int64_t index, int) {
      Unit& unit = batch[index / cuts];
      const int64_t rows =
          std::max(ceil_div(unit.block.box.height(), cuts), int64_t(1) << unit.block.levels);
      const int64_t y0 = index % cuts * rows;
      const int64_t y1 = std::min(y0 + rows, unit.block.box.height());
      if (y0 < y1) task(unit, y0, y1);
    });
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
      const int64_t run = std::min(kMostRegions, ceil_div(count, kTasksPerThread * threads_));
      for (int64_t i = 0; i < count; i += run)
        tasks.push_back({unit, next, by_image_.list(image) + i, std::min(run, count - i)});
      unit = next;
    }
    parallel_for(threads_, int64_t(tasks.size()), [&](int64_t index, int) {
      const Task& task = tasks[index];
      for (const Unit* unit = task.begin; unit != task.end; ++unit)
        reduce(unit->block, task.list, task.count, unit->channel);
    });
  }

  const MaxForward& call_;
  const MaxKernels kernels_;
  RegionsByImage by_image_;
  const Result result_;
  std::vector<ImagePlan> plans_;
  int threads_ = 1;
};

}  // namespace

void max_forward(const Isa& isa, const MaxForward& call) {
  if (call.edges.count * call.shape.channels * call.edges.bins() > 0) Forward(isa, call).run();
}

}  // namespace roipool
