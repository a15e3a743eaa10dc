// What each tap's weight is multiplied by: the derivative by the weights.
#pragma once

#include "lane_sums.h"
#include "row_sums.h"

namespace roipool::ROIPOOL_ISA {

// The taps of one region along an axis whose sums are wanted, those without a weight among them.
struct WeighedTap {
  int64_t at;     // as of Tap
  int64_t place;  // in the list of all taps
};

struct WeighedTaps {
  WeighedTap* taps;
  int64_t *size, *begin;  // of each bin
  int64_t count = 0;

  WeighedTaps(Scratch& scratch, const TapAxis& axis, int64_t k, const PixelLine line)
      : size(scratch.take<int64_t>(axis.count)), begin(scratch.take<int64_t>(axis.count)) {
    const int32_t* const bins = axis.bins + k * axis.count * 2;
    taps = reinterpret_cast<WeighedTap*>(scratch.next);
    for (int64_t p = 0; p < axis.count; ++p) {
      begin[p] = count;
      for (int64_t s = bins[2 * p]; s < bins[2 * p + 1]; ++s) {
        const int64_t pixel = axis.pixel[s] - line.origin;
        if (uint64_t(pixel) < uint64_t(line.length)) taps[count++] = {pixel * line.pitch, s};
      }
      size[p] = count - begin[p];
    }
    scratch.take<WeighedTap>(count);
  }
};

inline int64_t taps_in(const TapAxis& axis, int64_t k) {
  const int32_t* const bins = axis.bins + k * axis.count * 2;
  int64_t count = 0;
  for (int64_t p = 0; p < axis.count; ++p) count += bins[2 * p + 1] - bins[2 * p];
  return count;
}

// One region, of kLaneGroup channels. Along y each tap is multiplied by its row of pixels, summed
// along x, times the pooled values of its bin. Along x it is multiplied by its column of pixels
// times the pooled values, spread over the rows; so either way a row that several bins read is
// walked through once.
template <class D>
struct TapWeigher {
  using Sum = typename D::Sum;
  using Key = typename D::Key;
  static constexpr int n = kLanes<Sum>, kBlocks = kLaneGroup / n;
  static constexpr int kTogether = kBlocks < 8 ? 8 / kBlocks : 1;  // taps
  const PackedPixels<D> pixels;
  const int64_t down, across;
  const Sum* const pooled;  // a vector of channels per bin, block behind block
  Vec<Sum>* const rows;     // kRows rows, of `across` bins of all blocks
  Vec<Sum>* const totals;   // of every tap along y, or of all blocks of those along x
  const int channels;       // of the group, or more

  ROIPOOL_INLINE Vec<Sum> value(int64_t bin, int block) const {
    return load(pooled + (block * down * across + bin) * n);
  }

  // Of a tap's vectors of all blocks.
  Vec<Sum> sum_of_blocks(Vec<Sum>* blocks) const {
    for (int c = channels; c < kLaneGroup; ++c) blocks[c / n][c % n] = 0;
    for (int half = kBlocks / 2; half > 0; half /= 2)
      for (int b = 0; b < half; ++b) blocks[b] += blocks[b + half];
    return blocks[0];
  }

  // From a vector of each tap to its place; n vectors more are read.
  static void put(const WeighedTaps& taps, const Vec<Sum>* totals, Sum* sums) {
    for (int64_t first = 0; first < taps.count; first += n) {
      const int64_t left = taps.count - first;
      Vec<Sum> some[n];
      repeat<n>([&](int i) ROIPOOL_BODY { some[i] = totals[first + i]; });
      const Vec<Sum> found = LaneSums<Sum>::of(some);
      Sum values[n];
      store(values, found);
      for (int i = 0; i < n && i < left; ++i) sums[taps.taps[first + i].place] = values[i];
    }
  }

