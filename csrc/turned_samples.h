// Samples of a box turned by an angle: their numbers along its sides and where they lie, in the
// words and with the roundings of geometry/rotated.py.
#pragma once

#include <array>

#include "align_grid.h"
#include "numbers.h"

namespace roipool {

// Below so many samples in a row, walking them is no more work than finding those on the map.
inline constexpr double kFew = 32;

// A side of a box, and its samples before they are turned.
template <class F>
struct TurnedSide {
  F centre, size, step, samples, divisor, scale, reach;
  F border, last;  // of the map: see Grid
  int64_t last_pixel;
  F bins;

  TurnedSide(const AlignOptions& options, F centre, F size, const Side<F>& map)
      : centre(centre - (options.aligned ? F(0.5) : F(0))),
        size(size),
        scale(map.scale),
        reach(map.scale),
        border(held<F>(map.length)),
        last(held<F>(map.length - 1)),
        last_pixel(map.length - 1),
        bins(F(map.bins)) {
    if (!options.aligned && size < 1) this->size = 1, reach = 0;
    step = this->size / bins;
    samples = options.sampling_ratio > 0 ? F(options.sampling_ratio) : std::ceil(step);
    divisor = samples > 0 ? samples : F(1);
  }

  // From the centre, of a sample of a bin.
  F offset(int64_t bin, double number) const {
    const F inside = ((F(number) + F(0.5)) * step) / divisor;
    return first(bin) + inside;
  }
  // The same as a part of the size, in the middle of so many samples.
  F share(int64_t bin, double number, double count) const {
    return (F(bin) + (F(number) + F(count) / 2) / divisor) / bins - F(0.5);
  }

  // The samples of a bin whose offsets lie between.
  Numbers between(int64_t bin, double low, double high) const {
    const Numbers all{0, double(samples)};
    if (all.end <= kFew) return all;
    return within(all, [&](double number) { return double(offset(bin, number)); }, low, high);
  }

  // How many offsets such samples have that differ, or more.
  double different(int64_t bin, Numbers numbers) const {
    if (!(numbers.begin < numbers.end)) return 0;
    const double low = offset(bin, numbers.begin), high = offset(bin, numbers.end - 1);
    if (low == high) return 1;
    const double far = std::max({std::abs(low), std::abs(high), std::abs(double(first(bin)))});
    return std::min(numbers.count(), (high - low) / (far * kRounding / 4) + 1);
  }

  static constexpr double kRounding = std::numeric_limits<F>::epsilon();

 private:
  F first(int64_t bin) const { return -size / 2 + F(bin) * step; }
};

// Where a sample lies.
template <class F>
struct Place {
  F down, across;  // from the box's centre
  F y, x;
  bool operator==(const Place& other) const { return y == other.y && x == other.x; }
};

template <class F>
struct TurnedBox {
  TurnedSide<F> y, x;
  F cos, sin;

  Place<F> place(F of_y, F of_x) const {
    const F down = of_y * cos - of_x * sin, across = of_y * sin + of_x * cos;
    return {down, across, down + y.centre, across + x.centre};
  }

  bool on_map(const Place<F>& place) const {
    return place.y >= -1 && place.y <= y.border && place.x >= -1 && place.x <= x.border;
  }

  // Between which offsets along y and along x samples can lie on the map.
  std::array<std::array<double, 2>, 2> reach_of_map() const {
    // More than the roundings of a place on it add up to.
    const double margin =
        16 * TurnedSide<F>::kRounding *
        (std::abs(double(y.centre)) + std::abs(double(x.centre)) + double(y.border) + x.border + 2);
    std::array<std::array<double, 2>, 2> reach{{{INFINITY, -INFINITY}, {INFINITY, -INFINITY}}};
    for (const double down : {-1.0 - y.centre, double(y.border) - y.centre})
      for (const double across : {-1.0 - x.centre, double(x.border) - x.centre}) {
        const double offsets[] = {down * cos + across * sin, across * cos - down * sin};
        for (const int side : {0, 1}) {
          reach[side][0] = std::min(reach[side][0], offsets[side] - margin);
          reach[side][1] = std::max(reach[side][1], offsets[side] + margin);
        }
      }
    return reach;
  }
};

}  // namespace roipool
