// A call of a kernel as it comes from outside, whoever makes it: arrays in the order of
// kernels.py, of which feature maps may come as several.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "maps.h"
#include "threads.h"

namespace roipool {

// What arrays are made of: what features may be, and what else there is.
enum class Element {
  float16,
  bfloat16,
  float32,
  float64,
  int8,
  uint8,
  int16,
  int32,
  int64,
  unknown
};
inline Element element_of(DType dtype) { return Element(int(dtype)); }
static_assert(int(Element::int32) == int(DType::int32));

// Strides in elements, of any sign. Half types may come as int16.
struct Array {
  void* start;
  Element element;
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

// As kernels.py describes it, where each field is explained.
enum class Of { data, sum, int32, position };
struct Arg {
  std::string_view name, axes;
  Of dtype = Of::data;
  char along = 0;  // none
  constexpr bool is_maps() const { return axes[0] == 'N'; }
};

class Args {
 public:
  constexpr Args(std::initializer_list<Arg> args) : count_(args.size()) {
    std::copy(args.begin(), args.end(), args_);
  }
  constexpr Args operator+(const Args& more) const {
    Args joined = *this;
    std::copy_n(more.args_, more.count_, joined.args_ + count_);
    joined.count_ += more.count_;
    return joined;
  }
  constexpr std::size_t size() const { return count_; }
  constexpr const Arg& operator[](std::size_t i) const { return args_[i]; }
  constexpr const Arg* begin() const { return args_; }
  constexpr const Arg* end() const { return args_ + count_; }

 private:
  Arg args_[10] = {};
  std::size_t count_;
};

struct Kernel {
  std::string_view name;
  KernelFunction run;
  Args inputs, results;
};

std::span<const Kernel> all_kernels();

// Throw std::invalid_argument where there is none.
const Kernel& kernel_named(std::string_view);
DType dtype_named(std::string_view);
DType floating(DType);  // the same, of features that have sums
std::string_view name_of(Element);
std::string_view name_of(Of);

inline int threads_or_default(int threads) {
  return threads > 0 ? std::min(threads, kMostThreads) : default_threads();
}

// Whether an array has no gaps and lies in the order of its axes; or one (K, C, h, w) so with its
// channels last.
bool is_contiguous(const Array&);
bool is_channels_last(const Array&);

// Of arrays that are as the kernel's description says (see checks.h).
inline const int32_t* whole_numbers(const Array& array) {
  return static_cast<const int32_t*>(array.start);
}
Maps maps_of(const Operand&, DType);

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
