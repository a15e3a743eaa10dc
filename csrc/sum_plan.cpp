#include "sum_plan.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

namespace roipool {
namespace {

constexpr int64_t kLeastRoom = 4 << 20;
constexpr int64_t kMostRoom = int64_t(1) << 34;  // in which 32 bits count floats
constexpr int64_t kCachedResult = 16 << 20;      // a larger one is written around the caches
// In reads of a vector: of a pixel packed for many regions, or for one; of a vector that is
// gathered from the caller's map, which pays from about five pixels of a box for each that is read;
// of a bin.
constexpr double kPackCost = 4, kAloneCost = 6, kGatherCost = 24, kBinCost = 8;
constexpr double kWorkPerThread = 1e5;
constexpr int64_t kMostTogether = 8;
constexpr int64_t kLookedAtTogether = 64;  // regions

DType floating(DType dtype) {
  switch (dtype) {
    case DType::float16:
    case DType::bfloat16:
    case DType::float32:
    case DType::float64: return dtype;
    default: throw std::invalid_argument("sums are of floating features");
  }
}

const Array& pooled_of(const Array& pooled, int64_t regions, DType dtype) {
  if (pooled.axes != 4 || pooled.itemsize != size_of(dtype) || pooled.shape[0] != regions)
    throw std::invalid_argument("expected pooled values (K, C, h, w)");
  return pooled;
}

const int32_t* images_of(const Array& image, int64_t images) {
  const int32_t* const numbers = whole_numbers(image);
  for (int64_t k = 0; k < image.shape[0]; ++k)
    if (numbers[k] >= images)
      throw std::invalid_argument("a region is on image " + std::to_string(numbers[k]) + " of " +
                                  std::to_string(images));
  return numbers;
}

SumPooled placed(const Array& pooled) {
  const int64_t channels = pooled.shape[1], bins = pooled.shape[2] * pooled.shape[3];
  const int64_t size = pooled.shape[0] * channels * bins * pooled.itemsize;
  return {pooled.start,
          static_cast<char*>(pooled.start) + size,
          steps_of(channels_last(pooled), channels, bins),
          channels * bins,
          size > kCachedResult,
          0};
}

// Of every region; of a row that is none, nothing.
std::vector<Need> needs_of(const SumCall& call) {
  std::vector<Need> needs(std::size_t(call.regions));
  parallel_for(threads_for(call, double(call.entries())), ceil_div(call.regions, kLookedAtTogether),
               [&](int64_t task, int) {
                 const int64_t first = task * kLookedAtTogether;
                 const int64_t end = std::min(first + kLookedAtTogether, call.regions);
                 for (int64_t k = first; k < end; ++k)
                   if (call.image[k] >= 0) needs[k] = call.need(k, call.maps.at(call.image[k]));
               });
  return needs;
}

}  // namespace

SumCall::SumCall(const Call& call, const Operand& maps, const Array& pooled, const Array& image)
    : dtype(floating(call.dtype)),
      regions(image.shape[0]),
      channels(pooled_of(pooled, image.shape[0], call.dtype).shape[1]),
      down(pooled.shape[2]),
      across(pooled.shape[3]),
      maps(maps_of(maps, pooled.shape[1], call.dtype)),
      image(images_of(image, this->maps.images())),
      by_image(this->image, regions, this->maps.images()),
      pooled(placed(pooled)),
      threads(threads_or_default(call.threads)) {}

void* SumCall::weights(const Array* array) const {
  if (!array) return nullptr;
  if (array->itemsize != sum_bytes())
    throw std::invalid_argument("expected weights of the type of sums");
  return contiguous(*array);
}

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
  const std::vector<Need> needs = needs_of(call);
  SumPlan plan;
  plan.reach.resize(std::size_t(call.regions));
  plan.most.down = call.down, plan.most.across = call.across;
  for (int64_t image = 0; image < call.maps.images(); ++image) {
    const int64_t* const list = call.by_image.list(image);
    const int64_t count = call.by_image.count(image);
    const std::size_t first = plan.pieces.size();
    Box whole{INT64_MAX, INT64_MAX, 0, 0};
    double alone = 0;  // what they cost by themselves
    for (int64_t i = 0; i < count; ++i) {
      const Need& need = needs[list[i]];
      const Box& box = need.box;
      plan.most.entries = std::max(plan.most.entries, need.lists.entries);
      plan.most.most_y = std::max(plan.most.most_y, need.lists.most_y);
      plan.most.most_x = std::max(plan.most.most_x, need.lists.most_x);
      plan.work += need.reads + kBinCost * double(call.bins());
      plan.reach[list[i]] = box;
      const double packed = kAloneCost * double(box.area()), gathered = kGatherCost * need.reads;
      plan.pieces.push_back({image, box, list + i, 1, gathered < packed});
      if (box.area() == 0) continue;
      alone += std::min(packed, gathered);
      whole = {std::min(whole.y0, box.y0), std::min(whole.x0, box.x0), std::max(whole.y1, box.y1),
               std::max(whole.x1, box.x1)};
    }
    if (alone == 0) whole = {};
    const double packed = kPackCost * double(whole.area());
    const bool together = count > 0 && packed <= alone;
    plan.work += std::min(packed, alone);
    if (!together) continue;
    plan.pieces.resize(first);
    plan.pieces.push_back({image, whole, list, count});
  }
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

int64_t blocks_together(int64_t blocks, int64_t bytes, int64_t room, int threads) {
  const int64_t cached = std::max<int64_t>(2, kOwnCache / 2 / bytes / 2 * 2);
  const int64_t fitting = std::max<int64_t>(1, room / bytes / threads);
  const int64_t shared = std::max<int64_t>(1, blocks / (2 * threads));
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
