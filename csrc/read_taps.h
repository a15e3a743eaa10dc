// Weighted sums of pixels: along x inside a row, then along y.
#pragma once

#include "row_sums.h"
#include "store.h"

namespace roipool::ROIPOOL_ISA {

inline constexpr int64_t kAcross = 64;  // bins of a row done together

// The sums of rows, added up along y.
template <class D, class Pixels, int Blocks>
struct TapReader {
  using Sum = typename D::Sum;
  using Key = typename D::Key;
  const RowSums<D, Pixels, Blocks> row_sums;
  const TapList<Sum>& y;
  const TapRows& rows;

  // Adds to the sums of consecutive bins what so many taps along y make of their rows' sums.
  template <int Taps, bool First>
  ROIPOOL_INLINE void add_rows(const Tap<Sum>* taps, int64_t size, Vec<Key>* sums,
                               int64_t plane) const {
    const Vec<Sum>* from[Taps];
    Vec<Sum> weight[Taps];
    repeat<Taps>([&](int t) ROIPOOL_BODY {
      from[t] = row_sums.of(taps[t].at);
      weight[t] = fill(taps[t].weight);
    });
    for (int64_t j = 0; j < size * Blocks; j += Blocks, ++sums)
      repeat<Blocks>([&](int b) ROIPOOL_BODY {
        Vec<Sum> sum = First ? Vec<Sum>{} : (Vec<Sum>)sums[b * plane];
        repeat<Taps>([&](int t) ROIPOOL_BODY { sum += from[t][j + b] * weight[t]; });
        sums[b * plane] = (Vec<Key>)sum;
      });
  }

  void add_rows(const Tap<Sum>* taps, int64_t count, int64_t size, Vec<Key>* sums,
                int64_t plane) const {
    for (; count > 4; count -= 4, taps += 4) add_rows<4, false>(taps, size, sums, plane);
    if (count > 0)
      exactly<4>(count, [&](auto some) { add_rows<some, false>(taps, size, sums, plane); });
  }

  // To sums that there are none of yet; returns how many taps it has taken.
  int64_t begin_bins(const Tap<Sum>* taps, int64_t count, int64_t size, Vec<Key>* sums,
                     int64_t plane) const {
    if (count == 0) {
      add_rows<0, true>(taps, size, sums, plane);
      return 0;
    }
    exactly<4>(count, [&](auto some) { add_rows<some, true>(taps, size, sums, plane); });
    return count < 4 ? count : 4;
  }

  // A tile of bins, one block behind the other. Meanwhile the tile before is written.
  template <class Writer>
  void read(int64_t y0, int64_t y1, int64_t x0, int64_t across, Vec<Key>* sums,
            Writer& writer) const {
    const int64_t size = (y1 - y0) * across;
    if (row_sums.x.width == 0) {
      for (int64_t i = 0; i < size * Blocks; ++i) sums[i] = Vec<Key>{};
      return;
    }
    const Tap<Sum>* tap = y.bin(y0);
    int64_t done = rows.begin[y0];
    const int64_t end = rows.begin[y1];
    bool begun = false;
    for (int64_t p = y0; p < y1;) {
      if (done < end) {
        const int64_t next = end - done < kRows - kReach ? end : done + kRows - kReach;
        row_sums.sum(done, next, x0, across);
        done = next;
      }
      for (; p < y1; ++p, begun = false) {
        const Tap<Sum>* const from = tap;
        const Tap<Sum>* const bin_end = y.bin(p) + y.size[p];
        while (tap < bin_end && tap->at < done) ++tap;
        Vec<Key>* const to = sums + (p - y0) * across;
        const int64_t taken = begun ? 0 : begin_bins(from, tap - from, across, to, size);
        add_rows(from + taken, tap - from - taken, across, to, size);
        writer.write(across);
        begun = true;
        if (tap < bin_end) break;
      }
    }
  }
};

// All blocks of channels of the listed regions. A region's lists are made once for all of them.
template <class D, class Pixels>
struct TapRegionsReader {
  using Sum = typename D::Sum;
  using Key = typename D::Key;
  using Bits = typename D::Bits;
  static constexpr int n = kLanes<Sum>;
  const Pixels pixels;
  const PixelLine y_line, x_line;
  const int channels;
  const SumRegions& regions;
  const SumPooled& pooled;
  const Taps& taps = taps_of(regions);
  const int64_t across = taps.x.count < kAcross ? taps.x.count : kAcross;
  const int64_t down = taps.x.count > kAcross ? 1 : kTile / taps.x.count;
  struct Sums {
    Vec<Key> bins[2 * kTile];
    Vec<Sum> rows[2 * kRows * kAcross];
    Writer<D, Key, 2> writer;
    explicit Sums(bool around_caches) : writer(around_caches) {}
  };