  // So many taps of bins [first, first + across).
  template <int Taps>
  ROIPOOL_INLINE void weigh_rows(const RowSums<D, PackedPixels<D>, kBlocks>& row_sums,
                                 const WeighedTap* taps, int64_t first, Vec<Sum>* totals) const {
    const Vec<Sum>* from[Taps];
    repeat<Taps>([&](int t) ROIPOOL_BODY { from[t] = row_sums.of(taps[t].at); });
    Vec<Sum> sum[Taps * kBlocks];
    repeat<Taps * kBlocks>([&](int i) ROIPOOL_BODY { sum[i] = Vec<Sum>{}; });
    for (int64_t q = 0; q < across; ++q) {
      if (row_sums.x.size[q] == 0) continue;  // nothing times infinity
      repeat<kBlocks>([&](int b) ROIPOOL_BODY {
        const Vec<Sum> of_bin = value(first + q, b);
        repeat<Taps>(
            [&](int t) ROIPOOL_BODY { sum[t * kBlocks + b] += of_bin * from[t][q * kBlocks + b]; });
      });
    }
    for (int t = 0; t < Taps; ++t) totals[t] = sum_of_blocks(sum + t * kBlocks);
  }

  void weigh_y(const WeighedTaps& y, const TapRows& row_of, const TapList<Sum>& x,
               Sum* sums) const {
    const RowSums<D, PackedPixels<D>, kBlocks> row_sums{pixels, x, row_of.at, rows,
                                                        across * kBlocks};
    int64_t done = 0;
    for (int64_t p = 0; p < down; ++p) {
      const WeighedTap* tap = y.taps + y.begin[p];
      for (const WeighedTap* const end = tap + y.size[p]; tap < end;) {
        if (tap->at >= done) {
          const int64_t left = row_of.count - done;
          const int64_t next = done + (left < kRows - kReach ? left : kRows - kReach);
          row_sums.sum(done, next, 0, across);
          done = next;
        }
        const WeighedTap* known = tap;
        while (known < end && known < tap + kTogether && known->at < done) ++known;
        exactly<kTogether>(known - tap, [&](auto taps) {
          weigh_rows<taps>(row_sums, tap, p * across, totals + (tap - y.taps));
        });
        tap = known;
      }
    }
    put(y, totals, sums);
  }

  // The pooled values of a row of bins, times a weight, put into a row or added to it.
  template <bool First>
  void spread(int64_t first, Sum weight, Vec<Sum>* row) const {
    const Vec<Sum> by = fill(weight);
    for (int64_t q = 0; q < across; ++q)
      repeat<kBlocks>([&](int b) ROIPOOL_BODY {
        const Vec<Sum> part = value(first + q, b) * by;
        Vec<Sum>& sum = row[q * kBlocks + b];
        sum = First ? part : sum + part;
      });
  }

  // Adds what so many rows have of so many taps of one bin.
  template <int Taps>
  ROIPOOL_INLINE void weigh_columns(const WeighedTap* taps, const int64_t* row_at, int64_t count,
                                    const Vec<Sum>* row, Vec<Sum>* sums) const {
    Vec<Sum> sum[Taps * kBlocks];
    repeat<Taps * kBlocks>([&](int i) ROIPOOL_BODY { sum[i] = sums[i]; });
    for (int64_t r = 0; r < count; ++r, row += across * kBlocks)
      repeat<kBlocks>([&](int b) ROIPOOL_BODY {
        repeat<Taps>([&](int t) ROIPOOL_BODY {
          sum[t * kBlocks + b] += row[b] * pixels.at(row_at[r] + taps[t].at, b);
        });
      });
    repeat<Taps * kBlocks>([&](int i) ROIPOOL_BODY { sums[i] = sum[i]; });
  }

  void weigh_columns(const WeighedTaps& x, const int64_t* row_at, int64_t count,
                     Vec<Sum>* sums) const {
    for (int64_t q = 0; q < across; ++q) {
      const WeighedTap* tap = x.taps + x.begin[q];
      const WeighedTap* const end = tap + x.size[q];
      Vec<Sum>* sum = sums + x.begin[q] * kBlocks;
      const Vec<Sum>* const row = rows + q * kBlocks;
      while (tap < end) {
        const int64_t together = end - tap < kTogether ? end - tap : kTogether;
        exactly<kTogether>(together,
                           [&](auto taps) { weigh_columns<taps>(tap, row_at, count, row, sum); });
        tap += together;
        sum += together * kBlocks;
      }
    }
  }

