// A region's samples, compared with each other bin by bin, or with the number of the one to read.
//
// They are walked through from the last to the first. So "not less" keeps the first of equal
// ones; what a bin begins with, −inf, is found as a value, and NaN is not.
#pragma once

#include <limits>

#include "row_sums.h"
#include "sample_lists.h"

namespace roipool::ROIPOOL_ISA {

inline constexpr int64_t kSamplesAcross = 64;  // whose rows are summed together
inline constexpr int kSamplesDown = 8;         // that are compared together

// A region's samples, those along y from the last to the first.
template <class D, bool Padded>
struct SamplesToCompare {
  using Sum = typename D::Sum;
  const SampleAxis y_axis, x_axis;
  TapList<Sum> y;
  const TapList<Sum> x;
  const TapRows rows;

  SamplesToCompare(Scratch& scratch, const Taps& taps, int64_t k, const PixelLine y_line,
                   const PixelLine x_line)
      : y_axis(scratch, taps.y, k, true),
        x_axis(scratch, taps.x, k),
        y(scratch, y_axis.taps, 0, y_line, false),
        x(scratch, x_axis.taps, 0, x_line, Padded),
        rows(scratch, y, y_axis.count, y_axis.count) {}

  // In the list, the last sample of a bin along y.
  int64_t place(int64_t bin) const { return y_axis.count - y_axis.first[bin + 1]; }
};

// A sample along y: the sums of its rows, for all samples along x, and their weights.
template <class Sum>
struct SampleRows {
  const Vec<Sum>* sums[2];
  Sum weight[2];
};

// Of some bins the largest samples so far, one block behind the other; in the end as they are
// stored.
template <class Key>
struct Largest {
  Vec<Key>*values, *numbers;
  int64_t plane;
};

// Some of a bin's samples along y, from the one with the number `last` down.
struct SamplesPart {
  int count;
  int64_t last;
  bool begins, ends;  // whether none come before, and none behind
  bool whole() const { return begins && ends; }
};

// Of each bin the largest sample, or the one whose number is given.
enum class Wanted { largest, given };

// So many blocks of channels of one region.
template <class D, class Pixels, Wanted kWanted, int Blocks>
struct SampleReducer {
  using Sum = typename D::Sum;
  using Key = typename D::Key;
  static constexpr bool kFind = kWanted == Wanted::largest;
  const SamplesToCompare<D, Pixels::kPadded>& samples;
  const RowSums<D, Pixels, Blocks> row_sums;
  const Vec<Sum>* const zeros;  // a row's sums, of nothing
  const bool numbered;          // whether someone asks which sample it is

  // Compares samples of a bin, of so many rows each: those of a part along y with each along x. So
  // many make the whole bin, or, where 0, as many as are told. Without numbers, which only whole
  // bins can be compared without, those are told that may have none: where nothing beats −inf.
  template <int Rows, int Down, int Across, bool Numbers>
  ROIPOOL_INLINE Vec<Key> compare(const SampleRows<Sum>* rows, const SamplesPart& part,
                                  int64_t place, int64_t across,
                                  const Largest<Key>& largest) const {
    const int64_t n = Across ? Across : across, last = Down ? Down - 1 : part.last;
    const bool begins = Down || part.begins, ends = Down || part.ends;
    Vec<Sum> value[Blocks];
    Vec<Key> number[Blocks];
    repeat<Blocks>([&](int b) ROIPOOL_BODY {
      const int64_t at = b * largest.plane;
      value[b] = begins ? fill(kFind ? -std::numeric_limits<Sum>::infinity() : Sum(0))
                        : (Vec<Sum>)largest.values[at];
      if constexpr (Numbers) number[b] = begins && kFind ? fill(Key(-1)) : largest.numbers[at];
    });
    const auto row = [&](int i) ROIPOOL_BODY {
      const Vec<Sum>* const first = rows[i].sums[0] + place * Blocks;
      const Vec<Sum>* const second = rows[i].sums[1] + place * Blocks;
      const Vec<Sum> weight[] = {fill(rows[i].weight[0]), fill(rows[i].weight[1])};
      const auto sample = [&](int64_t s) ROIPOOL_BODY {
        const Vec<Key> this_one = fill(Key((last - i) * n + s));
        repeat<Blocks>([&](int b) ROIPOOL_BODY {
          const int64_t at = s * Blocks + b;
          Vec<Sum> found = first[at] * weight[0];
          if constexpr (Rows == 2) found += second[at] * weight[1];
          if constexpr (!Numbers) {
            value[b] = max(found, value[b]);
          } else if constexpr (kFind) {
            number[b] = found >= value[b] ? this_one : number[b];
            value[b] = found >= value[b] ? found : value[b];
          } else {
            value[b] = number[b] == this_one ? found : value[b];
          }
        });
      };
      if constexpr (Across > 0)
        repeat<Across>([&](int s) ROIPOOL_BODY { sample(Across - 1 - s); });
      else
        for (int64_t s = n; s-- > 0;) sample(s);
    };
    if constexpr (Down > 0)
      repeat<Down>(row);
    else
      for (int i = 0; i < part.count; ++i) row(i);
    Vec<Key> none{};
    repeat<Blocks>([&](int b) ROIPOOL_BODY {
      Vec<Key>& out = largest.values[b * largest.plane];
      if constexpr (!Numbers) {
        none |= value[b] == -std::numeric_limits<Sum>::infinity();
      } else if constexpr (kFind) {  // nothing but NaN is NaN
        largest.numbers[b * largest.plane] = number[b];
        const Vec<Sum> nothing = fill(std::numeric_limits<Sum>::quiet_NaN());
        if (ends) value[b] = number[b] < 0 ? nothing : value[b];
      }
      out = ends ? rounded(value[b]) : (Vec<Key>)value[b];
    });
    return none;
  }

