#include "windows.h"

#include <algorithm>

#include "plan.h"
#include "threads.h"

namespace roipool {
namespace {

// Rows of a run, in sides of the widest windows: at most half as many again are packed twice.
constexpr int64_t kLeastRun = 2;

int64_t side(int level) { return int64_t(1) << level; }

// How many rows a window of the level has below its first.
int64_t reach(int level) { return side(level) - 1; }

// Rows of pixels that are packed together where they lie one behind the other.
constexpr int64_t kPacked = 4;

// A row of the next level is made of two that lie a side apart: these, and all between them, are
// held in the level's ring.
int64_t ring_rows(int level) { return level > 0 ? side(level) + 1 : 2 * kPacked; }

}  // namespace

// Rows [y0, y1) of a unit's levels, which one thread builds from the top down. Where other rows
// follow, windows that begin here reach into them: those are packed once more, and what is built
// of them, as all that is not kept, lies in the thread's ring for as long as it is needed.
struct WindowBuilder::Run {
  Unit& unit;
  int64_t y0, y1;
  struct {
    char *kept, *ring;
    int64_t pitch, rows;
  } level[kLevels];

  Run(const WindowBuilder& builder, Unit& unit, int64_t y0, int64_t y1, void* memory)
      : unit(unit), y0(y0), y1(y1) {
    char* ring = static_cast<char*>(memory);
    for (int i = 0; i <= unit.top(); ++i) {
      const int64_t pitch = builder.row_bytes(unit.block.box, i), rows = ring_rows(i);
      level[i] = {unit.keeps(i) ? builder.kept_level(unit, i) : nullptr, ring, pitch, rows};
      ring += rows * pitch;
    }
  }

  void* row(int i, int64_t y) const {
    if (level[i].kept && y < y1) return level[i].kept + y * level[i].pitch;
    return level[i].ring + y % level[i].rows * level[i].pitch;
  }
};

int64_t WindowBuilder::row_bytes(const Box& box, int level) const {
  return bytes_of(box.width(), level > 0 ? kernels_.window_bytes : kernels_.pixel_bytes);
}

int64_t WindowBuilder::map_bytes(const Box& box) const {
  return bytes_of(box.height(), row_bytes(box, 0));
}

int64_t WindowBuilder::kept_bytes(const Unit& unit) const {
  const Box& box = unit.block.box;
  return bytes_of(box.height(), box.width(), bytes_a_pixel(kernels_, unit.kept));
}

int64_t WindowBuilder::ring_bytes(const Unit& unit) const {
  int64_t bytes = 0;
  for (int level = 0; level < unit.top(); ++level)
    bytes += bytes_of(ring_rows(level), row_bytes(unit.block.box, level));
  return bytes;
}

int WindowBuilder::channels_from(int64_t channel) const {
  return int(std::min<int64_t>(kernels_.lanes, call_.data.channels() - channel));
}

bool WindowBuilder::pack(int64_t image, int64_t channel, const Box& box, void* to) const {
  const Map map = call_.data.at(image);
  const Strides& s = map.strides;
  const int64_t first = channel * s.channel + box.y0 * s.row + box.x0 * s.column;
  return kernels_.pack(map.start + first * size_of(call_.dtype), map.end, s, channels_from(channel),
                       box.height(), box.width(), to);
}

// The levels kept lie one behind the other.
char* WindowBuilder::kept_level(const Unit& unit, int level) const {
  const unsigned before = unit.kept & ((1u << level) - 1);
  return unit.memory + unit.block.box.area() * bytes_a_pixel(kernels_, before);
}

void WindowBuilder::lay_out(Unit& unit, void* memory) const {
  unit.memory = static_cast<char*>(memory);
  Level widest{};
  for (int level = 0; level < kLevels; ++level) {
    if (unit.keeps(level)) widest = {kept_level(unit, level), side(level)};
    unit.block.level[level] = widest;
  }
}

void WindowBuilder::build(Unit& unit, void* ring) const {
  const int64_t height = unit.block.box.height();
  build(Run(*this, unit, 0, height, ring));
  if (take_map(unit)) pack_map(unit, 0, height);
}

void WindowBuilder::build(std::span<Unit> units, int threads) const {
  const int64_t cuts = ceil_div(kTasksPerThread * threads, int64_t(units.size()));
  const auto by_rows = [&](auto task) {
    parallel_for(threads, int64_t(units.size()) * cuts, [&](int64_t index, int worker) {
      Unit& unit = units[index / cuts];
      const int64_t height = unit.block.box.height();
      const int64_t rows = std::max(ceil_div(height, cuts), kLeastRun * side(unit.top()));
      const int64_t y0 = index % cuts * rows, y1 = std::min(y0 + rows, height);
      if (y0 < y1) task(unit, y0, y1, worker);
    });
  };
  int64_t ring = 0;
  for (const Unit& unit : units) ring = std::max(ring, ring_bytes(unit));
  const Workspace rings(bytes_of(ring, threads));
  by_rows([&](Unit& unit, int64_t y0, int64_t y1, int worker) {
    build(Run(*this, unit, y0, y1, rings.at(worker * ring)));
  });
  int64_t maps = 0;
  for (Unit& unit : units) maps += take_map(unit);
  if (maps)
    by_rows([&](Unit& unit, int64_t y0, int64_t y1, int) {
      if (unit.map) pack_map(unit, y0, y1);
    });
}

bool WindowBuilder::pack_rows(const Unit& unit, int64_t y0, int64_t y1, void* to) const {
  const Box& box = unit.block.box;
  return pack(unit.image, unit.channel, {box.y0 + y0, box.x0, box.y0 + y1, box.x1}, to);
}

// Each row that is packed is the last that one more row of each level waits for.
void WindowBuilder::build(const Run& run) const {
  Unit& unit = run.unit;
  const int top = unit.top();
  const int64_t end = std::min(run.y1 + reach(top), unit.block.box.height());
  if (top == 0 && pack_rows(unit, run.y0, end, run.row(0, run.y0))) unit.negative_zero = true;
  for (int64_t y = run.y0; top > 0 && y < end;) {
    int64_t next = std::min((y / kPacked + 1) * kPacked, end);
    if (y < run.y1) next = std::min(next, run.y1);
    if (pack_rows(unit, y, next, run.row(0, y))) unit.negative_zero = true;
    for (; y < next; ++y)
      for (int level = 1; level <= top && y - reach(level) >= run.y0; ++level)
        widen_row(run, level, y - reach(level));
  }
}

void WindowBuilder::widen_row(const Run& run, int level, int64_t y) const {
  const Box& box = run.unit.block.box;
  const int64_t place = (box.y0 + y) * run.unit.block.map_width + box.x0, below = side(level - 1);
  kernels_.widen({run.row(level - 1, y), run.row(level - 1, y + below), run.row(level, y), below, 1,
                  box.width(), place, run.unit.block.map_width});
}

// Which of two zeros comes first only the map itself can tell.
bool WindowBuilder::take_map(Unit& unit) const {
  unit.block.negative_zero = unit.negative_zero;
  if (!unit.negative_zero || unit.keeps(0)) return false;
  unit.map = std::make_unique<Workspace>(map_bytes(unit.block.box));
  unit.block.level[0] = {unit.map->at(0), 1};
  return true;
}

void WindowBuilder::pack_map(const Unit& unit, int64_t y0, int64_t y1) const {
  pack_rows(unit, y0, y1, unit.map->at(y0 * row_bytes(unit.block.box, 0)));
}

}  // namespace roipool
