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
  const Sum* const pixels = static_cast<const Sum*>(block.pixels);
  const int64_t plane = tap_pixels(block.box) * n, bin_count;
  Vec<Key> is_channel[kBlocks];

  TapWeigher(const TapBlock& block, int64_t bins) : block(block), bin_count(bins) {
    for (int b = 0; b < kBlocks; ++b)
      for (int c = 0; c < n; ++c) is_channel[b][c] = b * n + c < block.channels ? -1 : 0;
  }

  // Of so many taps, `at` their pixels' distances along the one axis. Values are those of a row,
  // or a column, of bins along the other, `next` apart.
  template <int Taps>
  ROIPOOL_INLINE void weigh(const int64_t* at, const TapList<Sum>& other, int64_t bins,
                            const Sum* values, int64_t next, Sum* sums) const {
    Vec<Sum> sum[Taps * kBlocks]{}, part[Taps * kBlocks];
    for (int64_t q = 0; q < bins; ++q, values += next) {
      if (other.size[q] == 0) continue;
      const Tap<Sum>* tap = other.bin(q);
      const Tap<Sum>* const end = tap + other.width;
      const auto pixel = [&](int i) ROIPOOL_BODY {  // of tap i / kBlocks, block i % kBlocks
        return load(pixels + i % kBlocks * plane + at[i / kBlocks] + tap->at) * fill(tap->weight);
      };
      repeat<Taps * kBlocks>([&](int i) ROIPOOL_BODY { part[i] = pixel(i); });
      while (++tap < end) repeat<Taps * kBlocks>([&](int i) ROIPOOL_BODY { part[i] += pixel(i); });
      repeat<Taps * kBlocks>([&](int i) ROIPOOL_BODY {
        sum[i] += load(values + i % kBlocks * n * bin_count) * part[i];
      });
    }
    for (int s = 0; s < Taps; ++s) {
      Vec<Sum>* const blocks = sum + s * kBlocks;
      for (int b = 0; b < kBlocks; ++b) blocks[b] = (Vec<Sum>)((Vec<Key>)blocks[b] & is_channel[b]);
      for (int half = kBlocks / 2; half > 0; half /= 2)
        for (int b = 0; b < half; ++b) blocks[b] += blocks[b + half];
      sums[s] = sum_of_lanes<Sum, n>(blocks[0]);
    }
  }

  void weigh_all(const TapRegions& regions, const TapPooled& pooled, bool along_y, Sum* sums,
                 void* memory) const {
    const ExactFloats exact;
    const TapLines<Sum> lines(block.box);
    const TapAxis& axis = along_y ? regions.y : regions.x;
    const TapAxis& other = along_y ? regions.x : regions.y;
    const TapLine &line = along_y ? lines.y : lines.x, &other_line = along_y ? lines.x : lines.y;
    const int64_t step = (along_y ? regions.x.count : 1) * n;
    const int64_t next = (along_y ? 1 : regions.x.count) * n;
    const auto distance = [&](int64_t s) { return (axis.pixel[s] - line.origin) * line.pitch; };
    for (int64_t after, i = next_inside(regions, 0, block.box); i < regions.count; i = after) {
      after = next_inside(regions, i + 1, block.box);
      ask_for_pooled<D>(pooled, regions, after, block.channels);
      const int64_t k = regions.list[i];
      const int32_t* const bins = axis.bins + k * axis.count * 2;
      TapScratch<D> scratch{static_cast<char*>(memory)};
      Sum* const values = scratch.template take<Sum>(bin_count * n * kBlocks);
      pack_values(pooled, k, values);
      const TapList<Sum> known(scratch, other, k, other_line, true);
      for (int64_t p = 0; p < axis.count; ++p)
        for (int64_t s = bins[2 * p]; s < bins[2 * p + 1]; ++s) {
          if (!inside(axis, s, line)) continue;
          const int64_t at[] = {distance(s), distance(s + 1 < bins[2 * p + 1] ? s + 1 : s)};
          const bool two = s + 1 < bins[2 * p + 1] && inside(axis, s + 1, line);
          if (two)
            weigh<2>(at, known, other.count, values + p * step, next, sums + s++);
          else
            weigh<1>(at, known, other.count, values + p * step, next, sums + s);
        }
    }
  }

  static bool inside(const TapAxis& axis, int64_t s, const TapLine& line) {
    return uint64_t(axis.pixel[s] - line.origin) < uint64_t(line.length);
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
  TapWeigher<D>(block, regions.bins())
      .weigh_all(regions, pooled, along_y, static_cast<typename D::Sum*>(sums), scratch);
}

}  // namespace roipool::ROIPOOL_ISA
