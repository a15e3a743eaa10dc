// From the caller's array to packed blocks (kernels.h), whatever the array's strides.
#pragma once

#include "kernels.h"
#include "keys.h"

namespace roipool::ROIPOOL_ISA {

// One lane per channel. Key may be wider than the dtype's bits.
template <class D, class Key>
struct Packer {
  using Bits = typename D::Bits;
  static constexpr int n = kLanes<Key>;
  using Narrow = Vec<Bits, n>;

  const Bits* from;
  Strides strides;
  int channels;
  int64_t height, width;
  Key* to;
  Narrow negative_zero{};

  static ROIPOOL_INLINE Vec<Key> widen(Narrow bits) {
    return __builtin_convertvector(D::encode(bits), Vec<Key>);
  }

  ROIPOOL_INLINE void note(Narrow bits) {
    if constexpr (D::kIsFloat) negative_zero |= bits == D::kNaN;  // the sign bit alone
  }

  // A whole square of n pixels by n channels; lanes past the last channel repeat it.
  ROIPOOL_INLINE void pack_square(const Bits* row, Key* out) {
    Vec<Key> square[n];
#pragma GCC unroll 4
    for (int c = 0; c < n; ++c) {
      Narrow bits = load<Bits, n>(row + (c < channels ? c : channels - 1) * strides.channel);
      note(bits);
      square[c] = widen(bits);
    }
    transpose<Key>(square);
#pragma GCC unroll 16
    for (int x = 0; x < n; ++x) store(out + x * n, square[x]);
  }

  ROIPOOL_INLINE void pack_pixel(const Bits* pixel, Key* out) {
    Narrow bits{};
    for (int c = 0; c < channels; ++c) bits[c] = pixel[c * strides.channel];
    note(bits);
    store(out, widen(bits));
  }

  // Pixels side by side in memory, as in NCHW. The last square overlaps the one before.
  void pack_contiguous(const Bits* row, int64_t pixels, Key* out) {
    if (pixels < n) {
      for (int64_t x = 0; x < pixels; ++x) pack_pixel(row + x, out + x * n);
      return;
    }
    int64_t x = 0;
    for (; x + n <= pixels; x += n) pack_square(row + x, out + x * n);
    if (x < pixels) pack_square(row + pixels - n, out + (pixels - n) * n);
  }

  // Channels side by side in memory, as in NHWC.
  void pack_channels_last(const Bits* row, Key* out) {
    for (int64_t x = 0; x < width; ++x) {
      Narrow bits = load<Bits, n>(row + x * strides.column);
      note(bits);
      store(out + x * n, widen(bits));
    }
  }

  void pack_strided(const Bits* row, Key* out) {
    for (int64_t x = 0; x < width; ++x) pack_pixel(row + x * strides.column, out + x * n);
  }

  bool pack() {
    if (strides.column == 1 && strides.row == width) {  // rows follow each other: one long row
      width *= height;
      height = 1;
    }
    for (int64_t y = 0; y < height; ++y) {
      const Bits* row = from + y * strides.row;
      Key* out = to + y * width * n;
      if (strides.column == 1)
        pack_contiguous(row, width, out);
      else if (strides.channel == 1 && channels == n)
        pack_channels_last(row, out);
      else
        pack_strided(row, out);
    }
    for (int c = 0; c < n; ++c)
      if (negative_zero[c]) return true;
    return false;
  }
};

template <class D, class Key>
bool pack(const void* from, Strides strides, int channels, int64_t height, int64_t width,
          void* to) {
  using Bits = typename D::Bits;
  return Packer<D, Key>{static_cast<const Bits*>(from), strides, channels, height, width,
                        static_cast<Key*>(to)}
      .pack();
}

}  // namespace roipool::ROIPOOL_ISA
