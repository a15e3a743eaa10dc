#include "max_pool.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "plan.h"
#include "threads.h"
#include "workspace.h"

namespace roipool {
namespace {

int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::int8:
    case DType::uint8: return 1;
    case DType::float16:
    case DType::bfloat16:
    case DType::int16: return 2;
    case DType::float32:
    case DType::int32: return 4;
    case DType::float64: return 8;
  }
  __builtin_unreachable();
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// One channel block of one image, packed for all the image's regions.
struct Unit {
  int64_t image, channel;
  Block block;
  std::atomic<bool> negative_zero{false};

  Unit(int64_t image, int64_t channel, Block block)
      : image(image), channel(channel), block(block) {}
  Unit(Unit&& other) : Unit(other.image, other.channel, other.block) {}
};

class Forward {
 public:
  Forward(const Isa& isa, const MaxForward& call)
      : call_(call),
        kernels_(isa.max(call.dtype, call.argmax, call.wide)),
        by_image_(call.edges.image, call.edges.count, call.shape.images),
        result_{call.values, call.argmax, call.shape.channels * call.edges.bins(),
                call.shape.width} {}

  void run() {
    fill_rows_that_are_no_regions();
    std::vector<int64_t> shared;
    for (int64_t image = 0; image < call_.shape.images; ++image) {
      plans_.push_back(
          plan_image(call_.edges, by_image_.list(image), by_image_.count(image), call_.argmax));
      if (!plans_[image].shared)
        pool_alone(image);
      else
        shared.push_back(image);
    }
    pool_shared(shared);
  }

 private:
  void fill_rows_that_are_no_regions() const {
    const auto& none = by_image_.none();
    const int64_t row = result_.stride * size_of(call_.dtype);
    const int64_t argmax_row = result_.stride * (call_.wide ? 8 : 4);
    parallel_for(call_.threads, int64_t(none.size()), [&](int64_t i, int) {
      std::memset(static_cast<char*>(call_.values) + none[i] * row, 0, row);
      if (call_.argmax)
        std::memset(static_cast<char*>(call_.argmax) + none[i] * argmax_row, 0xff, argmax_row);
    });
  }

  // Channels in the block that starts at `channel`.
  int channels_from(int64_t channel) const {
    return int(std::min<int64_t>(kernels_.lanes, call_.shape.channels - channel));
  }

  bool pack(int64_t image, int64_t channel, const Box& box, void* to) const {
    const Strides& s = call_.strides;
    const int64_t at = image * s.image + channel * s.channel + box.y0 * s.row + box.x0 * s.column;
    return kernels_.pack(static_cast<const char*>(call_.data) + at * size_of(call_.dtype), s,
                         channels_from(channel), box.height(), box.width(), to);
  }

  void reduce(const Block& block, const int64_t* list, int64_t count, int64_t channel) const {
    const Edges& e = call_.edges;
    kernels_.reduce(block, {e.rows, e.cols, e.bins_y, e.bins_x, list, count}, result_, channel);
  }

  // Few regions on a large map: each packs just what it covers, into its thread's own buffer.
  void pool_alone(int64_t image) const {
    const int64_t* list = by_image_.list(image);
    const int64_t count = by_image_.count(image);
    const int64_t blocks = ceil_div(call_.shape.channels, kernels_.lanes);
    int64_t largest = 0;
    for (int64_t i = 0; i < count; ++i)
      largest = std::max(largest, covered(call_.edges, list[i]).area());
    const int64_t bytes = largest * kernels_.pixel_bytes;
    const Workspace workspace(bytes * call_.threads);
    parallel_for(call_.threads, count * blocks, [&](int64_t task, int worker) {
      const int64_t* region = list + task / blocks;
      const int64_t channel = task % blocks * kernels_.lanes;
      void* packed = workspace.at(worker * bytes);
      Block block{covered(call_.edges, *region), {packed}, 1, channels_from(channel), false};
      block.negative_zero = pack(image, channel, block.box, packed);
      reduce(block, region, 1, channel);
    });
  }

  // Many regions: batches of channel blocks are packed whole, then reduced region by region.
  // A batch takes as much memory as a quarter of the call's own arrays.
  void pool_shared(const std::vector<int64_t>& images) const {
    const int64_t budget = std::max<int64_t>(
        kLeastBudget, (call_.shape.images * call_.shape.channels * call_.shape.plane() +
                       call_.edges.count * result_.stride) *
                          size_of(call_.dtype) / 4);
    std::vector<Unit> batch;
    int64_t bytes = 0;
    for (int64_t image : images) {
      const ImagePlan& plan = plans_[image];
      for (int64_t channel = 0; channel < call_.shape.channels; channel += kernels_.lanes) {
        const int64_t size = plan.box.area() * kernels_.pixel_bytes * plan.levels;
        if (bytes > 0 && bytes + size > budget) {
          pool_batch(batch, bytes);
          batch.clear();
          bytes = 0;
        }
        batch.emplace_back(image, channel,
                           Block{plan.box, {}, plan.levels, channels_from(channel), false});
        bytes += size;
      }
    }
    if (!batch.empty()) pool_batch(batch, bytes);
  }

