// What weights are multiplied by, for one list of weights or for two. A task sums over some groups
// of channels, over a strip of an image, for all regions that reach into it; the groups' sums are
// then added in their order, which no number of threads and no width of a register changes.
#include <algorithm>
#include <cstring>

#include "sum_plan.h"
#include "threads.h"

namespace roipool {
namespace {

constexpr int64_t kStripBytes = kOwnCache * 4;
constexpr int64_t kAddedTogether = 4096;  // sums

// What is asked for of one list.
struct Sums {
  char* out = nullptr;
  int64_t count = 0;

  explicit Sums(const Array* weights)
      : out(weights ? static_cast<char*>(weights->start) : nullptr),
        count(weights ? weights->shape[0] : 0) {}
};

class Weighing {
 public:
  Weighing(const SumCall& call, const SumPlan& plan, const Array* first, const Array* second)
      : call_(call),
        plan_(plan),
        first_(first),
        second_(second),
        threads_(threads_for(call, kernels_, 2 * plan.work)),
        most_bytes_(std::min(kStripBytes, call_.room() / 2 / threads_)) {}

  // Whether each piece is one strip: else both lists cannot be done together.
  bool whole() const {
    return std::all_of(plan_.pieces.begin(), plan_.pieces.end(), [&](const SumPiece& piece) {
      return bytes_of(packed_pixels(piece.box), pixel_bytes_) <= most_bytes_;
    });
  }

  void run() {
    for (const Sums& sums : {first_, second_})
      if (sums.count > 0) std::memset(sums.out, 0, std::size_t(sums.count * sum_bytes_));
    if (call_.channels * call_.bins() * group_bytes_ == 0) return;
    cut();
    const int64_t room = call_.room() / 2;
    const int64_t held = std::clamp<int64_t>(room / group_bytes_, 1, groups_);
    const int64_t task_groups = std::min(
        held, blocks_together(groups_, int64_t(pieces_.size()), strip_bytes_ / 2, room, threads_));
    packed_bytes_ = strip_bytes_ * task_groups;
    const int64_t bytes = packed_bytes_ + kernels_.weigh_bytes(plan_.most);
    const Workspace partial(groups_ > 1 ? bytes_of(group_bytes_, held) : 0);
    const Workspace memory(bytes_of(bytes, threads_));
    for (int64_t first = 0; first < groups_; first += held) {
      const int64_t groups = std::min(held, groups_ - first);
      const int64_t tasks = ceil_div(groups, task_groups);
      // Of regions that read nothing no sums are written.
      if (groups_ > 1)
        parallel_for(threads_, groups, [&](int64_t group, int) {
          std::memset(partial.at(group * group_bytes_), 0, std::size_t(group_bytes_));
        });
      parallel_for(threads_, tasks * int64_t(pieces_.size()), [&](int64_t task, int worker) {
        const int64_t from = task % tasks * task_groups;
        weigh(pieces_[task / tasks], (first + from) * group_,
              std::min(task_groups, groups - from) * group_,
              static_cast<char*>(memory.at(worker * bytes)),
              groups_ > 1 ? weighed(static_cast<char*>(partial.at(from * group_bytes_)))
                          : Weighed{{first_.out, second_.out}, 0});
      });
      if (groups_ == 1) return;
      const auto* const sums = static_cast<const char*>(partial.at(0));
      if (first_.out) add(first_, sums, groups);
      if (second_.out) add(second_, sums + first_.count * sum_bytes_, groups);
    }
  }

 private:
  // Strips of each piece, across the axis of the lists, that stay in a core's own cache.
  void cut() {
    std::vector<SumPiece> pieces = plan_.pieces;
    split_pieces(pieces, groups_, threads_);
    const bool along_y = first_.out != nullptr;
    for (const SumPiece& piece : pieces) {
      const Box& box = piece.box;
      const int64_t from = along_y ? box.y0 : box.x0, to = along_y ? box.y1 : box.x1;
      const int64_t across = (along_y ? box.width() : box.height()) + 1;
      const int64_t lines = std::max<int64_t>(1, most_bytes_ / (across * pixel_bytes_) - 1);
      for (int64_t at = from; at < to; at += lines) {
        SumPiece strip = piece;
        (along_y ? strip.box.y0 : strip.box.x0) = at;
        (along_y ? strip.box.y1 : strip.box.x1) = std::min(at + lines, to);
        pieces_.push_back(strip);
        strip_bytes_ = std::max(strip_bytes_, bytes_of(packed_pixels(strip.box), pixel_bytes_));
      }
    }
    threads_ = int(std::min<int64_t>(threads_, std::max<int64_t>(1, groups_ * pieces_.size())));
  }

  void weigh(const SumPiece& piece, int64_t channel, int64_t channels, char* memory,
             const Weighed& sums) const {
    const int64_t there = std::min(channels, call_.channels - channel);
    const int64_t plane = packed_pixels(piece.box) * kernels_.pixel_bytes;
    char* packed = memory;
    for (int64_t c = 0; c < ceil_div(there, unit_) * unit_; c += kernels_.lanes, packed += plane)
      if (c < there)
        pack_block(call_, kernels_, piece.image, piece.box, channel + c, packed);
      else
        std::memset(packed, 0, std::size_t(plane));
    kernels_.weigh({memory, piece.box, int(there)}, plan_.regions(call_, piece),
                   call_.pooled_from(channel), sums, memory + packed_bytes_);
  }

  // Where the sums of a group and those behind it go.
  Weighed weighed(char* sums) const {
    return {{first_.out ? sums : nullptr, second_.out ? sums + first_.count * sum_bytes_ : nullptr},
            group_bytes_ / sum_bytes_};
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

  const SumCall& call_;
  const SumPlan& plan_;
  const Sums first_, second_;
  const int64_t sum_bytes_ = call_.sum_bytes();
  const SumKernels kernels_ = call_.kernels(chosen_isa());
  // Whole blocks and lane groups, but no more than there are channels for.
  const int64_t unit_ = std::max(kernels_.lanes, kLaneGroup);
  const int64_t group_ = std::min<int64_t>(kernels_.group, ceil_div(call_.channels, unit_) * unit_);
  const int64_t groups_ = group_ ? ceil_div(call_.channels, group_) : 0;
  const int64_t group_blocks_ = group_ / kernels_.lanes;
  const int64_t pixel_bytes_ = group_blocks_ * kernels_.pixel_bytes;
  const int64_t group_bytes_ = bytes_of(first_.count + second_.count, sum_bytes_);  // of its sums
  int threads_;
  const int64_t most_bytes_;  // of a strip
  std::vector<SumPiece> pieces_;
  int64_t strip_bytes_ = 0, packed_bytes_ = 0;
};

}  // namespace

bool weigh_sums(const SumCall& call, const Array* first, const Array* second) {
  const SumPlan plan = plan_sums(call);
  Weighing all(call, plan, first, second);
  if (!first || !second || all.whole()) {
    all.run();
  } else {
    Weighing(call, plan, first, nullptr).run();
    Weighing(call, plan, nullptr, second).run();
  }
  return true;
}

}  // namespace roipool
