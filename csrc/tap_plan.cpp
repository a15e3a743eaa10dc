#include "tap_plan.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace roipool {
namespace {

constexpr int64_t kLeastRoom = 4 << 20;
constexpr int64_t kCachedResult = 16 << 20;  // a larger one is written around the caches
constexpr double kAloneCost = 1.5;  // of a pixel packed for one region, against a whole map's
constexpr double kPackCost = 4, kBinCost = 8;
constexpr double kWorkPerThread = 1e5;
constexpr int64_t kMostTogether = 8;

struct Reach {
  int64_t begin = INT64_MAX, end = 0, taps = 0, most = 0;
};

Reach reach_of(const TapAxis& axis, int64_t k, bool is_double, bool all) {
  Reach reach;
  const int32_t* const bins = axis.bins + k * axis.count * 2;
  const auto is_tap = [&](int64_t s) {
    if (all) return true;
    return is_double ? static_cast<const double*>(axis.weight)[s] != 0
                     : static_cast<const float*>(axis.weight)[s] != 0;
  };
  for (int64_t p = 0; p < axis.count; ++p) {
    reach.most = std::max<int64_t>(reach.most, bins[2 * p + 1] - bins[2 * p]);
    for (int64_t s = bins[2 * p]; s < bins[2 * p + 1]; ++s) {
      ++reach.taps;
      if (!is_tap(s)) continue;
      reach.begin = std::min<int64_t>(reach.begin, axis.pixel[s]);
      reach.end = std::max<int64_t>(reach.end, axis.pixel[s] + 1);
    }
  }
  return reach;
}

const int32_t* bins_of(const Array& bins, int64_t regions) {
  if (bins.axes != 3 || bins.shape[0] != regions || bins.shape[2] != 2)
    throw std::invalid_argument("expected taps of each region's bins, (K, P, 2)");
  return whole_numbers(bins);
}

}  // namespace

TapPooled TapCall::pooled_from(int64_t channel) const {
  TapPooled from = pooled;
  from.first = static_cast<char*>(from.first) + channel * from.steps.channel * size_of(dtype);
  return from;
}

void TapCall::set_none(const RegionsByImage& by_image) const {
  const int64_t row = pooled.region * size_of(dtype);
  for (const int64_t k : by_image.none())
    std::memset(static_cast<char*>(pooled.first) + k * row, 0, std::size_t(row));
}

TapRegions TapCall::some(const TapPlan& plan, const TapPiece& piece) const {
  return {y, x, piece.list, piece.count, plan.reach.data()};
}

int64_t TapCall::room() const {
  double bytes = double(regions) * double(pooled.region);
  for (const MapArray& array : maps.arrays())
    bytes += double(array.images) * double(channels) * double(array.height * array.width);
  return std::max(kLeastRoom, int64_t(bytes * double(size_of(dtype)) / 4));
}

TapCall tap_call(const Call& call, const Operand& maps, const Array& pooled, const Array* y_weight,
                 const Array* x_weight, int image_place, int between) {
  switch (call.dtype) {
    case DType::float16:
    case DType::bfloat16:
    case DType::float32:
    case DType::float64: break;
    default: throw std::invalid_argument("taps take floating features");
  }
  const Array& image = call.input(image_place);
  const int64_t regions = image.shape[0], channels = pooled.shape[1];
  const int64_t sum_bytes = call.dtype == DType::float64 ? 8 : 4;
  const auto axis = [&](int at, const Array* weight) -> TapAxis {
    if (weight && weight->itemsize != sum_bytes)
      throw std::invalid_argument("expected weights of the type of sums");
    return {bins_of(call.input(at), regions), call.input(at).shape[1],
            whole_numbers(call.input(at + 1)), weight ? contiguous(*weight) : nullptr};
  };
  const int taps = image_place + 1 + between;
  const TapAxis y = axis(taps, y_weight), x = axis(taps + 2, x_weight);
  const int64_t bins = y.count * x.count, bytes = size_of(call.dtype);
  const int64_t size = regions * channels * bins * bytes;
  if (pooled.itemsize != bytes || pooled.shape[0] != regions || pooled.shape[2] != y.count ||
      pooled.shape[3] != x.count)
    throw std::invalid_argument("expected pooled values (K, C, h, w)");
  return {call.dtype,
          maps_of(maps, channels, call.dtype),
          whole_numbers(image),
          y,
          x,
          {pooled.start, static_cast<char*>(pooled.start) + size,
           steps_of(channels_last(pooled), channels, bins), channels * bins, size > kCachedResult},
          regions,
          channels,
          threads_or_default(call.threads)};
}