  // A sum that begins with 0 is never −0.
  static ROIPOOL_INLINE Vec<Key> rounded(Vec<Sum> value) {
    return D::round((Vec<Key>)(value + Vec<Sum>{}));
  }

  static void set_none(int64_t bin, const Largest<Key>& largest) {
    for (int b = 0; b < Blocks; ++b) {
      largest.values[b * largest.plane + bin] = Vec<Key>{};
      if constexpr (kFind) largest.numbers[b * largest.plane + bin] = fill(Key(-1));
    }
  }

  // The same of bins [x0, x1).
  void compare(const SampleRows<Sum>* rows, const SamplesPart& part, int64_t x0, int64_t x1,
               const Largest<Key>& largest) const {
    if constexpr (kFind)
      if (!numbered && part.whole() && !any(compare_bins<false>(rows, part, x0, x1, largest)))
        return;
    compare_bins<true>(rows, part, x0, x1, largest);
  }

  template <bool Numbers>
  Vec<Key> compare_bins(const SampleRows<Sum>* rows, const SamplesPart& part, int64_t x0,
                        int64_t x1, Largest<Key> largest) const {
    Vec<Key> none{};
    const SampleAxis& x = samples.x_axis;
    const int64_t down = part.whole() ? part.count : 0;
    const bool single = samples.y.width <= 1;
    for (int64_t j = x0; j < x1; ++j, ++largest.values, ++largest.numbers) {
      const int64_t across = x.size(j), place = x.first[j] - x.first[x0];
      if (across == 0)
        set_none(0, largest);
      else if (single && across == 4 && down == 4)  // two samples, of whose pixels each is one
        none |= compare<1, 4, 4, Numbers>(rows, part, place, across, largest);
      else if (single)
        none |= compare<1, 0, 0, Numbers>(rows, part, place, across, largest);
      else if (across == 2 && down == 2)
        none |= compare<2, 2, 2, Numbers>(rows, part, place, across, largest);
      else if (across == 2)
        none |= compare<2, 0, 2, Numbers>(rows, part, place, across, largest);
      else if (across == 1)
        none |= compare<2, 0, 1, Numbers>(rows, part, place, across, largest);
      else
        none |= compare<2, 0, 0, Numbers>(rows, part, place, across, largest);
    }
    return none;
  }

  // A sample along y as listed, unless a row of it has not been summed yet.
  bool find(int64_t place, int64_t done, SampleRows<Sum>& found) const {
    found = {{zeros, zeros}, {0, 0}};
    if (samples.x.width == 0) return true;
    const Tap<Sum>* const taps = samples.y.bin(place);
    for (int64_t t = 0; t < samples.y.size[place]; ++t) {
      if (taps[t].at >= done) return false;
      found.sums[t] = row_sums.of(taps[t].at);
      found.weight[t] = taps[t].weight;
    }
    return true;
  }

  // Bins [y0, y1) by [x0, x1), where a row of bins has so many. Meanwhile the tile before is
  // written.
  template <class Write>
  void reduce(int64_t y0, int64_t y1, int64_t x0, int64_t x1, int64_t across,
              const Largest<Key>& largest, const Write& write) const {
    const SampleAxis &x_axis = samples.x_axis, &y_axis = samples.y_axis;
    const int64_t first = x_axis.first[x0], size = x_axis.first[x1] - first;
    int64_t place = samples.place(y1 - 1);
    // Of rows that were summed for other bins a few may be needed again.
    int64_t done = samples.rows.begin[place] - kReach;
    if (done < 0) done = 0;
    const int64_t end = samples.rows.begin[place + y_axis.first[y1] - y_axis.first[y0]];
    for (int64_t p = y1; p-- > y0; write(x1 - x0)) {
      const int64_t at = (p - y0) * across, all = y_axis.size(p);
      const Largest<Key> row{largest.values + at, largest.numbers + at, largest.plane};
      for (int64_t j = x0; j < x1 && all == 0; ++j) set_none(j - x0, row);
      for (int64_t left = all; left > 0;) {
        SampleRows<Sum> known[kSamplesDown];
        int count = 0;
        while (count < kSamplesDown && count < left && find(place + count, done, known[count]))
          ++count;
        if (count == 0) {
          const int64_t next = end - done < kRows - kReach ? end : done + kRows - kReach;
          row_sums.sum(done, next, first, size);
          done = next;
          continue;
        }
        compare(known, {count, left - 1, left == all, left == count}, x0, x1, row);
        place += count;
        left -= count;
      }
    }
  }
};

}  // namespace roipool::ROIPOOL_ISA
