// From finished bins, one vector of channels each, to the result.
#pragma once

#include <cstddef>

#include "kernels.h"
#include "keys.h"

namespace roipool::ROIPOOL_ISA {

inline constexpr int64_t kTile = 256;  // bins reduced before they are written out
inline constexpr int64_t kLine = 64;

// Finished bins of a block, put in the result's order and written line by line while the next bins
// are reduced: a burst of stores would only wait for memory.
template <class D, class Key>
class Writer {
 public:
  using Bits = typename D::Bits;

  explicit Writer(bool around_caches) : around_caches_(around_caches) {}
  ~Writer() { finish(); }

  // Takes up to kTile consecutive bins of one region; `out` is where the first goes.
  ROIPOOL_INLINE void take(const Vec<Key>* bins, int64_t size, int channels, Steps steps,
                           Bits* out) {
    finish();
    if (steps.bin == 1) {
      turn(bins, size);
      const bool dense = steps.channel == size;
      begin(out, dense ? 1 : channels, dense ? channels * size : size, size, steps.channel);
    } else {
      for (int64_t b = 0; b < size; ++b) store(ordered_ + b * n, narrow(bins[b]));
      begin(out, size, channels, n, steps.bin);
    }
  }

  // Writes up to so many cache lines.
  ROIPOOL_INLINE void write(int64_t lines) {
    if (lone_lines_) {
      if (lines > stretches_) lines = stretches_;
      for (int64_t i = 0; i < lines; ++i) write_lines(to_ + i * pitch_, from_ + i * kLine, kLine);
      to_ += lines * pitch_;
      from_ += lines * kLine;
      stretches_ -= lines;
      return;
    }
    while (lines > 0 && stretches_ > 0) {
      int64_t stop = at_ + lines * kLine;
      if (stop > whole_) stop = whole_;
      lines -= (stop - at_) / kLine;
      write_lines(to_ + at_, from_ + at_, stop - at_);
      at_ = stop;
      if (at_ == whole_) end_stretch();
    }
  }

  void finish() {
    while (stretches_ > 0) write(kTile);
  }

 private:
  static constexpr int n = kLanes<Key>;

  // What is to be written: so many stretches of `length` elements, `step` apart in `ordered_` and
  // `pitch` apart in the result.
  ROIPOOL_INLINE void begin(Bits* out, int64_t stretches, int64_t length, int64_t step,
                            int64_t pitch) {
    stretches_ = stretches;
    bytes_ = length * int64_t(sizeof(Bits));
    step_ = step * int64_t(sizeof(Bits));
    pitch_ = pitch * int64_t(sizeof(Bits));
    to_ = reinterpret_cast<char*>(out);
    from_ = reinterpret_cast<const char*>(ordered_);
    lone_lines_ = bytes_ == kLine && step_ == kLine &&
                  ((reinterpret_cast<intptr_t>(to_) | pitch_) & (kLine - 1)) == 0;
    if (!lone_lines_) begin_stretch();
  }

  // Whole cache lines are written at once: a line written in parts is first read from memory.
  ROIPOOL_INLINE void begin_stretch() {
    at_ = -reinterpret_cast<intptr_t>(to_) & (kLine - 1);
    if (at_ > bytes_) at_ = bytes_;
    __builtin_memcpy(to_, from_, std::size_t(at_));
    whole_ = at_ + (bytes_ - at_) / kLine * kLine;
  }

  ROIPOOL_INLINE void end_stretch() {
    __builtin_memcpy(to_ + at_, from_ + at_, std::size_t(bytes_ - at_));
    from_ += step_;
    to_ += pitch_;
    if (--stretches_ > 0) begin_stretch();
  }

  ROIPOOL_INLINE void write_lines(char* to, const char* from, int64_t bytes) const {
    if (around_caches_)
      for (int64_t i = 0; i < bytes; i += kBlockBytes)
        stream(to + i, load(reinterpret_cast<const int64_t*>(from + i)));
    else
      for (int64_t i = 0; i < bytes; i += kBlockBytes)
        store(reinterpret_cast<int64_t*>(to + i), load(reinterpret_cast<const int64_t*>(from + i)));
  }

  // A channel's bins side by side, and then the next channel's.
  ROIPOOL_INLINE void turn(const Vec<Key>* bins, int64_t size) {
    if (size < n) return turn_few(bins, size);
    const int64_t rest = size % n, whole = size - rest;
    for (int64_t first = 0; first < whole; first += n) turn_square(bins, size, first);
    if (rest * 4 > n)
      turn_square(bins, size, size - n);
    else
      for (int64_t b = whole; b < size; ++b) turn_one(bins, size, b);
  }

  static ROIPOOL_INLINE Vec<Bits, n> narrow(Vec<Key> keys) {
    return D::decode(__builtin_convertvector(keys, Vec<Bits, n>));
  }

  // Bins [first, first + n).
  ROIPOOL_INLINE void turn_square(const Vec<Key>* bins, int64_t size, int64_t first) {
    transpose<Key>([&](int b) { return bins[first + b]; },
                   [&](int c, Vec<Key> keys) { store(ordered_ + c * size + first, narrow(keys)); });
  }

  void turn_one(const Vec<Key>* bins, int64_t size, int64_t b) {
    const Vec<Bits, n> values = narrow(bins[b]);
    for (int c = 0; c < n; ++c) ordered_[c * size + b] = values[c];
  }

  // A store runs on into the next channel's bins, so those are stored after it.
  void turn_few(const Vec<Key>* bins, int64_t size) {
    if (size == 1) return store(ordered_, narrow(bins[0]));
    Vec<Key> channel[n];
    transpose<Key>([&](int b) { return bins[b < size ? b : 0]; },
                   [&](int c, Vec<Key> keys) { channel[c] = keys; });
    for (int c = 0; c < n; ++c) store(ordered_ + c * size, narrow(channel[c]));
  }

  // What is left to write: of the first stretch, lines up to `whole_`, of which `at_` comes next,
  // and a rest; or stretches that are just a line each.
  char* to_ = nullptr;
  const char* from_ = nullptr;
  int64_t stretches_ = 0, bytes_ = 0, step_ = 0, pitch_ = 0, at_ = 0, whole_ = 0;
  bool lone_lines_ = false;
  const bool around_caches_;
  alignas(kLine) Bits ordered_[n * kTile + n];  // the last store of the last channel may run on
};

}  // namespace roipool::ROIPOOL_ISA
