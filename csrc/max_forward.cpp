#include <algorithm>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "build.h"
#include "isa.h"
#include "max_pool.h"
#include "memory.h"
#include "plan.h"
#include "threads.h"

namespace roipool {
namespace {

constexpr int64_t kLeastBatch = 4 << 20;     // bytes packed at once, however small the call
constexpr int64_t kMostBatch = 6 << 20;      // and for each thread, however large
constexpr int64_t kCachedResult = 16 << 20;  // a larger one is written around the caches
constexpr double kWorkPerThread = 1e5;       // in reads of a vector: less is done sooner alone
constexpr double kSortWork = 1500;           // in a region: with more, neighbours go together
constexpr double kNarrowRead = 0.6;   // what a vector half as wide costs, against a whole one
constexpr int64_t kMostRegions = 64;  // in one task

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
    plan(isa);
  }

  void run() {
    const int64_t blocks = blocks_of(kernels_);
    threads_ = int(std::min(double(call_.threads), 1 + work_ / kWorkPerThread));
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

  int64_t blocks_of(const MaxKernels& kernels) const {
    return ceil_div(call_.shape.channels, kernels.lanes);
  }

  void plan(const Isa& best) {
    double pixels = 0;
    for (int64_t image = 0; image < call_.shape.images; ++image) {
      plans_.push_back(
          plan_image(call_.edges, by_image_.list(image), by_image_.count(image), call_.argmax));
      if (plans_[image].may_widen)
        pixels = std::max(pixels, double(plans_[image].box.area()) * kLevels);
    }
    // Blocks of many channels take the least time, those of few the least memory, and so may keep
    // more levels. Lanes without a channel cost as much as others.
    double least = std::numeric_limits<double>::infinity(), read = 1;
    const auto isas = isas_here();
    for (auto isa = std::find(isas.rbegin(), isas.rend(), &best); isa != isas.rend(); ++isa) {
      const MaxKernels kernels = (*isa)->max(call_.dtype, call_.argmax, call_.wide);
      const auto narrower = std::next(isa);
      if (narrower != isas.rend() &&
          (*narrower)->max(call_.dtype, call_.argmax, call_.wide).lanes >= call_.shape.channels)
        continue;
      const double most_pixels = room() / kernels.pixel_bytes;
      std::vector<Levels> levels;
      double work = 0;
      for (const ImagePlan& plan : plans_) {
        levels.push_back(choose_levels(plan, most_pixels));
        work += levels.back().work;
      }
      work *= double(blocks_of(kernels)) * read;
      if (work < least) {
        least = work;
        kernels_ = kernels;
        levels_ = levels;
        work_ = work;
      }
      if (pixels <= most_pixels) break;  // room for all levels
      read *= kNarrowRead;
    }
  }

  // The memory that packed maps may take, together with their levels.
  double room() const { return std::max(own_bytes() / 4, double(kLeastBatch)); }

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
        bytes = std::max(bytes, builder_.level_bytes(tasks.back().box));
      }
    }
    const int64_t count = int64_t(tasks.size()) * blocks;
    const Workspace workspace(bytes_of(bytes, std::min<int64_t>(threads_, count)));
    parallel_for(threads_, count, [&](int64_t index, int worker) {
      const Task& task = tasks[index / blocks];
      const int64_t channel = index % blocks * kernels_.lanes;
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
  void pool_shared(int64_t blocks) {
    std::vector<Unit> units;
    int64_t most = 0;
    for (int64_t image = 0; image < call_.shape.images; ++image) {
      if (!plans_[image].shared) continue;
      if (levels_[image].work * double(blocks) > kSortWork * double(by_image_.count(image)))
        by_image_.sort_by_place(image, call_.edges);
      for (int64_t channel = 0; channel < call_.shape.channels; channel += kernels_.lanes) {
        units.emplace_back(image, channel,
                           Block{plans_[image].box, {}, builder_.channels_from(channel), false},
                           levels_[image].kept);
        most = std::max(most, builder_.bytes(units.back()));
      }
    }
    const int64_t count = int64_t(units.size());
    const bool apart = count >= 2 * threads_ && double(most) * threads_ <= room();
    const std::span<Unit> all(units), first = all.first(apart ? count - count % threads_ : 0);
    pool_apart(first, most);
    pool_together(all.subspan(first.size()), most);
  }

  void pool_apart(std::span<Unit> units, int64_t most) const {
    const Workspace workspace(bytes_of(most, std::min<int64_t>(threads_, units.size())));
    parallel_for(threads_, int64_t(units.size()), [&](int64_t index, int worker) {
      Unit& unit = units[index];
      builder_.lay_out(unit, workspace.at(worker * most));
      builder_.build(unit);
      reduce(unit.block, by_image_.list(unit.image), by_image_.count(unit.image), unit.channel);
      unit.map.reset();
    });
  }

  // In batches that stay near the cores, but of one block at least.
  void pool_together(std::span<Unit> units, int64_t most) const {
    if (units.empty()) return;
    const int64_t bytes = std::max(most, int64_t(std::min(room(), double(kMostBatch) * threads_)));
    const Workspace workspace(std::min(bytes, bytes_of(most, units.size())));
    for (auto begin = units.begin(), end = begin; begin != units.end(); begin = end) {
      for (int64_t at = 0; end != units.end() && at + builder_.bytes(*end) <= bytes; ++end) {
        builder_.lay_out(*end, workspace.at(at));
        at += builder_.bytes(*end);
      }
      builder_.build({begin, end}, threads_);
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
  MaxKernels kernels_{};
  const Builder builder_{call_, kernels_};
  RegionsByImage by_image_;
  const Result result_;
  std::vector<ImagePlan> plans_;
  std::vector<Levels> levels_;  // of each image
  double work_ = 0;             // in reads of a widest vector
  int threads_ = 1;
};

}  // namespace

void max_forward(const Isa& isa, const MaxForward& call) {
  if (call.edges.count * call.shape.channels * call.edges.bins() > 0) Forward(isa, call).run();
}

}  // namespace roipool