TapPlan plan_taps(const TapCall& call, const RegionsByImage& by_image, TapCover cover) {
  const bool is_double = call.dtype == DType::float64;
  TapPlan plan;
  plan.reach.resize(call.regions);
  for (int64_t image = 0; image < call.maps.images(); ++image) {
    const int64_t* const list = by_image.list(image);
    const int64_t count = by_image.count(image);
    const std::size_t first = plan.pieces.size();
    const Map map = call.maps.at(image);
    Box whole{INT64_MAX, INT64_MAX, 0, 0};
    double alone = 0;
    for (int64_t i = 0; i < count; ++i) {
      const Reach y = reach_of(call.y, list[i], is_double, cover.all_y);
      const Reach x = reach_of(call.x, list[i], is_double, cover.all_x);
      plan.most_taps = std::max(plan.most_taps, y.most * call.y.count + x.most * call.x.count);
      plan.most_y = std::max(plan.most_y, y.most);
      plan.most_x = std::max(plan.most_x, x.most);
      plan.work += double(y.taps) * double(x.taps) + kBinCost * double(call.bins());
      Box box{std::max<int64_t>(y.begin, 0), std::max<int64_t>(x.begin, 0),
              std::min(y.end, map.height), std::min(x.end, map.width)};
      if (box.y0 >= box.y1 || box.x0 >= box.x1) box = {};
      plan.reach[list[i]] = box;
      plan.pieces.push_back({image, box, list + i, 1});
      if (box.area() == 0) continue;
      alone += double(box.area());
      whole = {std::min(whole.y0, box.y0), std::min(whole.x0, box.x0), std::max(whole.y1, box.y1),
               std::max(whole.x1, box.x1)};
    }
    if (alone == 0) whole = {};
    const bool together = count > 0 && alone * kAloneCost >= double(whole.area());
    plan.work += kPackCost * (together ? double(whole.area()) : alone * kAloneCost);
    if (!together) continue;
    plan.pieces.resize(first);
    plan.pieces.push_back({image, whole, list, count});
  }
  return plan;
}

int threads_for(const TapCall& call, double work) {
  return int(std::min(double(call.threads), 1 + work / kWorkPerThread));
}

const Isa& isa_for(const TapCall& call) {
  const auto isas = isas_here();
  auto isa = std::find(isas.rbegin(), isas.rend(), &chosen_isa());
  // Lanes without a channel cost as much as others.
  while (isa + 1 != isas.rend() && isa[1]->taps(call.dtype).lanes >= call.channels) ++isa;
  return **isa;
}

int64_t blocks_together(int64_t blocks, int64_t bytes, int64_t room, int threads) {
  const int64_t cached = std::max<int64_t>(2, kOwnCache / 2 / bytes / 2 * 2);
  const int64_t fitting = std::max<int64_t>(1, room / bytes / threads);
  const int64_t shared = std::max<int64_t>(1, blocks / (2 * threads));
  return std::min({kMostTogether, cached, fitting, shared});
}

void pack_taps(const TapCall& call, const TapKernels& kernels, int64_t image, const Box& box,
               int64_t channel, void* to) {
  const MapArray& array = call.maps.array_of(image);
  const Map map = call.maps.at(image);
  const Strides& s = map.strides;
  const int64_t bytes = size_of(call.dtype);
  const auto last = [](int64_t count, int64_t stride) {  // whichever way the strides run
    return stride > 0 ? (count - 1) * stride : 0;
  };
  const int64_t end = last(array.images, s.image) + last(call.channels, s.channel) +
                      last(array.height, s.row) + last(array.width, s.column) + 1;
  const int64_t at = channel * s.channel + box.y0 * s.row + box.x0 * s.column;
  const int64_t channels = std::min<int64_t>(kernels.lanes, call.channels - channel);
  kernels.pack(map.start + at * bytes, array.start + end * bytes, s, int(channels), box.height(),
               box.width(), to);
}

void split_pieces(std::vector<TapPiece>& pieces, int64_t blocks, int threads) {
  const int64_t tasks = int64_t(pieces.size()) * blocks;
  if (tasks >= 2 * threads || tasks == 0) return;
  const int64_t parts = ceil_div(2 * threads, tasks);
  std::vector<TapPiece> split;
  for (const TapPiece& piece : pieces) {
    const int64_t run = ceil_div(piece.count, parts);
    for (int64_t i = 0; i < piece.count; i += run)
      split.push_back({piece.image, piece.box, piece.list + i, std::min(run, piece.count - i)});
  }
  pieces = split;
}

}  // namespace roipool
