#include "plan.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace roipool {
namespace {

// All costs are in reads of a vector of 64 bytes. Where no benchmark is named, none is on record:
// those are estimates that every workload's time was then judged with.

// To pack a pixel, and to write a bin.
constexpr double kPackCost = 4, kBinCost = 8;

// What a pixel packed for one region costs, against one packed in a whole map's long rows. By
// small_8: its regions cover most of the map, and packed one by one took 255 µs instead of 217.
constexpr double kPerRegionCost = 1.5;

// To build a window of the next level, and to read one: alone and with its position. 2.3 by fpn,
// which 2.5 makes 5 % slower, and area_8, which with 2 builds a level that it gains nothing by.
constexpr double kWidenCost[] = {2.3, 6}, kWindowCost[] = {1, 3};

// Less work is done sooner by one thread. By small_8: with two threads 210 µs, with one 270.
constexpr double kWorkPerThread = 1e5;

// Of reading what another core has just written. Blocks of each thread's own made fast_rcnn 15 %
// faster, fpn 25 %, batch_8 a third.
constexpr double kSharedCost = 1.3;

// What work on a narrower vector costs. Values alone, from blocks that no core's own cache holds,
// wait for memory; of channels-last maps the same lines are then read for fewer channels. float16
// on fpn is 10 % faster by this, and the areas with channels last 25 to 45 % slower without the
// exception.
double vector_cost(int bytes, bool waits) {
  if (bytes >= 64) return 1;
  return !waits ? 0.85 : bytes >= 32 ? 0.62 : 0.5;
}

// In place: to walk through a row of a bin, and to fold what was found for one channel; with
// positions a bin is walked through again. By maps of 1, 3, 16 and 64 channels, at sides from 14 to
// 2000 pixels.
constexpr double kRowCost = 1.5, kFoldCost = 25, kFindCost = 3.2;

// More would take hours: of maps that no memory is behind, since one pixel stands for many. Packed
// they are too large for any.
constexpr double kMostWalked = double(int64_t(1) << 40);

// Pixels of an axis in bins, and how many of those have some.
struct Sides {
  int64_t pixels = 0, bins = 0;
  Sides(const int32_t* bins_of, int64_t count) {
    for (int64_t p = 0; p < count; ++p) {
      const int32_t side = std::max(0, bins_of[2 * p + 1] - bins_of[2 * p]);
      pixels += side, bins += side > 0;
    }
  }
};

void add_reads(ImagePlan& plan, const Edges& edges, int64_t region) {
  const int32_t* y_bins = edges.y_bins + region * edges.pooled_h * 2;
  const int32_t* x_bins = edges.x_bins + region * edges.pooled_w * 2;
  const Sides down(y_bins, edges.pooled_h), across(x_bins, edges.pooled_w);
  plan.pixels += double(down.pixels) * double(across.pixels);
  plan.rows += double(down.pixels) * double(across.bins);
  for (int64_t y = 0; y < edges.pooled_h; ++y) {
    const int64_t height = y_bins[2 * y + 1] - y_bins[2 * y];
    for (int64_t x = 0; x < edges.pooled_w; ++x) {
      const int64_t width = x_bins[2 * x + 1] - x_bins[2 * x];
      const int64_t least = std::min(height, width);
      if (least <= 0) continue;
      const int fitting = std::min(int(std::bit_width(uint64_t(least))), kLevels) - 1;
      for (int level = 0; level <= fitting; ++level) {
        const int64_t more = (int64_t(1) << level) - 1;
        plan.reads[fitting][level] +=
            double((height + more) >> level) * double((width + more) >> level);
      }
    }
  }
}

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

double bytes_of_levels(const ImagePlan& plan, const MaxKernels& kernels, unsigned kept) {
  return double(plan.box.area()) * double(bytes_a_pixel(kernels, kept));
}

// Those of the least work that take no more than so many bytes, or are one alone. Positions are
// made from the map's, which then is kept too.
Levels choose_levels(const ImagePlan& plan, const MaxKernels& kernels, bool argmax, double most) {
  const double area = double(plan.box.area());
  Levels best{1, cost_of(1, plan.reads, area, argmax)};
  for (unsigned kept = 2; plan.per_image && kept < 1u << kLevels; ++kept) {
    if (argmax && !(kept & 1)) continue;
    if (std::popcount(kept) > 1 && bytes_of_levels(plan, kernels, kept) > most) continue;
    const double cost = cost_of(kept, plan.reads, area, argmax);
    if (cost < best.work) best = {kept, cost};
  }
  best.work += plan.other_work;
  return best;
}

// Blocks of one width, each of which may take one of so many shares of the room.
struct Candidate {
  MaxKernels kernels;
  int shares;
};

// The fastest first. None is wider than its channels need: lanes without one cost as much as
// others.
std::vector<Candidate> candidates(const std::vector<MaxKernels>& widths, const Demand& demand) {
  std::vector<Candidate> found;
  for (std::size_t i = 0; i < widths.size(); ++i)
    if (i + 1 == widths.size() || widths[i + 1].lanes < demand.channels)
      for (const int shares : {1, demand.threads}) found.push_back({widths[i], shares});
  return found;
}

Choice choice_of(const Candidate& candidate, const Demand& demand,
                 const std::vector<ImagePlan>& plans) {
  const MaxKernels& kernels = candidate.kernels;
  Choice choice;
  choice.kernels = kernels;
  const int64_t blocks = ceil_div(demand.channels, kernels.lanes);
  int64_t units = 0;
  for (const ImagePlan& plan : plans) {
    const Levels levels =
        choose_levels(plan, kernels, demand.argmax, demand.room / candidate.shares);
    const double bytes = plan.per_image ? bytes_of_levels(plan, kernels, levels.kept) : 0;
    const bool waits = !demand.argmax && !plan.channels_last && bytes > kOwnCache;
    choice.levels.push_back(levels);
    choice.cost += levels.work * double(blocks) * vector_cost(kernels.pixel_bytes, waits);
    if (!plan.per_image) continue;
    units += blocks;
    choice.most = std::max(choice.most, int64_t(bytes));
    choice.crowded |= bytes_of_levels(plan, kernels, (1u << kLevels) - 1) > demand.room;
  }
  choice.threads = int(std::min(double(demand.threads), 1 + choice.cost / kWorkPerThread));
  const int64_t least = plans.size() > 1 ? 2 * choice.threads : choice.threads;  // may be unequal
  choice.private_blocks = units >= least && double(choice.most) * choice.threads <= demand.room;
  const int64_t shared = choice.private_blocks ? units % choice.threads
                         : choice.threads > 1  ? units
                                               : 0;
  choice.crowded |= shared > 0;
  if (shared > 0) choice.cost *= 1 + (kSharedCost - 1) * double(shared) / double(units);
  return choice;
}

double cost_in_place(const MaxKernels& kernels, const Demand& demand,
                     const std::vector<ImagePlan>& plans) {
  double cost = 0;
  for (const ImagePlan& plan : plans) {
    const double vectors = plan.pixels * double(plan.beside) / kernels.in_place_lanes;
    const double walks = double(demand.channels / plan.beside);
    cost +=
        walks * (vectors + kRowCost * plan.rows) + kFoldCost * double(demand.channels) * plan.bins;
  }
  return demand.argmax ? cost * kFindCost : cost;
}

}  // namespace

