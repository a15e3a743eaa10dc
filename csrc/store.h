// From finished bins, one vector of channels each, to the result.
#pragma once

#include "kernels.h"
#include "keys.h"
#include "lines.h"

namespace roipool::ROIPOOL_ISA {

inline constexpr int64_t kTile = 256;  // bins reduced before they are written out

// Puts finished bins of some blocks in the result's order, to be written while the next are
// reduced.
template <class D, class Key, int Blocks = 1>
class Writer {
 public:
  using Bits = typename D::Bits;

  explicit Writer(bool around_caches) : lines_(around_caches) {}
  ~Writer() { finish(); }

  // Takes up to kTile consecutive bins of one region, those of one block behind the other's; `out`
  // is where the first goes.
  ROIPOOL_INLINE void take(const Vec<Key>* bins, int64_t size, int channels, Steps steps,
                           Bits* out) {
    finish();
    if (steps.bin != 1) {
      for (int64_t b = 0; b < size; ++b) {
        for (int i = 0; i * n < channels; ++i)
          store(ordered_ + (b * Blocks + i) * n, narrow(bins[i * size + b]));
        hand_over(b * Blocks * n, out + b * steps.bin, channels);
      }
    } else {
      for (int i = 0; i * n < channels; ++i) turn(bins + i * size, size, ordered_ + i * n * size);
      if (steps.channel == size)
        hand_over(0, out, channels * size);
      else
        for (int c = 0; c < channels; ++c) hand_over(c * size, out + c * steps.channel, size);
    }
  }

  // Writes up to so many cache lines.
  ROIPOOL_INLINE void write(int64_t lines) { lines_.write(lines); }
  void finish() { lines_.finish(); }

 private:
  static constexpr int n = kLanes<Key>;

  ROIPOOL_INLINE void hand_over(int64_t first, Bits* out, int64_t length) {
    lines_.take(ordered_ + first, out, length * int64_t(sizeof(Bits)));
  }

  // A channel's bins side by side, and then the next channel's.
  static ROIPOOL_INLINE void turn(const Vec<Key>* bins, int64_t size, Bits* to) {
    if (size < n) return turn_few(bins, size, to);
    const int64_t rest = size % n, whole = size - rest;
    for (int64_t first = 0; first < whole; first += n) turn_square(bins, size, first, to);
    if (rest * 4 > n)
      turn_square(bins, size, size - n, to);
    else
      for (int64_t b = whole; b < size; ++b) turn_one(bins, size, b, to);
  }

  static ROIPOOL_INLINE Vec<Bits, n> narrow(Vec<Key> keys) {
    return D::decode(__builtin_convertvector(keys, Vec<Bits, n>));
  }

  // Bins [first, first + n).
  static ROIPOOL_INLINE void turn_square(const Vec<Key>* bins, int64_t size, int64_t first,
                                         Bits* to) {
    transpose<Key>([&](int b) { return bins[first + b]; },
                   [&](int c, Vec<Key> keys) { store(to + c * size + first, narrow(keys)); });
  }

  static void turn_one(const Vec<Key>* bins, int64_t size, int64_t b, Bits* to) {
    const Vec<Bits, n> values = narrow(bins[b]);
    for (int c = 0; c < n; ++c) to[c * size + b] = values[c];
  }

  // A store runs on into the next channel's bins, so those are stored after it.
  static void turn_few(const Vec<Key>* bins, int64_t size, Bits* to) {
    if (size == 1) return store(to, narrow(bins[0]));
    Vec<Key> channel[n];
    transpose<Key>([&](int b) { return bins[b < size ? b : 0]; },
                   [&](int c, Vec<Key> keys) { channel[c] = keys; });
    for (int c = 0; c < n; ++c) store(to + c * size, narrow(channel[c]));
  }

  LineWriter<kTile> lines_;
  alignas(kLine)
      Bits ordered_[Blocks * n * kTile + n];  // the last store of the last channel may run on
};

}  // namespace roipool::ROIPOOL_ISA
