// From the caller's array to packed blocks (kernels.h), whatever the array's strides.
#pragma once

#include "kernels.h"
#include "keys.h"

namespace roipool::ROIPOOL_ISA {

// One lane per channel, a vector for each so many that a pixel has. Key may be wider than the
// dtype's bits. So many elements ahead of what is read it asks for what comes.
template <class D, class Key, int64_t Ahead = 4 * kLanes<Key>, int Vectors = 1>
struct Packer {
  using Bits = typename D::Bits;
  static constexpr int n = kLanes<Key>, kPixel = n * Vectors;
  static constexpr int64_t kSquares = 4;  // read together
  using Narrow = Vec<Bits, n>;

  const Bits* from;
  const Bits* end;
  Strides strides;
  int channels;
  int64_t height, width;
  Key* to;
  Narrow negative_zero{};

  // Without it the whole object would be zeroed first, which takes as long as a small region.
  Packer(const void* from, const void* end, Strides strides, int channels, int64_t height,
         int64_t width, void* to)
      : from(static_cast<const Bits*>(from)),
        end(static_cast<const Bits*>(end)),
        strides(strides),
        channels(channels),
        height(height),
        width(width),
        to(static_cast<Key*>(to)) {}

  ROIPOOL_INLINE Narrow encode(Narrow bits) {
    if constexpr (D::kIsFloat) negative_zero |= bits == D::kNaN;  // the sign bit alone
    return D::encode(bits);
  }

  static ROIPOOL_INLINE Vec<Key> widen(Narrow keys) {
    const Vec<Key> wide = __builtin_convertvector(keys, Vec<Key>);
    if constexpr (requires { D::widen(wide); })
      return D::widen(wide);
    else
      return wide;
  }

  ROIPOOL_INLINE const Bits* channel(const Bits* pixel, int c) const {  // past the last: the last
    return pixel + (c < channels ? c : channels - 1) * strides.channel;
  }

  // Squares of n pixels by n channels. Each channel is read several lines at a time, for the sake
  // of the caches' prefetchers and of planes a power of two apart, which share cache sets; the
  // lines behind them are asked for meanwhile.
  ROIPOOL_INLINE void pack_squares(const Bits* row, int64_t squares, Key* out) {
    Narrow strip[n][kSquares];
    for (int c = 0; c < n; ++c) {
      const Bits* from = channel(row, c);
      for (int64_t i = 0; i < squares; ++i) {
        strip[c][i] = encode(load<Bits, n>(from + i * n));
        __builtin_prefetch(from + i * n + Ahead);
      }
    }
    for (int64_t i = 0; i < squares; ++i, out += n * kPixel) {
      transpose<Key>([&](int c) { return widen(strip[c][i]); },
                     [&](int x, Vec<Key> pixel) { store(out + x * kPixel, pixel); });
    }
  }

  // Fewer than n pixels: whole vectors are read all the same where the array goes on behind them.
  void pack_few(const Bits* row, int64_t pixels, Key* out) {
    const Bits* const furthest = strides.channel > 0 ? channel(row, n) : row;
    if (furthest + n > end) {
      for (int64_t x = 0; x < pixels; ++x) pack_pixel(row + x, out + x * kPixel);
      return;
    }
    Narrow strip[n];
    for (int c = 0; c < n; ++c) strip[c] = encode(load<Bits, n>(channel(row, c)));
    transpose<Key>([&](int c) { return widen(strip[c]); },
                   [&](int x, Vec<Key> pixel) {
                     if (x < pixels) store(out + x * kPixel, pixel);
                   });
  }

  ROIPOOL_INLINE void pack_pixel(const Bits* pixel, Key* out) {
    Narrow bits{};
    for (int c = 0; c < channels; ++c) bits[c] = pixel[c * strides.channel];
    store(out, widen(encode(bits)));
  }

  // Pixels side by side in memory, as in NCHW. The last square overlaps the one before.
  void pack_contiguous(const Bits* row, int64_t pixels, Key* out) {
    if (pixels < n) return pack_few(row, pixels, out);
    for (int64_t x = 0; x < pixels;) {
      if (pixels - x < n) x = pixels - n;
      const int64_t squares = pixels - x < kSquares * n ? (pixels - x) / n : kSquares;
      pack_squares(row + x, squares, out + x * kPixel);
      x += squares * n;
    }
  }

  // Channels side by side in memory, as in NHWC.
  void pack_channels_last(const Bits* row, Key* out) {
    for (int64_t x = 0; x < width; ++x) {
      Narrow bits = load<Bits, n>(row + x * strides.column);
      store(out + x * kPixel, widen(encode(bits)));
    }
  }

  void pack_strided(const Bits* row, Key* out) {
    for (int64_t x = 0; x < width; ++x) pack_pixel(row + x * strides.column, out + x * kPixel);
  }

  bool pack() {
    if (strides.column == 1 && strides.row == width) {  // rows follow each other: one long row
      width *= height;
      height = 1;
    }
    for (int64_t y = 0; y < height; ++y) {
      const Bits* row = from + y * strides.row;
      Key* out = to + y * width * kPixel;
      if (strides.channel == 1 && channels == n)
        pack_channels_last(row, out);
      else if (strides.column == 1)
        pack_contiguous(row, width, out);
      else
        pack_strided(row, out);
    }
    for (int c = 0; c < n; ++c)
      if (negative_zero[c]) return true;
    return false;
  }
};

template <class D, class Key>
bool pack(const void* from, const void* end, Strides strides, int channels, int64_t height,
          int64_t width, void* to) {
  return Packer<D, Key>(from, end, strides, channels, height, width, to).pack();
}

}  // namespace roipool::ROIPOOL_ISA
