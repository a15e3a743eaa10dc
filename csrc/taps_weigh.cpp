// What taps' weights are multiplied by, along y, along x or both. A task sums over some groups of
// channels, over a strip of an image across the axis, for all regions that reach into it; the
// groups' sums are then added in their order, which no number of threads and no width of a
// register changes.
#include <algorithm>
#include <cstring>

#include "tap_plan.h"
#include "threads.h"

namespace roipool {
namespace {

constexpr int64_t kStripBytes = kOwnCache * 4;
constexpr int64_t kAddedTogether = 4096;  // sums

// What is asked for along one axis.
struct Sums {
  char* out = nullptr;
  int64_t count = 0;  // taps

  Sums(const Array* weights)
      : out(weights ? static_cast<char*>(contiguous(*weights)) : nullptr),
        count(weights ? weights->shape[0] : 0) {}
};

class Weighing {
 public:
  Weighing(const TapCall& taps, const Array* y, const Array* x)
      : taps_(taps),
        y_(y),
        x_(x),
        plan_(plan_taps(taps, by_image_, {y != nullptr, x != nullptr})),
        threads_(threads_for(taps, 2 * plan_.work * double(groups_) * double(group_blocks_))),
        most_bytes_(std::min(kStripBytes, taps_.room() / 2 / threads_)) {}

  // Whether each piece is one strip: else both axes cannot be done together.
  bool whole() const {
    return std::all_of(plan_.pieces.begin(), plan_.pieces.end(), [&](const TapPiece& piece) {
      return bytes_of(tap_pixels(piece.box), pixel_bytes_) <= most_bytes_;
    });
  }

  void run() {
    for (const Sums& sums : {y_, x_})
      if (sums.out) std::memset(sums.out, 0, std::size_t(sums.count * sum_bytes_));
    if (taps_.channels * taps_.bins() * group_bytes_ == 0) return;
    cut();
    const int64_t room = taps_.room() / 2;
    const int64_t held = std::clamp<int64_t>(room / group_bytes_, 1, groups_);
    const int64_t task_groups = std::min(
        held, blocks_together(groups_, std::max<int64_t>(1, strip_bytes_ / 2), room, threads_));
    const int64_t packed_bytes = strip_bytes_ * task_groups;
    const int64_t bytes =
        packed_bytes + kernels_.weigh_bytes(plan_.most_taps, taps_.y.count, taps_.x.count);
    const Workspace partial(bytes_of(group_bytes_, held)), memory(bytes_of(bytes, threads_));
    for (int64_t first = 0; first < groups_; first += held) {
      const int64_t groups = std::min(held, groups_ - first);
      const int64_t tasks = ceil_div(groups, task_groups);
      // Of regions that read nothing no sums are written.
      parallel_for(threads_, groups, [&](int64_t group, int) {
        std::memset(partial.at(group * group_bytes_), 0, std::size_t(group_bytes_));
      });
      parallel_for(threads_, tasks * int64_t(pieces_.size()), [&](int64_t task, int worker) {
        const int64_t from = task % tasks * task_groups;
        weigh(pieces_[task / tasks], (first + from) * kTapGroup,
              std::min(task_groups, groups - from) * kTapGroup, memory.at(worker * bytes),
              packed_bytes, partial.at(from * group_bytes_));
      });
      const auto* const sums = static_cast<const char*>(partial.at(0));
      if (y_.out) add(y_, sums, groups);
      if (x_.out) add(x_, sums + y_.count * sum_bytes_, groups);
    }
  }

 private:
  // Strips of each piece across the axis, that stay in a core's own cache.
  void cut() {
    split_pieces(plan_.pieces, groups_, threads_);
    const bool along_y = y_.out != nullptr;
    for (const TapPiece& piece : plan_.pieces) {
      const Box& box = piece.box;
      const int64_t from = along_y ? box.y0 : box.x0, to = along_y ? box.y1 : box.x1;
      const int64_t across = (along_y ? box.width() : box.height()) + 1;
      const int64_t lines = std::max<int64_t>(1, most_bytes_ / (across * pixel_bytes_) - 1);
      for (int64_t at = from; at < to; at += lines) {
        TapPiece strip = piece;
        (along_y ? strip.box.y0 : strip.box.x0) = at;
        (along_y ? strip.box.y1 : strip.box.x1) = std::min(at + lines, to);
        pieces_.push_back(strip);
        strip_bytes_ = std::max(strip_bytes_, bytes_of(tap_pixels(strip.box), pixel_bytes_));
      }
    }
    threads_ = int(std::min<int64_t>(threads_, std::max<int64_t>(1, groups_ * pieces_.size())));
  }

