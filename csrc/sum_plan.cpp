#include "sum_plan.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

namespace roipool {
namespace {

constexpr int64_t kLeastRoom = 4 << 20;
constexpr int64_t kMostRoom = int64_t(1) << 34;  // in which 32 bits count floats
constexpr int64_t kCachedResult = 16 << 20;      // a larger one is written around the caches
// In reads of a vector: of a pixel packed for many regions, or for one; of a vector that is
// gathered from the caller's map, which pays from about five pixels of a box for each that is read;
// of a bin.
constexpr double kPackCost = 4, kAloneCost = 6, kGatherCost = 24, kBinCost = 8;
constexpr double kLookCost = 40;  // of a region, in entries of its lists
constexpr double kWorkPerThread = 1e5;
constexpr int64_t kMostTogether = 8;
constexpr int64_t kLookedAtTogether = 64;  // regions

SumPooled placed(const Array& pooled) {
  const int64_t channels = pooled.shape[1], bins = pooled.shape[2] * pooled.shape[3];
  const int64_t size = pooled.shape[0] * channels * bins * pooled.itemsize;
  return {pooled.start,
          static_cast<char*>(pooled.start) + size,
          steps_of(is_channels_last(pooled), channels, bins),
          channels * bins,
          size > kCachedResult,
          0};
}

void widen(Box& box, const Box& other) {
  if (other.area() == 0) return;
  if (box.area() == 0) box = other;
  box = {std::min(box.y0, other.y0), std::min(box.x0, other.x0), std::max(box.y1, other.y1),
         std::max(box.x1, other.x1)};
}

void raise(ListSizes& most, const ListSizes& other) {
  most.entries = std::max(most.entries, other.entries);
  most.most_y = std::max(most.most_y, other.most_y);
  most.most_x = std::max(most.most_x, other.most_x);
  most.down = std::max(most.down, other.down);
  most.across = std::max(most.across, other.across);
}

// Some regions of one image, and what they come to.
struct Part {
  int64_t image;
  const int64_t* list;
  int64_t count;
  Box reach{};
  double alone = 0, reads = 0;  // what each costs by itself
  ListSizes most{};

  void add(const Part& other) {
    count += other.count;
    widen(reach, other.reach);
    alone += other.alone;
    reads += other.reads;
    raise(most, other.most);
  }
};

// What regions reach, and whether each reads so little that it isn't worth packing.
struct Needs {
  std::vector<Box> reach;
  std::vector<char> sparse;
  std::vector<Part> parts;  // in the order of images

  explicit Needs(const SumCall& call)
      : reach(std::size_t(call.regions)), sparse(std::size_t(call.regions)) {
    for (int64_t image = 0; image < call.maps.images(); ++image) {
      const int64_t count = call.by_image.count(image);
      for (int64_t i = 0; i < count; i += kLookedAtTogether)
        parts.push_back(
            {image, call.by_image.list(image) + i, std::min(kLookedAtTogether, count - i)});
    }
    const double work = double(call.entries()) + kLookCost * double(call.regions);
    parallel_for(threads_for(call, work), int64_t(parts.size()),
                 [&](int64_t part, int) { look(call, parts[std::size_t(part)]); });
  }

