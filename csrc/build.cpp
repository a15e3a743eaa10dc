#include "build.h"

#include <algorithm>
#include <cstring>

#include "plan.h"
#include "threads.h"

namespace roipool {
namespace {

constexpr int64_t kBuiltTogether = kOwnCache / 4;  // packed before the next levels are built
constexpr int64_t kLeastRun = 2;  // rows packed in one task, in sides of the widest windows

int64_t side(int level) { return int64_t(1) << level; }

// How many rows a window of the level has below its first: as many as the narrower windows' sides
// come to together.
int64_t reach(int level) { return side(level) - 1; }

}  // namespace

int64_t Builder::row_bytes(const Box& box, int level) const {
  return bytes_of(box.width(), level > 0 ? kernels_.window_bytes : kernels_.pixel_bytes);
}

int64_t Builder::level_bytes(const Box& box, int level) const {
  return bytes_of(box.height(), row_bytes(box, level));
}

int64_t Builder::bytes(const Unit& unit) const {
  const Box& box = unit.block.box;
  return bytes_of(box.height(), box.width(), bytes_a_pixel(kernels_, unit.kept));
}

int Builder::channels_from(int64_t channel) const {
  return int(std::min<int64_t>(kernels_.lanes, call_.shape.channels - channel));
}

bool Builder::pack(int64_t image, int64_t channel, const Box& box, void* to) const {
  const Strides& s = call_.strides;
  const Shape& shape = call_.shape;
  const auto element = [&](int64_t at) {
    return static_cast<const char*>(call_.data) + at * size_of(call_.dtype);
  };
  const auto last = [](int64_t count, int64_t stride) {  // whichever way the strides run
    return stride > 0 ? (count - 1) * stride : 0;
  };
  const void* const end = element(last(shape.images, s.image) + last(shape.channels, s.channel) +
                                  last(shape.height, s.row) + last(shape.width, s.column) + 1);
  const int64_t at = image * s.image + channel * s.channel + box.y0 * s.row + box.x0 * s.column;
  return kernels_.pack(element(at), end, s, channels_from(channel), box.height(), box.width(), to);
}

// The levels kept lie one behind the other.
void Builder::lay_out(Unit& unit, void* memory) const {
  unit.memory = static_cast<char*>(memory);
  Level widest{};
  for (int level = 0; level < kLevels; ++level) {
    if (unit.keeps(level)) widest = {row_of(unit, level, 0), side(level)};
    unit.block.level[level] = widest;
  }
}

// Where a level's row is built: what is not kept lies where the next level then takes its place.
char* Builder::row_of(const Unit& unit, int level, int64_t y) const {
  const Box& box = unit.block.box;
  const unsigned before = unit.kept & ((1u << level) - 1);
  return unit.memory + box.area() * bytes_a_pixel(kernels_, before) + y * row_bytes(box, level);
}

void Builder::build(Unit& unit) const {
  const int64_t height = unit.block.box.height();
  build_rows(unit, 0, height, nullptr);
  if (take_map(unit)) pack_map(unit, 0, height);
}

// Units are cut into runs of rows, none so short that a seam would need another than the next.
void Builder::build(std::span<Unit> units, int threads) const {
  const int64_t cuts = ceil_div(kTasksPerThread * threads, int64_t(units.size()));
  const auto by_rows = [&](auto task) {
    parallel_for(threads, int64_t(units.size()) * cuts, [&](int64_t run, int) {
      Unit& unit = units[run / cuts];
      const int64_t height = unit.block.box.height();
      const int64_t rows = std::max(ceil_div(height, cuts), kLeastRun * side(unit.top()));
      const int64_t y0 = run % cuts * rows, y1 = std::min(y0 + rows, height);
      if (y0 < y1) task(unit, y0, y1, run);
    });
  };
  int64_t saved = 0;
  for (const Unit& unit : units) saved = std::max(saved, saved_bytes(unit));
  const Workspace seams(bytes_of(saved, units.size(), cuts));
  by_rows([&](Unit& unit, int64_t y0, int64_t y1, int64_t run) {
    build_rows(unit, y0, y1, static_cast<char*>(seams.at(run * saved)));
  });
  by_rows([&](Unit& unit, int64_t, int64_t y1, int64_t run) {
    if (y1 < unit.block.box.height())
      build_seam(unit, y1, static_cast<char*>(seams.at((run + 1) * saved)));
  });
  int64_t maps = 0;
  for (Unit& unit : units) maps += take_map(unit);
  if (maps)
    by_rows([&](Unit& unit, int64_t y0, int64_t y1, int64_t) {
      if (unit.map) pack_map(unit, y0, y1);
    });
}

bool Builder::pack_rows(const Unit& unit, int64_t y0, int64_t y1, void* to) const {
  const Box& box = unit.block.box;
  return pack(unit.image, unit.channel, {box.y0 + y0, box.x0, box.y0 + y1, box.x1}, to);
}

// Packs rows [y0, y1) and builds the windows that lie within them, each level from what is still in
// a core's cache. The run above needs this one's first rows for its seam: those that a wider level
// will replace are saved.
void Builder::build_rows(Unit& unit, int64_t y0, int64_t y1, char* saved) const {
  const Box& box = unit.block.box;
  const int64_t step = std::max(side(unit.top()), kBuiltTogether / row_bytes(box, unit.top()));
  for (int64_t from = y0; from < y1; from += step) {
    const int64_t to = std::min(from + step, y1);
    if (pack_rows(unit, from, to, row_of(unit, 0, from))) unit.negative_zero = true;
    for (int level = 1; level <= unit.top(); ++level) {
      if (saved && from == y0 && !unit.keeps(level - 1))
        std::memcpy(saved + reach(level - 1) * row_bytes(box, level), row_of(unit, level - 1, y0),
                    std::min(side(level - 1), box.height() - y0) * row_bytes(box, level - 1));
      const int64_t begin = std::max(y0, from - reach(level));
      widen_rows(unit, level, begin, to - reach(level),
                 row_of(unit, level - 1, begin + side(level - 1)));
    }
  }
}

// The windows that begin above row y1 and end below, where the next run begins.
void Builder::build_seam(const Unit& unit, int64_t y1, const char* saved) const {
  const Box& box = unit.block.box;
  for (int level = 1; level <= unit.top(); ++level) {
    const int64_t begin = y1 - reach(level), end = std::min(y1, box.height() - reach(level));
    const int64_t replaced = unit.keeps(level - 1) ? end : std::min(end, y1 - side(level - 1));
    widen_rows(unit, level, begin, replaced, row_of(unit, level - 1, begin + side(level - 1)));
    if (replaced < end)
      widen_rows(unit, level, replaced, end, saved + reach(level - 1) * row_bytes(box, level));
  }
}

// What each run of rows saves: first those of level 0, then those of level 1, and so on.
int64_t Builder::saved_bytes(const Unit& unit) const {
  const bool all_kept = std::popcount(unit.kept) > unit.top();
  return all_kept ? 0 : bytes_of(reach(unit.top()), row_bytes(unit.block.box, unit.top()));
}

// Rows [y0, y1) of a level, from those of the one below and others that begin at `bottom`.
void Builder::widen_rows(const Unit& unit, int level, int64_t y0, int64_t y1,
                         const void* bottom) const {
  const Box& box = unit.block.box;
  const int64_t place = (box.y0 + y0) * call_.shape.width + box.x0;
  kernels_.widen({row_of(unit, level - 1, y0), bottom, row_of(unit, level, y0), side(level - 1),
                  y1 - y0, box.width(), place, call_.shape.width});
}

// Which of two zeros comes first only the map itself can tell.
bool Builder::take_map(Unit& unit) const {
  unit.block.negative_zero = unit.negative_zero;
  if (!unit.negative_zero || unit.keeps(0)) return false;
  unit.map = std::make_unique<Workspace>(level_bytes(unit.block.box, 0));
  unit.block.level[0] = {unit.map->at(0), 1};
  return true;
}

void Builder::pack_map(const Unit& unit, int64_t y0, int64_t y1) const {
  pack_rows(unit, y0, y1, unit.map->at(y0 * row_bytes(unit.block.box, 0)));
}

}  // namespace roipool