  void weigh(const TapPiece& piece, int64_t channel, int64_t channels, void* memory,
             int64_t packed_bytes, void* sums) const {
    const int64_t there = std::min(channels, taps_.channels - channel);
    const int64_t plane = tap_pixels(piece.box) * kernels_.pixel_bytes;
    auto* packed = static_cast<char*>(memory);
    for (int64_t c = 0; c < channels; c += kernels_.lanes, packed += plane)
      if (c < there)
        pack_taps(taps_, kernels_, piece.image, piece.box, channel + c, packed);
      else
        std::memset(packed, 0, std::size_t(plane));
    auto* const of_y = static_cast<char*>(sums);
    kernels_.weigh({memory, piece.box, int(there)}, taps_.some(plan_, piece),
                   taps_.pooled_from(channel),
                   {y_.out ? of_y : nullptr, x_.out ? of_y + y_.count * sum_bytes_ : nullptr,
                    group_bytes_ / sum_bytes_},
                   static_cast<char*>(memory) + packed_bytes);
  }

  void add(const Sums& sums, const char* partial, int64_t groups) const {
    if (sum_bytes_ == 8)
      add<double>(sums, partial, groups);
    else
      add<float>(sums, partial, groups);
  }

  template <class Sum>
  void add(const Sums& sums, const char* partial, int64_t groups) const {
    parallel_for(threads_, ceil_div(sums.count, kAddedTogether), [&](int64_t task, int) {
      const int64_t from = task * kAddedTogether;
      const int64_t to = std::min(from + kAddedTogether, sums.count);
      auto* const out = reinterpret_cast<Sum*>(sums.out);
      for (int64_t g = 0; g < groups; ++g) {
        const auto* const part = reinterpret_cast<const Sum*>(partial + g * group_bytes_);
        for (int64_t s = from; s < to; ++s) out[s] += part[s];
      }
    });
  }

  const TapCall& taps_;
  const Sums y_, x_;
  const int64_t sum_bytes_ = taps_.dtype == DType::float64 ? 8 : 4;
  const TapKernels kernels_ = chosen_isa().taps(taps_.dtype);
  const int64_t groups_ = ceil_div(taps_.channels, kTapGroup);
  const int64_t group_blocks_ = kTapGroup / kernels_.lanes;
  const int64_t pixel_bytes_ = group_blocks_ * kernels_.pixel_bytes;
  const int64_t group_bytes_ = bytes_of(y_.count + x_.count, sum_bytes_);  // of a group's sums
  const RegionsByImage by_image_{taps_.image, taps_.regions, taps_.maps.images()};
  TapPlan plan_;
  int threads_;
  const int64_t most_bytes_;  // of a strip
  std::vector<TapPiece> pieces_;
  int64_t strip_bytes_ = 0;
};

}  // namespace

bool taps_weigh_y_call(const Call& call) {
  const TapCall taps = tap_call(call, call.inputs[1], call.input(0), nullptr, &call.input(2), 3);
  Weighing(taps, call.result(0), nullptr).run();
  return true;
}

bool taps_weigh_x_call(const Call& call) {
  const TapCall taps = tap_call(call, call.inputs[1], call.input(0), &call.input(2), nullptr, 3);
  Weighing(taps, nullptr, call.result(0)).run();
  return true;
}

bool taps_weigh_call(const Call& call) {
  const TapCall taps =
      tap_call(call, call.inputs[1], call.input(0), &call.input(2), &call.input(3), 4);
  Weighing both(taps, call.result(0), call.result(1));
  if (both.whole()) {
    both.run();
  } else {
    Weighing(taps, call.result(0), nullptr).run();
    Weighing(taps, nullptr, call.result(1)).run();
  }
  return true;
}

}  // namespace roipool