 private:
  void look(const SumCall& call, Part& part) {
    const Map map = call.maps.at(part.image);
    for (int64_t i = 0; i < part.count; ++i) {
      const int64_t k = part.list[i];
      const Need need = call.need(k, map);
      const double packed = kAloneCost * double(need.box.area());
      const double gathered = kGatherCost * need.reads;
      reach[k] = need.box;
      sparse[k] = gathered < packed;
      widen(part.reach, need.box);
      part.alone += std::min(packed, gathered);
      part.reads += need.reads;
      raise(part.most, need.lists);
    }
  }
};

}  // namespace

SumCall::SumCall(const Call& call, const Operand& maps, const Array& pooled, const Array& image)
    : dtype(floating(call.dtype)),
      regions(pooled.shape[0]),
      channels(pooled.shape[1]),
      down(pooled.shape[2]),
      across(pooled.shape[3]),
      maps(maps_of(maps, call.dtype)),
      image(whole_numbers(image)),
      by_image(this->image, regions, this->maps.images()),
      pooled(placed(pooled)),
      threads(threads_or_default(call.threads)) {}

SumPooled SumCall::pooled_from(int64_t channel) const {
  SumPooled from = pooled;
  from.first = static_cast<char*>(from.first) + channel * from.steps.channel * size_of(dtype);
  from.channel += channel;
  return from;
}

void SumCall::set_none() const {
  const int64_t row = pooled.region * size_of(dtype);
  for (const int64_t k : by_image.none())
    std::memset(static_cast<char*>(pooled.first) + k * row, 0, std::size_t(row));
}

int64_t SumCall::room() const {
  double bytes = double(regions) * double(pooled.region);
  for (const MapArray& array : maps.arrays())
    bytes += double(array.images) * double(channels) * double(array.height * array.width);
  bytes *= double(size_of(dtype)) / 4;
  return std::max(kLeastRoom, int64_t(std::min(bytes, double(kMostRoom))));
}

SumRegions SumPlan::regions(const SumCall& call, const SumPiece& piece) const {
  return {&call.structure(), piece.list, piece.count, reach.data()};
}

SumPlan plan_sums(const SumCall& call) {
  Needs needs(call);
  SumPlan plan;
  plan.reached.resize(std::size_t(call.maps.images()));
  plan.most.down = call.down, plan.most.across = call.across;
  for (auto part = needs.parts.begin(); part != needs.parts.end();) {
    Part all = *part;  // of an image
    while (++part != needs.parts.end() && part->image == all.image) all.add(*part);
    plan.reached[all.image] = all.reach;
    raise(plan.most, all.most);
    const double packed = kPackCost * double(all.reach.area());
    plan.work += all.reads + kBinCost * double(call.bins() * all.count);
    plan.work += std::min(packed, all.alone);
    if (packed <= all.alone)
      plan.pieces.push_back({all.image, all.reach, all.list, all.count});
    else
      for (const int64_t* k = all.list; k < all.list + all.count; ++k)
        plan.pieces.push_back({all.image, needs.reach[*k], k, 1, needs.sparse[*k] != 0});
  }
  plan.reach = std::move(needs.reach);
  return plan;
}

int threads_for(const SumCall& call, double work) {
  return int(std::min(double(call.threads), 1 + work / kWorkPerThread));
}

int threads_for(const SumCall& call, const SumKernels& kernels, double work) {
  const int64_t blocks = ceil_div(call.channels, kernels.lanes);
  return threads_for(call, work * double(blocks * kernels.lanes / kernels.vector));
}

SumKernels kernels_for(const SumCall& call) {
  const auto isas = isas_here();
  auto isa = std::find(isas.rbegin(), isas.rend(), &chosen_isa());
  SumKernels kernels = call.kernels(**isa);
  while (++isa != isas.rend()) {
    const SumKernels narrower = call.kernels(**isa);
    if (narrower.vector < call.channels) break;  // lanes without a channel cost as much as others
    kernels = narrower;
  }
  return kernels;
}

int64_t blocks_together(int64_t blocks, int64_t pieces, int64_t bytes, int64_t room, int threads) {
  bytes = std::max<int64_t>(1, bytes);
  const int64_t cached = std::max<int64_t>(2, kOwnCache / 2 / bytes / 2 * 2);
  const int64_t fitting = std::max<int64_t>(1, room / bytes / threads);
  const int64_t shared = std::max<int64_t>(1, blocks * pieces / (2 * threads));
  return std::min({kMostTogether, cached, fitting, shared});
}

void pack_block(const SumCall& call, const SumKernels& kernels, int64_t image, const Box& box,
                int64_t channel, void* to) {
  const Map map = call.maps.at(image);
  const Strides& s = map.strides;
  const int64_t at = channel * s.channel + box.y0 * s.row + box.x0 * s.column;
  const int64_t channels = std::min<int64_t>(kernels.lanes, call.channels - channel);
  kernels.pack(map.start + at * size_of(call.dtype), map.end, s, int(channels), box.height(),
               box.width(), to);
}

void split_pieces(std::vector<SumPiece>& pieces, int64_t blocks, int threads) {
  const int64_t tasks = int64_t(pieces.size()) * blocks;
  if (tasks >= 2 * threads || tasks == 0) return;
  const int64_t parts = ceil_div(2 * threads, tasks);
  std::vector<SumPiece> split;
  for (const SumPiece& piece : pieces) {
    const int64_t run = ceil_div(piece.count, parts);
    for (int64_t i = 0; i < piece.count; i += run)
      split.push_back(
          {piece.image, piece.box, piece.list + i, std::min(run, piece.count - i), piece.sparse});
  }
  pieces = split;
}

}  // namespace roipool
