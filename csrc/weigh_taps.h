// What each tap's weight is multiplied by: the derivative by the weights.
#pragma once

#include "tap_lists.h"

namespace roipool::ROIPOOL_ISA {

template <class T, int N, int... I>
ROIPOOL_INLINE Vec<T, N / 2> add_halves(Vec<T, N> v, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(v, v, I...) + __builtin_shufflevector(v, v, (N / 2 + I)...);
}

// The sum of all lanes: the upper half is added to the lower, and so on.
template <class T, int N>
ROIPOOL_INLINE T sum_of_lanes(Vec<T, N> v) {
  if constexpr (N == 2)
    return v[0] + v[1];
  else
    return sum_of_lanes<T, N / 2>(add_halves<T, N>(v, std::make_integer_sequence<int, N / 2>{}));
}

template <class D>
struct TapWeigher {
  using Sum = typename D::Sum;
  using Key = typename D::Key;
  static constexpr int n = kLanes<Sum>, kBlocks = kTapGroup / n;
  const TapBlock& block;
  Vec<Key> is_channel[kBlocks];

  explicit TapWeigher(const TapBlock& block) : block(block) {
    for (int b = 0; b < kBlocks; ++b)
      for (int c = 0; c < n; ++c) is_channel[b][c] = b * n + c < block.channels ? -1 : 0;
  }

  // `at` is the pixel's distance on the one axis; values are those of the bins on the other.
  ROIPOOL_INLINE Sum weigh(int64_t at, const TapList<Sum>& other, int64_t bins, const Sum* values,
                           int64_t bin, int64_t next_bin) const {
    Vec<Sum> sum[kBlocks]{};
    const auto* const pixels = static_cast<const Sum*>(block.pixels) + at;
    const int64_t plane = block.box.area() * n;
    for (int64_t q = 0; q < bins; ++q) {
      const Tap<Sum>* tap = other.taps + other.begin[q];
      const Tap<Sum>* const end = other.taps + other.begin[q + 1];
      if (tap == end) continue;
      Vec<Sum> part[kBlocks];
      for (int b = 0; b < kBlocks; ++b) part[b] = load(pixels + b * plane + tap->at) * tap->weight;
      while (++tap < end)
        for (int b = 0; b < kBlocks; ++b)
          part[b] += load(pixels + b * plane + tap->at) * tap->weight;
      for (int b = 0; b < kBlocks; ++b)
        sum[b] += load(values + (b * bin_count + bin + q * next_bin) * n) * part[b];
    }
    for (int b = 0; b < kBlocks; ++b) sum[b] = (Vec<Sum>)((Vec<Key>)sum[b] & is_channel[b]);
    for (int half = kBlocks / 2; half > 0; half /= 2)
      for (int b = 0; b < half; ++b) sum[b] += sum[b + half];
    return sum_of_lanes<Sum, n>(sum[0]);
  }

  int64_t bin_count = 0;

  void weigh_all(const TapRegions& regions, const TapPooled& pooled, bool along_y, Sum* sums,
                 void* memory) {
    const ExactFloats exact;
    const Box& box = block.box;
    const TapAxis& axis = along_y ? regions.y : regions.x;
    const TapAxis& other = along_y ? regions.x : regions.y;
    const int64_t pitch = along_y ? box.width() * n : n,
                  other_pitch = along_y ? n : box.width() * n;
    const int64_t length = along_y ? box.height() : box.width();
    const int64_t origin = along_y ? box.y0 : box.x0, other_origin = along_y ? box.x0 : box.y0;
    const int64_t step = along_y ? regions.x.count : 1, other_step = along_y ? 1 : regions.x.count;
    bin_count = regions.bins();
    for (int64_t i = 0; i < regions.count; ++i) {
      const int64_t k = regions.list[i];
      TapScratch<D> scratch{static_cast<char*>(memory)};
      Sum* const values = scratch.template take<Sum>(bin_count * n * kBlocks);
      pack_values(pooled, k, values);
      TapList<Sum> known = make_list<Sum>(scratch, other, k);
      known.fill(other, k, other_origin, along_y ? box.width() : box.height(), other_pitch);
      const int32_t* const bins = axis.bins + k * axis.count * 2;
      for (int64_t p = 0; p < axis.count; ++p)
        for (int64_t s = bins[2 * p]; s < bins[2 * p + 1]; ++s) {
          const int64_t pixel = axis.pixel[s] - origin;
          if (uint64_t(pixel) >= uint64_t(length)) continue;
          sums[s] = weigh(pixel * pitch, known, other.count, values, p * step, other_step);
        }
    }
  }

  void pack_values(TapPooled pooled, int64_t k, Sum* values) const {
    using Bits = typename D::Bits;
    for (int b = 0; b < kBlocks; ++b) {
      const int channels = block.channels - b * n < n ? block.channels - b * n : n;
      if (channels <= 0)
        __builtin_memset(values, 0, std::size_t(bin_count) * kBlockBytes);
      else
        pack_pooled<D>(pooled, k, channels, bin_count, values);
      pooled.first = static_cast<Bits*>(pooled.first) + n * pooled.steps.channel;
      values += bin_count * n;
    }
  }
};

template <class D>
void weigh_taps(const TapBlock& block, const TapRegions& regions, const TapPooled& pooled,
                bool along_y, void* sums, void* scratch) {
  TapWeigher<D>(block).weigh_all(regions, pooled, along_y, static_cast<typename D::Sum*>(sums),
                                 scratch);
}

}  // namespace roipool::ROIPOOL_ISA