  template <int Blocks>
  void read(const TapList<Sum>& y, const TapList<Sum>& x, const TapRows& rows, int block, Bits* out,
            Sums& sums) const {
    const TapReader<D, Pixels, Blocks> reader{
        {pixels.from(block), x, rows.at, sums.rows, across * Blocks}, y, rows};
    out += block * n * pooled.steps.channel;
    for (int64_t by = 0; by < taps.y.count; by += down)
      for (int64_t bx = 0; bx < taps.x.count; bx += across) {
        const int64_t y1 = by + down < taps.y.count ? by + down : taps.y.count;
        const int64_t wide = taps.x.count - bx < across ? taps.x.count - bx : across;
        const int64_t size = (y1 - by) * wide;
        reader.read(by, y1, bx, wide, sums.bins, sums.writer);
        for (int64_t i = 0; i < size * Blocks; ++i) sums.bins[i] = D::round(sums.bins[i]);
        const int left = channels - block * n;
        sums.writer.take(sums.bins, size, left < Blocks * n ? left : Blocks * n, pooled.steps, out);
        out += size * pooled.steps.bin;
      }
  }

  // A region's only bin: nothing is held for another.
  template <int Blocks>
  void read_bin(const TapList<Sum>& y, const TapList<Sum>& x, int block, Bits* out,
                Sums& sums) const {
    const Pixels from = pixels.from(block);
    Vec<Sum> bin[Blocks]{};
    for (int64_t i = 0; i < y.size[0]; ++i) {
      Vec<Sum> row[Blocks]{};
      for (int64_t j = 0; j < x.size[0]; ++j)
        repeat<Blocks>([&](int b) ROIPOOL_BODY {
          const Vec<Sum> pixel = from.at(y.taps[i].at + x.taps[j].at, b) * fill(x.taps[j].weight);
          row[b] = j ? row[b] + pixel : pixel;
        });
      repeat<Blocks>([&](int b) ROIPOOL_BODY { bin[b] += row[b] * fill(y.taps[i].weight); });
    }
    Vec<Key> rounded[Blocks];
    repeat<Blocks>([&](int b) ROIPOOL_BODY { rounded[b] = D::round((Vec<Key>)bin[b]); });
    const int left = channels - block * n;
    sums.writer.take(rounded, 1, left < Blocks * n ? left : Blocks * n, pooled.steps,
                     out + block * n * pooled.steps.channel);
  }

  void read(void* memory) const {
    const ExactFloats exact;
    Sums sums(pooled.around_caches);
    const int blocks = (channels + n - 1) / n;
    for (int64_t i = 0; i < regions.count; ++i) {
      const int64_t k = regions.list[i];
      Scratch scratch{static_cast<char*>(memory)};
      TapList<Sum> y(scratch, taps.y, k, y_line, false);
      const TapList<Sum> x(scratch, taps.x, k, x_line, Pixels::kPadded);
      auto* const out = static_cast<Bits*>(pooled.first) + k * pooled.region;
      int block = 0;
      if (taps.bins() == 1) {
        for (; block + 2 <= blocks; block += 2) read_bin<2>(y, x, block, out, sums);
        if (block < blocks) read_bin<1>(y, x, block, out, sums);
        continue;
      }
      const TapRows rows(scratch, y, taps.y.count, down);
      for (; block + 2 <= blocks; block += 2) read<2>(y, x, rows, block, out, sums);
      if (block < blocks) read<1>(y, x, rows, block, out, sums);
    }
    sums.writer.finish();
    if (pooled.around_caches) finish_streaming();
  }
};

template <class D>
void read_taps(const SumBlock& block, const SumRegions& regions, const SumPooled& pooled,
               void* scratch) {
  using Sum = typename D::Sum;
  const PackedLines<Sum> lines(block.box);
  const PackedPixels<D> pixels{static_cast<const Sum*>(block.pixels),
                               packed_pixels(block.box) * kLanes<Sum>};
  TapRegionsReader<D, PackedPixels<D>>{pixels, lines.y, lines.x, block.channels, regions, pooled}
      .read(scratch);
}

template <class D>
void read_map_taps(const SumMap& map, int channels, const SumRegions& regions,
                   const SumPooled& pooled, void* scratch) {
  const MapPixels<D> pixels{static_cast<const typename D::Bits*>(map.first), map.strides.channel,
                            channels};
  const PixelLine y{0, map.height, map.strides.row}, x{0, map.width, map.strides.column};
  TapRegionsReader<D, MapPixels<D>>{pixels, y, x, channels, regions, pooled}.read(scratch);
}

}  // namespace roipool::ROIPOOL_ISA