  void weigh_x(const WeighedTaps& x, const TapList<Sum>& y, Sum* sums) const {
    for (int64_t i = 0; i < x.count * kBlocks; ++i) totals[i] = Vec<Sum>{};
    int64_t row_at[kRows];
    int count = 0;
    for (int64_t p = 0; p < down; ++p)
      for (int64_t i = 0; i < y.size[p]; ++i) {
        const Tap<Sum>& tap = y.bin(p)[i];
        int row = count - kReach < 0 ? 0 : count - int(kReach);
        while (row < count && row_at[row] != tap.at) ++row;
        if (row == kRows) {
          weigh_columns(x, row_at, count, totals);
          row = count = 0;
        }
        Vec<Sum>* const to = rows + row * across * kBlocks;
        if (row < count) {
          spread<false>(p * across, tap.weight, to);
        } else {
          row_at[count++] = tap.at;
          spread<true>(p * across, tap.weight, to);
        }
      }
    if (count > 0) weigh_columns(x, row_at, count, totals);
    for (int64_t i = 0; i < x.count; ++i) totals[i] = sum_of_blocks(totals + i * kBlocks);
    put(x, totals, sums);
  }
};

// All channels of the listed regions, a group of kLaneGroup at a time. A region's lists are made
// once for all of them.
template <class D>
struct TapRegionsWeigher {
  using Sum = typename D::Sum;
  using Key = typename D::Key;
  using Bits = typename D::Bits;
  static constexpr int n = kLanes<Sum>, kBlocks = kLaneGroup / n;
  const SumBlock& block;
  const SumRegions& regions;
  const SumPooled& pooled;
  const Weighed& sums;
  const Taps& taps = taps_of(regions);

  static int64_t bytes(const ListSizes& most) {
    const int64_t vectors = (most.bins() + kRows * most.across + most.entries) * kBlocks + n;
    return vectors * kBlockBytes + 2 * tap_lists_bytes<Sum>(most);
  }

  void weigh(void* memory) const {
    const ExactFloats exact;
    for (int64_t after, i = next_inside(regions, 0, block.box); i < regions.count; i = after) {
      after = next_inside(regions, i + 1, block.box);
      ask_for_pooled<D>(pooled, regions, after, block.channels);
      weigh_region(regions.list[i], {static_cast<char*>(memory)});
    }
  }

 private:
  void weigh_region(int64_t k, Scratch scratch) const {
    const PackedLines<Sum> lines(block.box);
    const int64_t down = taps.y.count, across = taps.x.count;
    auto* const values = scratch.take<Sum>(taps.bins() * kLaneGroup);
    auto* const rows = scratch.take<Vec<Sum>>(kRows * across * kBlocks);
    auto* const totals =
        scratch.take<Vec<Sum>>(taps_in(taps.y, k) + taps_in(taps.x, k) * kBlocks + n);
    WeighedTaps y(scratch, taps.y, k, lines.y);
    const WeighedTaps x(scratch, taps.x, k, lines.x);
    const TapList<Sum> y_known(scratch, taps.y, k, lines.y, false);
    const TapList<Sum> x_known(scratch, taps.x, k, lines.x, true);
    const TapRows row_of(scratch, y, down, down);
    const int64_t plane = packed_pixels(block.box) * n;
    for (int64_t first = 0; first < block.channels; first += kLaneGroup) {
      pack_pooled_blocks<D>(pooled, k, first, block.channels, kBlocks, taps.bins(), values);
      const auto* const pixels = static_cast<const Sum*>(block.pixels) + first / n * plane;
      const TapWeigher<D> weigher{
          {pixels, plane}, down, across, values, rows, totals, int(block.channels - first)};
      if (sums.lists[0] && x_known.width > 0) weigher.weigh_y(y, row_of, x_known, of(0, first));
      if (sums.lists[1] && y_known.width > 0) weigher.weigh_x(x, y_known, of(1, first));
    }
  }

  // Of the group of channels that begins here.
  Sum* of(int list, int64_t channel) const {
    return static_cast<Sum*>(sums.lists[list]) + channel / kLaneGroup * sums.group;
  }
};

template <class D>
void weigh_taps(const SumBlock& block, const SumRegions& regions, const SumPooled& pooled,
                const Weighed& sums, void* scratch) {
  TapRegionsWeigher<D>{block, regions, pooled, sums}.weigh(scratch);
}

}  // namespace roipool::ROIPOOL_ISA
