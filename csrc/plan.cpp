#include "plan.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <tuple>

#include "isa.h"

namespace roipool {

constexpr int32_t kStrip = 8;  // rows in which regions are neighbours from left to right

RegionsByImage::RegionsByImage(const int32_t* image, int64_t count, int64_t images)
    : start_(images + 1, 0) {
  for (int64_t k = 0; k < count; ++k)
    if (image[k] < 0)
      none_.push_back(k);
    else
      ++start_[image[k] + 1];
  for (int64_t i = 0; i < images; ++i) start_[i + 1] += start_[i];
  order_.resize(start_[images]);
  std::vector<int64_t> next(start_.begin(), start_.end() - 1);
  for (int64_t k = 0; k < count; ++k)
    if (image[k] >= 0) order_[next[image[k]]++] = k;
}

void RegionsByImage::sort_by_place(int64_t image, const Edges& edges) {
  std::vector<std::tuple<int, int32_t, int32_t, int64_t>> places;
  for (int64_t i = start_[image]; i < start_[image + 1]; ++i) {
    const int32_t* y = edges.rows + order_[i] * edges.bins_y * 2;
    const int32_t* x = edges.cols + order_[i] * edges.bins_x * 2;
    const int level = std::bit_width(uint32_t(std::max(0, std::min(y[1] - y[0], x[1] - x[0]))));
    places.emplace_back(level, y[0] / kStrip, x[0], order_[i]);
  }
  std::sort(places.begin(), places.end());
  for (int64_t i = 0; i < int64_t(places.size()); ++i)
    order_[start_[image] + i] = std::get<int64_t>(places[i]);
}

namespace {

struct Span {
  int64_t begin, end;
};

// From the first to the last pixel of the non-empty bins along one axis.
Span covered_axis(const int32_t* edges, int64_t bins) {
  Span span{INT32_MAX, 0};
  for (int64_t p = 0; p < bins; ++p) {
    if (edges[2 * p] >= edges[2 * p + 1]) continue;
    span.begin = std::min<int64_t>(span.begin, edges[2 * p]);
    span.end = std::max<int64_t>(span.end, edges[2 * p + 1]);
  }
  return span;
}

void add_reads(Reads& total, const Edges& edges, int64_t region) {
  const int32_t* rows = edges.rows + region * edges.bins_y * 2;
  const int32_t* cols = edges.cols + region * edges.bins_x * 2;
  for (int64_t y = 0; y < edges.bins_y; ++y) {
    const int64_t height = rows[2 * y + 1] - rows[2 * y];
    for (int64_t x = 0; x < edges.bins_x; ++x) {
      const int64_t width = cols[2 * x + 1] - cols[2 * x];
      const int64_t least = std::min(height, width);
      if (least <= 0) continue;
      const int fitting = std::min(int(std::bit_width(uint64_t(least))), kLevels) - 1;
      for (int level = 0; level <= fitting; ++level) {
        const int64_t more = (int64_t(1) << level) - 1;
        total[fitting][level] += double((height + more) >> level) * double((width + more) >> level);
      }
    }
  }
}

// Costs in reads of a vector: to pack a pixel, and to write a bin.
constexpr double kPackCost = 4, kBinCost = 8;

// To build a window of the next level, and to read one: alone
// and with its position.
constexpr double kWidenCost[] = {2.3, 6}, kWindowCost[] = {1, 3};

// Of reducing from the levels kept, and of building them over so many pixels.
double cost_of(unsigned kept, const Reads& reads, double area, bool argmax) {
  double cost = 0;
  int widest = -1;
  for (int level = 0; level < kLevels; ++level) {
    if (kept >> level & 1) widest = level;
    if (widest >= 0)
      cost += reads[level][widest] * (widest > 0 ? kWindowCost[argmax] : 1);
    else if (reads[level][0] > 0)
      return std::numeric_limits<double>::infinity();
  }
  return cost + widest * kWidenCost[argmax] * area;
}

// What a pixel packed for one region costs, against one packed in a whole map's long rows.
constexpr double kPerRegionCost = 1.5;

}  // namespace

Box covered(const Edges& edges, int64_t region) {
  const Span y = covered_axis(edges.rows + region * edges.bins_y * 2, edges.bins_y);
  const Span x = covered_axis(edges.cols + region * edges.bins_x * 2, edges.bins_x);
  if (y.begin >= y.end || x.begin >= x.end) return {};
  return {y.begin, x.begin, y.end, x.end};
}

ImagePlan plan_image(const Edges& edges, const int64_t* list, int64_t count) {
  ImagePlan plan;
  plan.box = {INT32_MAX, INT32_MAX, 0, 0};
  double pixels = 0;  // packed when each region is packed by itself
  for (int64_t i = 0; i < count; ++i) {
    const Box box = covered(edges, list[i]);
    if (box.area() == 0) continue;
    pixels += double(box.area());
    plan.box = {std::min(plan.box.y0, box.y0), std::min(plan.box.x0, box.x0),
                std::max(plan.box.y1, box.y1), std::max(plan.box.x1, box.x1)};
    add_reads(plan.reads, edges, list[i]);
  }
  if (pixels == 0) plan.box = {};
  const double area = double(plan.box.area());
  plan.per_image = pixels * kPerRegionCost > area;
  plan.other_work = kPackCost * (plan.per_image ? area : pixels * kPerRegionCost) +
                    kBinCost * double(count * edges.bins());
  return plan;
}

int64_t bytes_a_pixel(const MaxKernels& kernels, unsigned kept) {
  return int64_t(kept & 1) * kernels.pixel_bytes +
         int64_t(std::popcount(kept >> 1)) * kernels.window_bytes;
}

namespace {

// Those of the least work that take no more than so many bytes, or are one alone. Positions are
// made from the map's, which then is kept too.
Levels choose_levels(const ImagePlan& plan, const MaxKernels& kernels, bool argmax, double most) {
  const double area = double(plan.box.area());
  Levels best{1, cost_of(1, plan.reads, area, argmax)};
  for (unsigned kept = 2; plan.per_image && kept < 1u << kLevels; ++kept) {
    if (argmax && !(kept & 1)) continue;
    if (std::popcount(kept) > 1 && area * double(bytes_a_pixel(kernels, kept)) > most) continue;
    const double cost = cost_of(kept, plan.reads, area, argmax);
    if (cost < best.work) best = {kept, cost};
  }
  best.work += plan.other_work;
  return best;
}

constexpr double kWorkPerThread = 1e5;  // in reads of a vector: less is done sooner alone
constexpr double kSharedCost = 1.3;     // of reading what another core has just written

// What work on a vector costs, against one of 64 bytes. Values alone, from blocks that no core's
// own cache holds, wait for memory, of which channels-last maps have as many lines for narrow
// blocks.
double vector_cost(int bytes, bool waits) {
  if (bytes >= 64) return 1;
  return !waits ? 0.85 : bytes >= 32 ? 0.62 : 0.5;
}

// What to do where a block may take one of so many shares of the room.
Choice choice_of(const MaxKernels& kernels, const MaxForward& call,
                 const std::vector<ImagePlan>& plans, double room, int shares) {
  Choice choice;
  choice.kernels = kernels;
  const int64_t blocks = ceil_div(call.shape.channels, kernels.lanes);
  int64_t units = 0;
  double work = 0;
  for (const ImagePlan& plan : plans) {
    const Levels levels = choose_levels(plan, kernels, call.argmax, room / shares);
    choice.levels.push_back(levels);
    work += levels.work * double(blocks);
    if (!plan.per_image) continue;
    units += blocks;
    const auto bytes = [&](unsigned kept) {
      return double(plan.box.area()) * double(bytes_a_pixel(kernels, kept));
    };
    choice.most = std::max(choice.most, int64_t(bytes(levels.kept)));
    choice.crowded |= bytes((1u << kLevels) - 1) > room;
  }
  const double vector = vector_cost(
      kernels.pixel_bytes, !call.argmax && choice.most > kOwnCache && call.strides.channel != 1);
  choice.threads = int(std::min(double(call.threads), 1 + work * vector / kWorkPerThread));
  const int64_t least = plans.size() > 1 ? 2 * choice.threads : choice.threads;  // may be unequal
  choice.private_blocks = units >= least && double(choice.most) * choice.threads <= room;
  const int64_t shared = choice.private_blocks ? units % choice.threads
                         : choice.threads > 1  ? units
                                               : 0;
  choice.crowded |= shared > 0;
  choice.cost = work * vector;
  if (shared > 0) choice.cost *= 1 + (kSharedCost - 1) * double(shared) / double(units);
  return choice;
}

}  // namespace

Choice choose(const Isa& best, const MaxForward& call, const std::vector<ImagePlan>& plans,
              double room) {
  const auto isas = isas_here();
  const auto kernels = [&](auto isa) { return (*isa)->max(call.dtype, call.argmax, call.wide); };
  Choice choice;
  for (auto isa = std::find(isas.rbegin(), isas.rend(), &best); isa != isas.rend(); ++isa) {
    const auto narrower = std::next(isa);
    if (narrower != isas.rend() && kernels(narrower).lanes >= call.shape.channels)
      continue;  // lanes without a channel cost as much as others
    for (const int shares : {1, call.threads}) {
      const Choice found = choice_of(kernels(isa), call, plans, room, shares);
      const bool better =
          double(choice.most) > room ? found.most < choice.most : found.cost < choice.cost;
      if (choice.levels.empty() || better) choice = found;
      if (!found.crowded) return choice;
    }
  }
  return choice;
}

}  // namespace roipool
