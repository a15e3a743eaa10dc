#include "call.h"

#include <stdexcept>
#include <string>
#include <utility>

namespace roipool {
namespace {

constexpr Kernel kKernels[] = {
    {"max", max_call, 0},
    {"max_read", max_read_call, 0},
    {"max_add", max_add_call, -1},
    {"taps_read", taps_read_call, 0},
    {"taps_add", taps_add_call, -1},
    {"taps_weigh_y", taps_weigh_y_call, 1},
    {"taps_weigh_x", taps_weigh_x_call, 1},
    {"taps_weigh", taps_weigh_call, 1},
    {"points_read", points_read_call, 0},
    {"points_add", points_add_call, -1},
    {"points_weigh", points_weigh_call, 1},
    {"samples_max", samples_max_call, 0},
    {"samples_read", samples_read_call, 0},
    {"samples_add", samples_add_call, -1},
    {"samples_weigh_y", samples_weigh_y_call, 1},
    {"samples_weigh_x", samples_weigh_x_call, 1},
    {"samples_weigh", samples_weigh_call, 1},
};

constexpr std::pair<std::string_view, DType> kDTypes[] = {
    {"float16", DType::float16}, {"bfloat16", DType::bfloat16}, {"float32", DType::float32},
    {"float64", DType::float64}, {"int8", DType::int8},         {"uint8", DType::uint8},
    {"int16", DType::int16},     {"int32", DType::int32}};

}  // namespace

const Kernel& kernel_named(std::string_view name) {
  for (const Kernel& kernel : kKernels)
    if (kernel.name == name) return kernel;
  throw std::invalid_argument("no kernel " + std::string(name));
}

DType dtype_named(std::string_view name) {
  for (const auto& [known, dtype] : kDTypes)
    if (name == known) return dtype;
  throw std::invalid_argument("no kernel for dtype " + std::string(name));
}

namespace {

// Whether the axes lie in this order, the last side by side, without gaps.
bool lies_in_order(const Array& array, std::span<const int> axes) {
  int64_t size = 1, stride = 1;
  bool whole = true;
  for (auto axis = axes.rbegin(); axis != axes.rend(); stride *= array.shape[*axis++]) {
    whole = whole && (array.shape[*axis] == 1 || array.strides[*axis] == stride);
    size *= array.shape[*axis];
  }
  return whole || size == 0;
}

constexpr int kInOrder[] = {0, 1, 2, 3}, kChannelsLast[] = {0, 2, 3, 1};

}  // namespace

void* contiguous(const Array& array) {
  if (!lies_in_order(array, std::span(kInOrder).first(array.axes)))
    throw std::invalid_argument("expected a C-contiguous array");
  return array.start;
}

bool channels_last(const Array& array) {
  if (lies_in_order(array, kInOrder)) return false;
  if (!lies_in_order(array, kChannelsLast))
    throw std::invalid_argument("expected (K, C, h, w) contiguous, or so with its channels last");
  return true;
}

const int32_t* whole_numbers(const Array& array) {
  if (array.itemsize != 4) throw std::invalid_argument("expected an array of int32");
  return static_cast<const int32_t*>(contiguous(array));
}

Maps maps_of(const Operand& operand, int64_t channels, DType dtype) {
  if (operand.empty()) throw std::invalid_argument("there are no feature maps");
  std::vector<MapArray> arrays;
  arrays.reserve(operand.size());
  for (const Array& a : operand) {
    if (a.axes != 4 || a.shape[1] != channels || a.itemsize != size_of(dtype))
      throw std::invalid_argument("expected feature maps of one dtype and number of channels");
    arrays.push_back({static_cast<char*>(a.start),
                      a.shape[0],
                      a.shape[2],
                      a.shape[3],
                      {a.strides[0], a.strides[1], a.strides[2], a.strides[3]}});
  }
  return {std::move(arrays), channels, size_of(dtype)};
}

}  // namespace roipool
