// From finished bins (one vector of channels each) to the result's (channel, bin) order.
#pragma once

#include <cstddef>

#include "keys.h"

namespace roipool::ROIPOOL_ISA {

inline constexpr int64_t kTile = 256;  // bins reduced before they are written out
inline constexpr int64_t kLine = 64;

// Finished bins of a block, turned so that a channel's lie side by side and then the next
// channel's, and written line by line while the next bins are reduced: a burst of stores would
// only wait for memory.
template <class D, class Key>
class Writer {
 public:
  using Bits = typename D::Bits;

  explicit Writer(bool around_caches) : around_caches_(around_caches) {}
  ~Writer() { finish(); }

  // Takes up to kTile consecutive bins of one region: in the result, `stride` elements lie between
  // two channels. `out` is the first bin's place in the block's first channel.
  ROIPOOL_INLINE void take(const Vec<Key>* bins, int64_t size, int64_t stride, int channels,
                           Bits* out) {
    finish();
    turn(bins, size);
    const bool dense = stride == size;
    stretches_ = dense ? 1 : channels;
    bytes_ = size * (dense ? channels : 1) * int64_t(sizeof(Bits));
    pitch_ = stride * int64_t(sizeof(Bits));
    from_ = reinterpret_cast<const char*>(turned_);
    begin_stretch(reinterpret_cast<char*>(out));
  }

  // Writes up to so many cache lines.
  ROIPOOL_INLINE void write(int64_t lines) {
    while (lines > 0 && stretches_ > 0) {
      int64_t stop = at_ + lines * kLine;
      if (stop > whole_) stop = whole_;
      lines -= (stop - at_) / kLine;
      write_lines(stop);
      if (at_ == whole_) end_stretch();
    }
  }

  void finish() {
    while (stretches_ > 0) write(bytes_ / kLine + 1);
  }

 private:
  static constexpr int n = kLanes<Key>;

  // Whole cache lines are written at once: a line written in parts is first read from memory.
  ROIPOOL_INLINE void begin_stretch(char* to) {
    to_ = to;
    at_ = -reinterpret_cast<intptr_t>(to) & (kLine - 1);
    if (at_ > bytes_) at_ = bytes_;
    __builtin_memcpy(to_, from_, std::size_t(at_));
    whole_ = at_ + (bytes_ - at_) / kLine * kLine;
  }

  ROIPOOL_INLINE void end_stretch() {
    __builtin_memcpy(to_ + at_, from_ + at_, std::size_t(bytes_ - at_));
    from_ += bytes_;
    if (--stretches_ > 0) begin_stretch(to_ + pitch_);
  }

  ROIPOOL_INLINE void write_lines(int64_t stop) {
    char* const to = to_;
    const char* const from = from_;
    if (around_caches_)
      for (int64_t i = at_; i < stop; i += kBlockBytes)
        stream(to + i, load(reinterpret_cast<const int64_t*>(from + i)));
    else
      for (int64_t i = at_; i < stop; i += kBlockBytes)
        store(reinterpret_cast<int64_t*>(to + i), load(reinterpret_cast<const int64_t*>(from + i)));
    at_ = stop;
  }

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
                   [&](int c, Vec<Key> keys) { store(turned_ + c * size + first, narrow(keys)); });
  }

  void turn_one(const Vec<Key>* bins, int64_t size, int64_t b) {
    const Vec<Bits, n> values = narrow(bins[b]);
    for (int c = 0; c < n; ++c) turned_[c * size + b] = values[c];
  }

  // A store runs on into the next channel's bins, so those are stored after it.
  void turn_few(const Vec<Key>* bins, int64_t size) {
    if (size == 1) return store(turned_, narrow(bins[0]));
    Vec<Key> channel[n];
    transpose<Key>([&](int b) { return bins[b < size ? b : 0]; },
                   [&](int c, Vec<Key> keys) { channel[c] = keys; });
    for (int c = 0; c < n; ++c) store(turned_ + c * size, narrow(channel[c]));
  }

  // What is left to write: stretches of as many bytes; of the first, lines up to `whole_`, of which
  // `at_` comes next, and a rest.
  char* to_ = nullptr;
  const char* from_ = nullptr;
  int64_t stretches_ = 0, bytes_ = 0, pitch_ = 0, at_ = 0, whole_ = 0;
  const bool around_caches_;
  alignas(kLine) Bits turned_[n * kTile + n];  // the last store of the last channel may run on
};

}  // namespace roipool::ROIPOOL_ISA
