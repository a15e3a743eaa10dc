#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <deque>
#include <limits>
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
constexpr double kNarrowRead = 0.6;     // what a vector half as wide costs, against a whole one
constexpr int64_t kMostRegions = 64;    // in one task
constexpr int64_t kLeastRun = 2;        // rows packed in one task, in sides of the widest windows

// One channel block of one image, packed for all the image's regions.
struct Unit {
  int64_t image, channel;
  Block block;
  unsigned kept;  // levels, as in ImagePlan
  char* memory = nullptr;
  std::atomic<bool> negative_zero{false};

  Unit(int64_t image, int64_t channel, Block block, unsigned kept)
      : image(image), channel(channel), block(block), kept(kept) {}
  Unit(Unit&& other) : Unit(other.image, other.channel, other.block, other.kept) {}

  bool keeps(int level) const { return kept >> level & 1; }
  int top() const { return int(std::bit_width(kept)) - 1; }
};

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

  int64_t row_bytes(const Box& box) const { return bytes_of(box.width(), kernels_.pixel_bytes); }
  int64_t level_bytes(const Box& box) const { return bytes_of(box.height(), row_bytes(box)); }

  int64_t packed_bytes(const Unit& unit) const {
    return bytes_of(level_bytes(unit.block.box), std::popcount(unit.kept));
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
        bytes = std::max(bytes, level_bytes(tasks.back().box));
      }
    }
    const int64_t count = int64_t(tasks.size()) * blocks;
    const Workspace workspace(bytes_of(bytes, std::min<int64_t>(threads_, count)));
    parallel_for(threads_, count, [&](int64_t index, int worker) {
      const Task& task = tasks[index / blocks];
      const int64_t channel = index % blocks * kernels_.lanes;
      void* packed = workspace.at(worker * bytes);
      Block block{task.box, {}, channels_from(channel), false};
      std::fill_n(block.level, kLevels, Level{packed, 1});
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
      if (!plans_[image].shared) continue;
      if (levels_[image].work * double(blocks) > kSortWork * double(by_image_.count(image)))
        by_image_.sort_by_place(image, call_.edges);
      for (int64_t channel = 0; channel < call_.shape.channels; channel += kernels_.lanes) {
        units.emplace_back(image, channel,
                           Block{plans_[image].box, {}, channels_from(channel), false},
                           levels_[image].kept);
        most = std::max(most, packed_bytes(units.back()));
        all += packed_bytes(units.back());
      }
    }
    const int64_t budget = int64_t(std::min(room(), double(kMostBatch) * threads_));
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
      lay_out(unit, workspace.at(worker * most));
      build_rows(unit, 0, unit.block.box.height(), nullptr);
      unit.block.negative_zero = unit.negative_zero;
      const Workspace map(lacks_map(unit) ? level_bytes(unit.block.box) : 0);
      if (lacks_map(unit)) {
        unit.block.level[0] = {map.at(0), 1};
        pack_map(unit, 0, unit.block.box.height());
      }
      reduce(unit.block, by_image_.list(unit.image), by_image_.count(unit.image), unit.channel);
    });
  }

  void pool_batches(std::vector<Unit>& units, int64_t bytes) const {
    const Workspace workspace(bytes);
    for (auto begin = units.begin(), end = begin; begin != units.end(); begin = end) {
      for (int64_t at = 0; end != units.end() && at + packed_bytes(*end) <= bytes; ++end) {
        lay_out(*end, workspace.at(at));
        at += packed_bytes(*end);
      }
      pool_batch({begin, end});
    }
  }

  // The levels kept, one behind the other.
  void lay_out(Unit& unit, void* memory) const {
    unit.memory = static_cast<char*>(memory);
    Level widest{};
    for (int level = 0; level < kLevels; ++level) {
      if (unit.keeps(level)) widest = {row_of(unit, level, 0), int64_t(1) << level};
      unit.block.level[level] = widest;
    }
  }

  // Where a level's row is built: what is not kept lies where the next level then takes its place.
  char* row_of(const Unit& unit, int level, int64_t y) const {
    const int before = std::popcount(unit.kept & ((1u << level) - 1));
    return unit.memory + before * level_bytes(unit.block.box) + y * row_bytes(unit.block.box);
  }

  void pool_batch(std::span<Unit> batch) const {
    const int64_t cuts = ceil_div(kTasksPerThread * threads_, int64_t(batch.size()));
    int64_t saved = 0;
    if (cuts > 1)
      for (const Unit& unit : batch) saved = std::max(saved, saved_bytes(unit));
    const Workspace seams(bytes_of(saved, batch.size(), cuts));
    by_rows(batch, cuts, [&](Unit& unit, int64_t y0, int64_t y1, int64_t run) {
      build_rows(unit, y0, y1, static_cast<char*>(seams.at(run * saved)));
    });
    by_rows(batch, cuts, [&](Unit& unit, int64_t, int64_t y1, int64_t run) {
      build_seam(unit, y1, static_cast<char*>(seams.at((run + 1) * saved)));
    });
    std::deque<Workspace> maps;
    for (Unit& unit : batch) {
      unit.block.negative_zero = unit.negative_zero;
      if (lacks_map(unit))
        unit.block.level[0] = {maps.emplace_back(level_bytes(unit.block.box)).at(0), 1};
    }
    if (!maps.empty())
      by_rows(batch, cuts, [&](Unit& unit, int64_t y0, int64_t y1, int64_t) {
        if (lacks_map(unit)) pack_map(unit, y0, y1);
      });
    reduce_batch(batch);
  }

  // Which of two zeros comes first only the map itself can tell.
  static bool lacks_map(const Unit& unit) { return unit.block.negative_zero && !unit.keeps(0); }

  void pack_map(const Unit& unit, int64_t y0, int64_t y1) const {
    pack_rows(unit, y0, y1,
              static_cast<char*>(const_cast<void*>(unit.block.level[0].windows)) +
                  y0 * row_bytes(unit.block.box));
  }

  bool pack_rows(const Unit& unit, int64_t y0, int64_t y1, void* to) const {
    const Box& box = unit.block.box;
    return pack(unit.image, unit.channel, {box.y0 + y0, box.x0, box.y0 + y1, box.x1}, to);
  }

  // Packs rows [y0, y1) and builds the windows that lie within them, each level from what is still
  // in a core's cache. The run above needs this one's first rows for its seam: those that a wider
  // level replaces are saved.
  void build_rows(Unit& unit, int64_t y0, int64_t y1, char* saved) const {
    const int64_t row = row_bytes(unit.block.box);
    const int64_t step = std::max(int64_t(1) << unit.top(), kBuiltTogether / row);
    for (int64_t from = y0; from < y1; from += step) {
      const int64_t to = std::min(from + step, y1);
      if (pack_rows(unit, from, to, row_of(unit, 0, from))) unit.negative_zero = true;
      for (int level = 1; level <= unit.top(); ++level) {
        if (saved && from == y0 && !unit.keeps(level - 1))
          std::memcpy(saved + reach(level - 1) * row, row_of(unit, level - 1, y0),
                      std::min(side(level - 1), unit.block.box.height() - y0) * row);
        widen_rows(unit, level, std::max(y0, from - reach(level)), to - reach(level));
      }
    }
  }

  // The windows that begin above row y1 and end below, where the next run begins.
  void build_seam(const Unit& unit, int64_t y1, const char* saved) const {
    const int64_t row = row_bytes(unit.block.box);
    for (int level = 1; level <= unit.top(); ++level) {
      const int64_t begin = y1 - reach(level), end = std::min(y1, rows_of(unit, level));
      const int64_t above = unit.keeps(level - 1) ? end : std::min(end, y1 - side(level - 1));
      widen_rows(unit, level, begin, above);
      if (above < end)
        kernels_.widen(row_of(unit, level - 1, above), saved + reach(level - 1) * row,
                       side(level - 1), end - above, unit.block.box.width(),
                       row_of(unit, level, above));
    }
  }

  void widen_rows(const Unit& unit, int level, int64_t y0, int64_t y1) const {
    kernels_.widen(row_of(unit, level - 1, y0), row_of(unit, level - 1, y0 + side(level - 1)),
                   side(level - 1), y1 - y0, unit.block.box.width(), row_of(unit, level, y0));
  }

  static int64_t side(int level) { return int64_t(1) << level; }

  // How many more rows a window of the level has than one.
  static int64_t reach(int level) { return side(level) - 1; }

  // How many rows of a level there are.
  static int64_t rows_of(const Unit& unit, int level) {
    return unit.block.box.height() - reach(level);
  }

  // What each run of rows saves of the levels that are not kept: reach(i) rows before level i's.
  int64_t saved_bytes(const Unit& unit) const {
    return std::popcount(unit.kept) > unit.top()
               ? 0
               : bytes_of(reach(unit.top()), row_bytes(unit.block.box));
  }

  // Cuts each unit into runs of rows, none so short that a seam would need another.
  template <class Task>
  void by_rows(std::span<Unit> batch, int64_t cuts, const Task& task) const {
    parallel_for(threads_, int64_t(batch.size()) * cuts, [&](int64_t run, int) {
      Unit& unit = batch[run / cuts];
      const int64_t height = unit.block.box.height();
      const int64_t rows = std::max(ceil_div(height, cuts), kLeastRun * side(unit.top()));
      const int64_t y0 = run % cuts * rows, y1 = std::min(y0 + rows, height);
      if (y0 < y1) task(unit, y0, y1, run);
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
  MaxKernels kernels_{};
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
