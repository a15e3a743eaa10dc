// The seam between what is compiled once per instruction set and what is compiled once: plain
// structures, and one table of functions per dtype. Kernels fill memory they are given; they do
// not allocate, start threads or raise.
#pragma once

#include <cstdint>

namespace roipool {

enum class DType { float16, bfloat16, float32, float64, int8, uint8, int16, int32 };

inline int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::int8:
    case DType::uint8: return 1;
    case DType::float16:
    case DType::bfloat16:
    case DType::int16: return 2;
    case DType::float32:
    case DType::int32: return 4;
    case DType::float64: return 8;
  }
  __builtin_unreachable();
}

// An integer rectangle of a feature map, ends exclusive.
struct Box {
  int64_t y0 = 0, x0 = 0, y1 = 0, x1 = 0;
  int64_t height() const { return y1 - y0; }
  int64_t width() const { return x1 - x0; }
  int64_t area() const { return height() * width(); }
};

// Feature maps as the caller's array holds them: strides in elements, of any sign.
struct Strides {
  int64_t image, channel, row, column;
};

// One vector of keys per pixel, row by row: the maximum over the window of side x side pixels that
// starts there; with side 1 the map itself. Where positions are asked for, a second vector holds
// those of wider windows. Windows that reach past the box are undefined.
struct Level {
  const void* windows;
  int64_t side;
};

// A block of channels over a box, packed. A position is y * map_width + x.
inline constexpr int kLevels = 6;
struct Block {
  Box box;
  int64_t map_width;
  Level level[kLevels];  // [i]: of those kept, the widest whose side is at most 2^i
  int channels;          // how many lanes are channels; the rest are fill
  bool negative_zero;    // whether a −0 was packed
};

// Bins of some regions: y_bins (K, pooled_h, 2), x_bins (K, pooled_w, 2), and which of the K to do.
struct Regions {
  const int32_t* y_bins;
  const int32_t* x_bins;
  int64_t pooled_h, pooled_w;
  const int64_t* list;
  int64_t count;
  int64_t bins() const { return pooled_h * pooled_w; }
};

// Elements between two channels of a region, and between two of its bins; one of them is 1.
struct Steps {
  int64_t channel, bin;
};

// Where results go. Both arrays hold a region's channels and bins together, argmax with a channel's
// bins side by side.
struct Result {
  void* values;
  Steps steps;         // of values
  void* argmax;        // null when not asked for
  int64_t region;      // elements between two regions
  bool around_caches;  // too large to be read from a cache afterwards
};

// Rows of a level, to be built from the rows of the one below in which its windows begin and those
// `side` rows down.
struct Widening {
  const void *top, *bottom;
  void* next;
  int64_t side, rows, width;  // side of the windows there are
  int64_t place, map_width;   // argmax of the first pixel; of two pixels below each other, apart
};

// A row of one region's bins, of some channels of a map as it lies in memory: one, or some that lie
// side by side, a pixel behind the other.
inline constexpr int kMostBeside = 16;
struct RowOfBins {
  const void *first, *end;  // the first pixel; memory may be read up to `end`
  Strides strides;
  int64_t map_width;
  int channels;
  const int32_t *y_bin, *x_bins;
  int64_t count;
  void* values;  // of the first channel and bin, as those of positions
  Steps steps;
  void* argmax;              // null when not asked for
  int64_t position_channel;  // elements between two channels
  bool wide;
};

struct MaxKernels {
  int lanes;         // channels per block
  int pixel_bytes;   // of a packed block
  int window_bytes;  // of a level above it

  // Packs rows of a box; `from` is its first pixel in the block's first channel, and memory may be
  // read up to `end`. Returns whether a −0 was among what was read.
  bool (*pack)(const void* from, const void* end, Strides, int channels, int64_t height,
               int64_t width, void* to);

  void (*widen)(const Widening&);

  // All bins of the listed regions, for one block whose first channel is `channel`.
  void (*reduce)(const Block&, const Regions&, const Result&, int64_t channel);

  // The same without blocks, so many pixels at once.
  void (*in_place)(const RowOfBins&);
  int in_place_lanes;
};

// Gradients, positions, and the elements between two regions of each. `steps` is of the gradients;
// positions lie with a channel's bins side by side.
struct Pooled {
  const void* grad;
  Steps steps;
  const void* argmax;
  int64_t region, bins;
};

// Some pixels of a plane of so many.
struct Pixels {
  int64_t first, count, plane;
};

// Where the sums of some channels go: plane by plane, or pixel by pixel with channels last.
struct GradData {
  void* first;    // the first channel's first pixel of those
  int64_t pitch;  // with channels last, elements between two pixels; else 0
  void* scratch;  // for as many sums; null for whole planes of float32 and float64
};

// The transpose of the pooling: adds each output's gradient at its argmax, region by region in
// the order listed, for `channels` consecutive channels; those that stand on other pixels are left
// out. Half-precision types are summed in float32 and rounded once. Returns false when an argmax
// lies outside the plane.
using ScatterMax = bool (*)(const Pooled&, const int64_t* list, int64_t count, int64_t channels,
                            const Pixels&, const GradData&);

}  // namespace roipool