  void pool_batch(std::vector<Unit>& batch, int64_t bytes) const {
    const Workspace workspace(bytes);
    int64_t at = 0;
    for (Unit& unit : batch)
      for (int level = 0; level < unit.block.levels; ++level) {
        unit.block.level[level] = workspace.at(at);
        at += unit.block.box.area() * kernels_.pixel_bytes;
      }
    by_rows(batch, [&](Unit& unit, int64_t y0, int64_t y1) {
      const Box& box = unit.block.box;
      const Box part{box.y0 + y0, box.x0, box.y0 + y1, box.x1};
      if (pack(unit.image, unit.channel, part, level_at(unit, 0, y0))) unit.negative_zero = true;
    });
    int64_t side = 1;
    for (int level = 1; level < kLevels; ++level, side *= 4)
      by_rows(batch, [&](Unit& unit, int64_t y0, int64_t y1) {
        if (level >= unit.block.levels) return;
        const Box& box = unit.block.box;
        kernels_.widen(unit.block.level[level - 1], level_at(unit, level, 0), side, box, y0,
                       std::min(y1, box.height() - 4 * side + 1));
      });
    for (Unit& unit : batch) unit.block.negative_zero = unit.negative_zero;
    reduce_batch(batch);
  }

  void* level_at(const Unit& unit, int level, int64_t y) const {
    return static_cast<char*>(const_cast<void*>(unit.block.level[level])) +
           y * unit.block.box.width() * kernels_.pixel_bytes;
  }

  // Cuts each unit into as many runs of rows as keep all threads busy.
  template <class Task>
  void by_rows(std::vector<Unit>& batch, const Task& task) const {
    const int64_t cuts = ceil_div(kTasksPerThread * call_.threads, int64_t(batch.size()));
    parallel_for(call_.threads, int64_t(batch.size()) * cuts, [&](int64_t index, int) {
      Unit& unit = batch[index / cuts];
      const int64_t rows = ceil_div(unit.block.box.height(), cuts);
      const int64_t y0 = index % cuts * rows;
      const int64_t y1 = std::min(y0 + rows, unit.block.box.height());
      if (y0 < y1) task(unit, y0, y1);
    });
  }

  // A task is a run of one image's regions through all its blocks in the batch: a thread writes
  // whole stretches of the result, so two threads seldom meet on a page.
  void reduce_batch(const std::vector<Unit>& batch) const {
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
      const int64_t run = std::min(kMostRegions, ceil_div(count, kTasksPerThread * call_.threads));
      for (int64_t i = 0; i < count; i += run)
        tasks.push_back({unit, next, by_image_.list(image) + i, std::min(run, count - i)});
      unit = next;
    }
    parallel_for(call_.threads, int64_t(tasks.size()), [&](int64_t index, int) {
      const Task& task = tasks[index];
      for (const Unit* unit = task.begin; unit != task.end; ++unit)
        reduce(unit->block, task.list, task.count, unit->channel);
    });
  }

  static constexpr int64_t kLeastBudget = 4 << 20;
  static constexpr int64_t kTasksPerThread = 4;
  static constexpr int64_t kMostRegions = 64;

  const MaxForward& call_;
  const MaxKernels kernels_;
  const RegionsByImage by_image_;
  const Result result_;
  std::vector<ImagePlan> plans_;
};

}  // namespace

void max_forward(const Isa& isa, const MaxForward& call) {
  if (call.edges.count * call.shape.channels * call.edges.bins() > 0) Forward(isa, call).run();
}

bool max_backward(const Isa& isa, const MaxBackward& call) {
  const ScatterMax scatter = isa.scatter_max(call.dtype, call.wide);
  const RegionsByImage by_image(call.image, call.regions, call.shape.images);
  const int64_t bytes = size_of(call.dtype), index_bytes = call.wide ? 8 : 4;
  const int64_t plane = call.shape.plane(), channels = call.shape.channels;
  const int64_t group =
      std::clamp<int64_t>(call.shape.images * channels / (4 * call.threads), 1, 16);
  const int64_t groups = ceil_div(channels, group);
  const Workspace sums(bytes == 2 ? plane * int64_t(sizeof(float)) * call.threads : 0);
  std::atomic<bool> inside{true};
  parallel_for(call.threads, call.shape.images * groups, [&](int64_t task, int worker) {
    const int64_t image = task / groups, c = task % groups * group;
    const bool fits = scatter(
        static_cast<const char*>(call.grad) + c * call.bins * bytes,
        static_cast<const char*>(call.argmax) + c * call.bins * index_bytes, by_image.list(image),
        by_image.count(image), channels * call.bins, call.bins, std::min(group, channels - c),
        plane, static_cast<char*>(call.grad_data) + (image * channels + c) * plane * bytes,
        static_cast<float*>(sums.at(worker * plane * int64_t(sizeof(float)))));
    if (!fits) inside = false;
  });
  return inside;
}

}  // namespace roipool