ImagePlan plan_image(const Edges& edges, const int64_t* list, int64_t count, bool channels_last,
                     int64_t beside) {
  ImagePlan plan;
  plan.channels_last = channels_last;
  plan.beside = beside;
  plan.bins = double(count * edges.bins());
  plan.box = {INT32_MAX, INT32_MAX, 0, 0};
  double pixels = 0;  // packed when each region is packed by itself
  for (int64_t i = 0; i < count; ++i) {
    const Box box = covered(edges, list[i]);
    if (box.area() == 0) continue;
    pixels += double(box.area());
    plan.alone = std::max(plan.alone, box.area());
    plan.box = {std::min(plan.box.y0, box.y0), std::min(plan.box.x0, box.x0),
                std::max(plan.box.y1, box.y1), std::max(plan.box.x1, box.x1)};
    add_reads(plan, edges, list[i]);
  }
  if (pixels == 0) plan.box = {};
  const double area = double(plan.box.area());
  plan.per_image = pixels * kPerRegionCost > area;
  plan.other_work =
      kPackCost * (plan.per_image ? area : pixels * kPerRegionCost) + kBinCost * plan.bins;
  if (plan.per_image) plan.alone = 0;
  return plan;
}

int64_t bytes_a_pixel(const MaxKernels& kernels, unsigned kept) {
  return int64_t(kept & 1) * kernels.pixel_bytes +
         int64_t(std::popcount(kept >> 1)) * kernels.window_bytes;
}

// Of those that fit the one of the least cost, else the one that takes the least memory. Nothing is
// packed where that takes longer than to walk through the map as it lies, or none of them fits.
Choice choose(const std::vector<MaxKernels>& widths, const Demand& demand,
              const std::vector<ImagePlan>& plans) {
  Choice best;
  for (const Candidate& candidate : candidates(widths, demand)) {
    const Choice found = choice_of(candidate, demand, plans);
    const bool fits = double(best.most) <= demand.room;
    if (best.levels.empty() || (fits ? found.cost < best.cost : found.most < best.most))
      best = found;
    if (!found.crowded) break;  // the others would only save memory
  }
  int64_t alone = 0;
  for (const ImagePlan& plan : plans) alone = std::max(alone, plan.alone);
  const double packed = double(alone) * best.kernels.pixel_bytes * best.threads;
  const double cost = cost_in_place(widths[0], demand, plans);
  const bool fits = std::max(packed, double(best.most)) <= demand.room;
  best.in_place = (cost < best.cost || !fits) && cost < kMostWalked;
  if (best.in_place)
    best.threads = int(std::min(double(demand.threads), 1 + cost / kWorkPerThread));
  return best;
}

}  // namespace roipool
