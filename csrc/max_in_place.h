// Maximum over integer rectangles of maps as they lie in memory, pixels in lanes: for large bins of
// few channels or few regions, of which packed blocks would take more time, or too much memory.
#pragma once

#include <limits>

#include "kernels.h"
#include "keys.h"

namespace roipool::ROIPOOL_ISA {

// A row of bins. Channels that lie side by side are done together, Together of them, or as many as
// the call says (0).
template <class D, int Together>
class InPlaceMax {
 public:
  explicit InPlaceMax(const RowOfBins& call) : call_(call) {}

  void run() {
    for (int64_t p = 0; p < call_.count; ++p) {
      const int32_t* const x = call_.x_bins + 2 * p;
      const Box box{call_.y_bin[0], x[0], call_.y_bin[1], x[1]};
      if (box.y0 < box.y1 && box.x0 < box.x1)
        reduce(box, p);
      else
        for (int c = 0; c < channels(); ++c) put(p, c, Bits(0), -1);
    }
  }

 private:
  using Bits = typename D::Bits;
  using Keys = Vec<Bits>;
  static constexpr int n = kLanes<Bits>;
  static constexpr int kMost = Together ? Together : kMostBeside;
  static constexpr Bits kLeast = std::numeric_limits<Bits>::min();  // of floats NaN
  static constexpr int64_t kGathered = 256;  // vectors of pixels that lie apart

  ROIPOOL_INLINE int channels() const { return Together ? Together : call_.channels; }

  static Bits encoded(Bits bits) { return D::encode(Keys{} + bits)[0]; }
  static Bits decoded(Bits key) { return D::decode(Keys{} + key)[0]; }

  // −0 and +0 are equal numbers.
  static ROIPOOL_INLINE Keys comparable(Keys keys) {
    return D::kIsFloat ? keys - (keys == Bits(-1)) : keys;
  }
  static Bits comparable(Bits key) { return D::kIsFloat && key == -1 ? 0 : key; }

  static ROIPOOL_INLINE Keys only(Keys keys, int64_t count) {
    Keys number{};
    for (int i = 0; i < n; ++i) number[i] = Bits(i);
    return number < Bits(count) ? keys : Keys{} + kLeast;
  }

  // Calls body(v, keys) for vectors of a row: those of one v belong to the same channels. A row's
  // last overlap those before. What lies outside is the least key. Returns whether body did, which
  // then stops it.
  template <class Body>
  ROIPOOL_INLINE bool each_vector(const Bits* row, int64_t length, const Bits* end,
                                  const Body& body) const {
    const int64_t step = channels() * n;
    if (length < step) return each_of_few(row, length, end, body);
    for (int64_t at = 0;; at += step) {
      if (at + step > length) at = length - step;
      for (int v = 0; v < channels(); ++v)
        if (body(v, D::encode(load(row + at + v * n)))) return true;
      if (at + step == length) return false;
    }
  }

  template <class Body>
  ROIPOOL_INLINE bool each_of_few(const Bits* row, int64_t length, const Bits* end,
                                  const Body& body) const {
    for (int v = 0; v * n < length; ++v) {
      const int64_t left = length - v * n;
      Keys bits{};
      if (row + v * n + n <= end)
        bits = load(row + v * n);
      else
        for (int i = 0; i < n && i < left; ++i) bits[i] = row[v * n + i];
      if (body(v, left < n ? only(D::encode(bits), left) : D::encode(bits))) return true;
    }
    return false;
  }

  // Calls body(row, length, end, pixel) for the rows of a box, each at once or, where pixels lie
  // apart, in parts that are gathered. Stops where body returns true.
  template <class Body>
  ROIPOOL_INLINE void each_row(const Box& box, const Body& body) const {
    const auto* const first = static_cast<const Bits*>(call_.first);
    const auto* const end = static_cast<const Bits*>(call_.end);
    const Strides& s = call_.strides;
    for (int64_t y = box.y0; y < box.y1; ++y) {
      const Bits* const row = first + y * s.row + box.x0 * s.column;
      const int64_t pixel = y * call_.map_width + box.x0;
      if (s.column == channels()) {
        if (body(row, box.width() * channels(), end, pixel)) return;
      } else if (gather(row, box.width(), pixel, body)) {
        return;
      }
    }
  }

