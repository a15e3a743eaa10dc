// Packed blocks of channels, and pooled values as a vector of channels per bin: what the kernels of
// sums share.
#pragma once

#include "floats.h"
#include "pack.h"
#include "sums.h"

namespace roipool::ROIPOOL_ISA {

// The thread's memory, cut up.
struct Scratch {
  char* next;
  template <class T>
  T* take(int64_t count) {
    T* const taken = reinterpret_cast<T*>(next);
    next += count * int64_t(sizeof(T));
    return taken;
  }
};

inline int64_t whole_lines(int64_t bytes) { return (bytes + 63) / 64 * 64; }

// Pixels along an axis of a box, and the distance of two neighbours in memory. Behind the last is
// the padding: one that is zero where pixels are read, and of no use where they are added to.
struct PixelLine {
  int64_t origin, length, pitch;
  bool holds(int64_t pixel) const { return uint64_t(pixel - origin) < uint64_t(length); }
  int64_t at(int64_t pixel) const { return (pixel - origin) * pitch; }
};

// A packed box, as its kernels walk it, of so many vectors a pixel.
template <class Sum, int Vectors = 1>
struct PackedLines {
  PixelLine y, x;
  explicit PackedLines(const Box& box)
      : y{box.y0, box.height(), packed_pitch(box) * kLanes<Sum> * Vectors},
        x{box.x0, box.width(), kLanes<Sum> * Vectors} {}
};

// Pixels as packed: planes of blocks of channels one behind the other.
template <class D>
struct PackedPixels {
  using Sum = typename D::Sum;
  static constexpr bool kPadded = true;
  const Sum* first;
  int64_t plane;
  ROIPOOL_INLINE Vec<Sum> at(int64_t place, int block) const {
    return load(first + block * plane + place);
  }
  PackedPixels from(int64_t block) const { return {first + block * plane, plane}; }
};

// Pixels as they lie in the caller's map, taken channel by channel; of padding there is none.
template <class D>
struct MapPixels {
  using Sum = typename D::Sum;
  using Key = typename D::Key;
  static constexpr bool kPadded = false;
  const typename D::Bits* first;
  int64_t channel;
  int channels;
  ROIPOOL_INLINE Vec<Sum> at(int64_t place, int) const {
    Vec<Key> bits{};
    for (int c = 0; c < channels; ++c) bits[c] = first[place + c * channel];
    return (Vec<Sum>)D::widen(bits);
  }
  MapPixels from(int64_t block) const {
    constexpr int n = kLanes<Sum>;
    const int left = channels - int(block) * n;
    return {first + block * n * channel, channel, left < n ? left : n};
  }
};

// The first of the regions listed from `i` on that reaches into a box.
inline int64_t next_inside(const SumRegions& regions, int64_t i, const Box& box) {
  for (; i < regions.count; ++i) {
    const Box& reach = regions.reach[regions.list[i]];
    if (reach.y0 < box.y1 && box.y0 < reach.y1 && reach.x0 < box.x1 && box.x0 < reach.x1) break;
  }
  return i;
}

// From the caller's memory to so many vectors a pixel. Those without a channel stay as they are.
template <class D, int Vectors = 1>
void pack_pixels(const void* from, const void* end, Strides strides, int channels, int64_t height,
                 int64_t width, void* to) {
  using Key = typename D::Key;
  constexpr int n = kLanes<Key>;
  constexpr int64_t pixel = n * Vectors;
  const ExactFloats exact;
  Key* row = static_cast<Key*>(to);
  for (int64_t y = 0; y < height; ++y, row += (width + 1) * pixel) {
    const auto* at = static_cast<const typename D::Bits*>(from) + y * strides.row;
    for (int c = 0; c < channels; c += n, at += n * strides.channel)
      Packer<D, Key, 4 * n, Vectors>(at, end, strides, channels - c < n ? channels - c : n, 1,
                                     width, row + c)
          .pack();
    __builtin_memset(row + width * pixel, 0, pixel * sizeof(Key));
  }
  __builtin_memset(row, 0, std::size_t((width + 1) * pixel) * sizeof(Key));
}

// The same of one region's pooled values. Its channels lie side by side, each too short for a
// processor to foresee the next: what is asked for lies a kilobyte or two ahead.
inline constexpr int64_t kAhead = 1536;
template <class D>
void pack_pooled(const SumPooled& pooled, int64_t k, int channels, int64_t bins, void* to) {
  const auto* const from = static_cast<const typename D::Bits*>(pooled.first) + k * pooled.region;
  const Strides strides{0, pooled.steps.channel, 0, pooled.steps.bin};
  constexpr int64_t ahead = kAhead / int64_t(sizeof(typename D::Bits));
  Packer<D, typename D::Key, ahead>(from, pooled.end, strides, channels, 1, bins, to).pack();
}

// Of so many blocks of channels, from a channel on; where there are none, zero.
template <class D>
void pack_pooled_blocks(const SumPooled& pooled, int64_t k, int64_t channel, int64_t channels,
                        int64_t blocks, int64_t bins, typename D::Sum* to) {
  constexpr int n = kLanes<typename D::Sum>;
  for (int64_t b = 0; b < blocks; ++b, channel += n, to += bins * n) {
    const int64_t left = channels - channel;
    if (left <= 0) {
      __builtin_memset(to, 0, std::size_t(bins) * kBlockBytes);
      continue;
    }
    SumPooled from = pooled;
    from.first = static_cast<typename D::Bits*>(pooled.first) + channel * pooled.steps.channel;
    pack_pooled<D>(from, k, left < n ? int(left) : n, bins, to);
  }
}

// Asks for the pooled values that are needed next, where they lie side by side: processors foresee
// the rest of a long stretch, but not where the next one begins.
template <class D>
void ask_for_pooled(const SumPooled& pooled, const SumRegions& regions, int64_t i, int channels) {
  if (i >= regions.count || pooled.steps.bin != 1) return;
  constexpr int64_t kLine = 64, kFirst = 24 * kLine, bytes = sizeof(typename D::Bits);
  const char* const from =
      static_cast<const char*>(pooled.first) + regions.list[i] * pooled.region * bytes;
  const int64_t size = channels * pooled.steps.channel * bytes;
  for (int64_t at = 0; at < size && at < kFirst; at += kLine) __builtin_prefetch(from + at);
}

}  // namespace roipool::ROIPOOL_ISA
