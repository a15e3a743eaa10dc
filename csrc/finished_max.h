// Maxima, and perhaps where they stand, on their way to the result.
#pragma once

#include "store.h"
#include "windows_max.h"

namespace roipool::ROIPOOL_ISA {

// A tile of finished bins that follow each other in one region. Position is the type of an argmax,
// or void where none is asked for.
template <class D, class Key, class Position>
class Finished {
 public:
  Finished(const Result& result, int channels, int64_t channel, int64_t bins)
      : result_(result),
        position_steps_{bins, 1},
        channel_(channel),
        channels_(channels),
        value_writer_(result.around_caches),
        position_writer_(result.around_caches) {}

  // Where the next bins belong: in another region, or elsewhere in this one.
  void begin(int64_t region) {
    region_ = region;
    first_ = 0;
  }
  ROIPOOL_INLINE void go_on_at(int64_t bin) {
    if (bin == first_ + size_) return;
    hand_over();
    first_ = bin;
  }

  // Of so many bins, those that there is room for; these are set, and then added.
  ROIPOOL_INLINE int64_t room(int64_t bins) const {
    return bins < kTile - size_ ? bins : kTile - size_;
  }
  ROIPOOL_INLINE void set(int64_t behind, const Found<Key>& found) {
    values_[size_ + behind] = found.value;
    if constexpr (kArgmax) positions_[size_ + behind] = found.position;
  }
  // As many lines of the tile before are written.
  ROIPOOL_INLINE void add(int64_t bins) {
    size_ += bins;
    value_writer_.write(bins);
    if constexpr (kArgmax) position_writer_.write(bins);
    if (size_ == kTile) hand_over();
  }

  // To the writers.
  void hand_over() {
    if (size_ == 0) return;
    const auto place = [&](Steps steps) {
      return region_ * result_.region + channel_ * steps.channel + first_ * steps.bin;
    };
    value_writer_.take(values_, size_, channels_, result_.steps,
                       static_cast<typename D::Bits*>(result_.values) + place(result_.steps));
    if constexpr (kArgmax)
      position_writer_.take(positions_, size_, channels_, position_steps_,
                            static_cast<Position*>(result_.argmax) + place(position_steps_));
    first_ += size_;
    size_ = 0;
  }

 private:
  static constexpr bool kArgmax = !std::is_void_v<Position>;
  using PositionBits = std::conditional_t<kArgmax, Position, int8_t>;

  const Result result_;
  const Steps position_steps_;
  const int64_t channel_;
  const int channels_;
  int64_t region_ = 0, first_ = 0, size_ = 0;
  Writer<D, Key> value_writer_;
  Writer<Integer<PositionBits>, Key> position_writer_;
  Vec<Key> values_[kTile], positions_[kArgmax ? kTile : 1];
};

}  // namespace roipool::ROIPOOL_ISA
