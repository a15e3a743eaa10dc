// The native twins of geometry's texts that list weighted pixels: a file for each convention.
// Entries that neither weigh nor, where that is asked for, move are left out, but where a text
// counts them. tests/test_twins.py holds them to the text, bit for bit where it does not say else.
#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "geometry.h"

namespace roipool {

// Regions to be listed, and what is filled: all that geometry.Taps or geometry.Points are.
struct Listing {
  Rois rois;
  std::vector<MapSizes> maps;
  int64_t pooled_h, pooled_w;
  std::span<const int64_t> options;  // those of the text, in its order
  bool in_double;                    // F is double, else float
  bool sums_in_double;               // the type of sums, which weights have, is double, else float
  bool slopes;                       // whether they are asked for
  bool each;                         // each bin is a region by itself, in an image of its own
  int32_t* image;                    // of each region: −1 for a row that is none
  // Where each bin's entries begin and end among all: of taps along y and along x, or of points.
  int32_t* ranges[2];
  // Memory for the lists that a text gives for an axis: pixels, weights and, if any, slopes.
  std::function<void*(int64_t bytes)> memory;
  int threads;
};

// Fills what is to be filled; returns whether every row is a region.
using Convention = bool (*)(const Listing&);

struct ConventionEntry {
  std::string_view name;  // of the text
  Convention run;
  std::size_t options;
  int columns;          // of a row
  bool points = false;  // or taps along two axes
};

// Throws std::invalid_argument where there is none.
const ConventionEntry& convention_named(std::string_view);

// Options: sampling_ratio, where 0 is adaptive, and aligned.
bool align_taps(const Listing&);
// The same, and whether pixels are samples singly.
bool align_samples(const Listing&);
bool average_taps(const Listing&);
// Option: whether by R-FCN, else by torchvision.
bool position_sensitive_taps(const Listing&);
bool integral_taps(const Listing&);
// Options: whether the nearest pixel is read, and whether positions are TensorFlow's.
bool crop_taps(const Listing&);
// Options: sampling_ratio, aligned, clockwise.
bool rotated_points(const Listing&);

}  // namespace roipool