  template <class Body>
  __attribute__((noinline)) bool gather(const Bits* row, int64_t width, int64_t pixel,
                                        const Body& body) const {
    Bits part[kGathered * n];
    for (int64_t x = 0; x < width; x += kGathered * n) {
      const int64_t count = width - x < kGathered * n ? width - x : kGathered * n;
      for (int64_t i = 0; i < count; ++i) part[i] = row[(x + i) * call_.strides.column];
      if (body(part, count, part + kGathered * n, pixel + x)) return true;
    }
    return false;
  }

  void reduce(const Box& box, int64_t p) const {
    Keys best[kMost];
    for (int v = 0; v < channels(); ++v) best[v] = Keys{} + kLeast;
    each_row(box, [&](const Bits* row, int64_t length, const Bits* end, int64_t) {
      return each_vector(row, length, end, [&](int v, Keys keys) {
        best[v] = max(best[v], keys);
        return false;
      });
    });
    Bits found[kMost];
    for (int c = 0; c < channels(); ++c) found[c] = kLeast;
    for (int i = 0; i < channels() * n; ++i) {
      Bits& most = found[i % channels()];
      if (best[i / n][i % n] > most) most = best[i / n][i % n];
    }
    Sought sought;
    for (int c = 0; c < channels(); ++c) {
      put(p, c, decoded(found[c]), -1);
      const bool zero = D::kIsFloat && comparable(found[c]) == 0;  // a −0 may have come first
      const bool nothing = D::kIsFloat && found[c] == kLeast;      // but NaN
      if (zero || (call_.argmax && !nothing)) sought.add(c, comparable(found[c]), channels());
    }
    if (sought.left) find(box, p, sought);
  }

  // The channels whose first largest pixel is not known yet, by the lanes that they lie in.
  struct Sought {
    Keys key[kMost] = {}, lanes[kMost] = {};
    int left = 0;

    void add(int c, Bits wanted, int channels) {
      for (int i = c; i < channels * n; i += channels)
        key[i / n][i % n] = wanted, lanes[i / n][i % n] = -1;
      ++left;
    }
    void remove(int c, int channels) {
      for (int i = c; i < channels * n; i += channels) lanes[i / n][i % n] = 0;
      --left;
    }
    bool has(int c) const { return lanes[c / n][c % n] != 0; }
  };

  __attribute__((noinline)) void find(const Box& box, int64_t p, Sought& sought) const {
    each_row(box, [&](const Bits* row, int64_t length, const Bits* end, int64_t pixel) {
      const bool here = each_vector(row, length, end, [&](int v, Keys keys) {
        return any((Keys)(comparable(keys) == sought.key[v]) & sought.lanes[v]);
      });
      for (int c = 0; here && c < channels(); ++c)
        for (int64_t at = c; sought.has(c) && at < length; at += channels())
          if (comparable(encoded(row[at])) == sought.key[c / n][c % n]) {
            put(p, c, row[at], pixel + at / channels());
            sought.remove(c, channels());
          }
      return sought.left == 0;
    });
  }

  void put(int64_t p, int c, Bits value, int64_t position) const {
    static_cast<Bits*>(call_.values)[c * call_.steps.channel + p * call_.steps.bin] = value;
    if (!call_.argmax) return;
    const int64_t at = c * call_.position_channel + p;
    if (call_.wide)
      static_cast<int64_t*>(call_.argmax)[at] = position;
    else
      static_cast<int32_t*>(call_.argmax)[at] = int32_t(position);
  }

  const RowOfBins call_;
};

template <class D>
void max_in_place(const RowOfBins& call) {
  if (call.channels == 1)
    InPlaceMax<D, 1>(call).run();
  else
    InPlaceMax<D, 0>(call).run();
}

}  // namespace roipool::ROIPOOL_ISA
