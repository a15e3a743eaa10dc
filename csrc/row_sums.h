// Rows of pixels summed along x, for all bins of a row of bins.
#pragma once

#include "tap_lists.h"

namespace roipool::ROIPOOL_ISA {

inline constexpr int kRows = 16;  // whose sums are held

// Neighbouring bins read the same rows of pixels where a region is small. So each row is summed
// once. So many blocks of channels at a time: they share the walk through the list.
template <class D, class Pixels, int Blocks>
struct RowSums {
  using Sum = typename D::Sum;
  const Pixels pixels;
  const TapList<Sum>& x;
  const int64_t* const row_at;
  Vec<Sum>* const ring;
  const int64_t pitch;  // of its rows

  ROIPOOL_INLINE Vec<Sum>* of(int64_t row) const { return ring + row % kRows * pitch; }

  // Sums so many rows, for bins [first, first + size) of each.
  template <int Rows>
  ROIPOOL_INLINE void sum(int64_t row, int64_t first, int64_t size) const {
    constexpr int n = Rows * Blocks;  // the sums of row i / Blocks, block i % Blocks
    int64_t at[Rows];
    Vec<Sum>* to[Rows];
    repeat<Rows>([&](int r) ROIPOOL_BODY { at[r] = row_at[row + r], to[r] = of(row + r); });
    for (int64_t j = 0; j < size; ++j) {
      const Tap<Sum>* tap = x.bin(first + j);
      const Tap<Sum>* const end = tap + (Pixels::kPadded ? x.width : x.size[first + j]);
      Vec<Sum> sum[n]{};
      if (Pixels::kPadded || tap != end) {
        const auto pixel = [&](int i) ROIPOOL_BODY {
          return pixels.at(at[i / Blocks] + tap->at, i % Blocks) * fill(tap->weight);
        };
        repeat<n>([&](int i) ROIPOOL_BODY { sum[i] = pixel(i); });
        while (++tap < end) repeat<n>([&](int i) ROIPOOL_BODY { sum[i] += pixel(i); });
      }
      repeat<n>([&](int i) ROIPOOL_BODY { to[i / Blocks][j * Blocks + i % Blocks] = sum[i]; });
    }
  }

  void sum(int64_t row, int64_t end, int64_t first, int64_t size) const {
    for (; end - row > 4; row += 4) sum<4>(row, first, size);
    if (row < end) exactly<4>(end - row, [&](auto rows) { sum<rows>(row, first, size); });
  }
};

}  // namespace roipool::ROIPOOL_ISA
