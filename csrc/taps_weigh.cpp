// What taps' weights are multiplied by. A task sums over a group of channels, over a strip of an
// image across the axis, for all regions that reach into it; the groups' sums are then added in
// their order, which no number of threads and no width of a register changes.
#include <algorithm>
#include <cstring>

#include "tap_plan.h"
#include "threads.h"

namespace roipool {
namespace {

constexpr int64_t kStripBytes = kOwnCache * 4;

class Weighing {
 public:
  Weighing(const TapCall& taps, bool along_y, const Array& weights)
      : taps_(taps),
        along_y_(along_y),
        out_(static_cast<char*>(contiguous(weights))),
        count_(weights.shape[0]) {}

  void run() {
    std::memset(out_, 0, std::size_t(count_ * sum_bytes_));
    if (taps_.channels * taps_.bins() * count_ == 0) return;
    const int64_t group_bytes = bytes_of(count_, sum_bytes_);
    const int64_t together = std::clamp<int64_t>(taps_.room() / 2 / group_bytes, 1, groups_);
    plan();
    const Workspace partial(bytes_of(group_bytes, together)), memory(bytes_of(bytes_, threads_));
    for (int64_t first = 0; first < groups_; first += together) {
      const int64_t groups = std::min(together, groups_ - first);
      // Of regions that read nothing no sums are written.
      std::memset(partial.at(0), 0, std::size_t(groups * group_bytes));
      parallel_for(threads_, groups * int64_t(pieces_.size()), [&](int64_t task, int worker) {
        const int64_t group = task % groups;
        weigh(pieces_[task / groups], (first + group) * kTapGroup, memory.at(worker * bytes_),
              partial.at(group * group_bytes));
      });
      add(static_cast<const char*>(partial.at(0)), groups);
    }
  }

 private:
  // Strips of each piece across the axis, that stay in a core's own cache.
  void plan() {
    plan_ = plan_taps(taps_, by_image_, {along_y_, !along_y_});
    threads_ = threads_for(taps_, 2 * plan_.work * double(groups_) * double(group_blocks_));
    split_pieces(plan_.pieces, groups_, threads_);
    const int64_t most = std::min(kStripBytes, taps_.room() / 2 / threads_);
    for (const TapPiece& piece : plan_.pieces) {
      const Box& box = piece.box;
      const int64_t from = along_y_ ? box.y0 : box.x0, to = along_y_ ? box.y1 : box.x1;
      const int64_t line = (along_y_ ? box.width() : box.height()) * pixel_bytes_;
      const int64_t lines = std::max<int64_t>(1, most / std::max<int64_t>(1, line));
      for (int64_t at = from; at < to; at += lines) {
        TapPiece strip = piece;
        (along_y_ ? strip.box.y0 : strip.box.x0) = at;
        (along_y_ ? strip.box.y1 : strip.box.x1) = std::min(at + lines, to);
        pieces_.push_back(strip);
        block_bytes_ = std::max(block_bytes_, bytes_of(tap_pixels(strip.box), pixel_bytes_));
      }
    }
    bytes_ = block_bytes_ + kernels_.scratch_bytes(plan_.most_taps, taps_.bins());
    threads_ = int(std::min<int64_t>(threads_, std::max<int64_t>(1, groups_ * pieces_.size())));
  }

  void weigh(const TapPiece& piece, int64_t channel, void* memory, void* sums) const {
    const int64_t channels = std::min<int64_t>(kTapGroup, taps_.channels - channel);
    const int64_t plane = tap_pixels(piece.box) * kernels_.pixel_bytes;
    char* const packed = static_cast<char*>(memory);
    for (int64_t b = 0; b < group_blocks_; ++b)
      if (b * kernels_.lanes < channels)
        pack_taps(taps_, kernels_, piece.image, piece.box, channel + b * kernels_.lanes,
                  packed + b * plane);
      else
        std::memset(packed + b * plane, 0, std::size_t(plane));
    kernels_.weigh({packed, piece.box, int(channels)}, taps_.some(plan_, piece),
                   taps_.pooled_from(channel), along_y_, sums, packed + block_bytes_);
  }

  void add(const char* partial, int64_t groups) const {
    if (sum_bytes_ == 8)
      add(reinterpret_cast<const double*>(partial), groups);
    else
      add(reinterpret_cast<const float*>(partial), groups);
  }

  template <class Sum>
  void add(const Sum* partial, int64_t groups) const {
    const TapAxis& axis = along_y_ ? taps_.y : taps_.x;
    Sum* const out = reinterpret_cast<Sum*>(out_);
    parallel_for(threads_, taps_.regions, [&](int64_t k, int) {
      if (taps_.image[k] < 0) return;
      for (int64_t p = k * axis.count; p < (k + 1) * axis.count; ++p)
        for (int64_t s = axis.bins[2 * p]; s < axis.bins[2 * p + 1]; ++s)
          for (int64_t g = 0; g < groups; ++g) out[s] += partial[g * count_ + s];
    });
  }

  const TapCall& taps_;
  const bool along_y_;
  char* const out_;
  const int64_t count_;  // taps
  const int64_t sum_bytes_ = taps_.dtype == DType::float64 ? 8 : 4;
  const TapKernels kernels_ = chosen_isa().taps(taps_.dtype);
  const int64_t groups_ = ceil_div(taps_.channels, kTapGroup);
  const int64_t group_blocks_ = kTapGroup / kernels_.lanes;
  const int64_t pixel_bytes_ = group_blocks_ * kernels_.pixel_bytes;
  const RegionsByImage by_image_{taps_.image, taps_.regions, taps_.maps.images()};
  TapPlan plan_;
  std::vector<TapPiece> pieces_;
  int threads_ = 1;
  int64_t block_bytes_ = 0, bytes_ = 0;
};

}  // namespace

bool taps_weigh_y_call(const Call& call) {
  const TapCall taps = tap_call(call, call.inputs[1], call.input(0), nullptr, &call.input(2), 3);
  Weighing(taps, true, *call.result(0)).run();
  return true;
}

bool taps_weigh_x_call(const Call& call) {
  const TapCall taps = tap_call(call, call.inputs[1], call.input(0), &call.input(2), nullptr, 3);
  Weighing(taps, false, *call.result(0)).run();
  return true;
}

}  // namespace roipool
