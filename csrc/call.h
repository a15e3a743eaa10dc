// A call of a kernel as it comes from outside, whoever makes it: arrays in the order of
// kernels.py, of which feature maps may come as several.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "maps.h"
#include "threads.h"

namespace roipool {

// Strides in elements, of any sign.
struct Array {
  void* start;
  int64_t itemsize;
  int axes;
  int64_t shape[4], strides[4];
};

// One array, feature maps as any number of them, or, of a result that is not asked for, none.
using Operand = std::span<const Array>;

struct Call {
  DType dtype;  // of the features
  std::span<const Operand> inputs, results;
  int threads;

  const Array& input(int i) const { return inputs[i][0]; }
  const Array* result(std::size_t i) const {
    return i < results.size() && !results[i].empty() ? results[i].data() : nullptr;
  }
};

// Fills the results; false when an argmax lies outside its map or its bin.
using KernelFunction = bool (*)(const Call&);

struct Kernel {
  std::string_view name;
  KernelFunction run;
  int maps;  // which input is the feature maps; −1 where they are the result
};

// Throws std::invalid_argument where there is none.
const Kernel& kernel_named(std::string_view);
DType dtype_named(std::string_view);

inline int threads_or_default(int threads) { return threads > 0 ? threads : default_threads(); }

// What a door would have to do wrong to be told: throws std::invalid_argument.
const int32_t* whole_numbers(const Array&);
void* contiguous(const Array&);
Maps maps_of(const Operand&, int64_t channels, DType);

// Whether an array (K, C, h, w), whole in memory, has its channels last there; throws
// std::invalid_argument where it is neither so nor C-contiguous.
bool channels_last(const Array&);

// One for each kernel.
bool max_call(const Call&);
bool max_read_call(const Call&);
bool max_add_call(const Call&);
bool taps_read_call(const Call&);
bool taps_add_call(const Call&);
bool taps_weigh_y_call(const Call&);
bool taps_weigh_x_call(const Call&);
bool taps_weigh_call(const Call&);
bool points_read_call(const Call&);
bool points_add_call(const Call&);
bool points_weigh_call(const Call&);
bool samples_max_call(const Call&);
bool samples_read_call(const Call&);
bool samples_add_call(const Call&);
bool samples_weigh_y_call(const Call&);
bool samples_weigh_x_call(const Call&);
bool samples_weigh_call(const Call&);

}  // namespace roipool
