#include "call.h"

#include <stdexcept>
#include <string>

namespace roipool {
namespace {

constexpr Arg kData{"data", "NCHW"}, kPooled{"pooled", "KChw"};
constexpr Arg kImage{"image", "K", Of::int32, 'N'};
constexpr Arg kArgmax{"argmax", "KChw", Of::position}, kSample{"argmax", "KChw", Of::int32};
constexpr Arg kYBins{"y_bins", "Kh2", Of::int32, 'H'}, kXBins{"x_bins", "Kw2", Of::int32, 'W'};
constexpr Arg kYWeight{"y_weight", "Y", Of::sum}, kXWeight{"x_weight", "X", Of::sum};
constexpr Arg kWeight{"weight", "S", Of::sum};
constexpr Args kTaps{{"y_taps", "Kh2", Of::int32, 'Y'},
                     {"y_pixel", "Y", Of::int32},
                     {"x_taps", "Kw2", Of::int32, 'X'},
                     {"x_pixel", "X", Of::int32}};
constexpr Args kPoints{
    {"points", "Khw2", Of::int32, 'S'}, {"y_pixel", "S", Of::int32}, {"x_pixel", "S", Of::int32}};
constexpr Args kSamples = Args{kImage, kSample} + kTaps;

constexpr Kernel kKernels[] = {
    {"max", max_call, {kData, kImage, kYBins, kXBins}, {kPooled, kArgmax}},
    {"max_read", max_read_call, {kData, kImage, kArgmax}, {kPooled}},
    {"max_add", max_add_call, {kPooled, kImage, kArgmax}, {kData}},
    {"taps_read", taps_read_call, Args{kData, kYWeight, kXWeight, kImage} + kTaps, {kPooled}},
    {"taps_add", taps_add_call, Args{kPooled, kYWeight, kXWeight, kImage} + kTaps, {kData}},
    {"taps_weigh_y", taps_weigh_y_call, Args{kPooled, kData, kXWeight, kImage} + kTaps, {kYWeight}},
    {"taps_weigh_x", taps_weigh_x_call, Args{kPooled, kData, kYWeight, kImage} + kTaps, {kXWeight}},
    {"taps_weigh",
     taps_weigh_call,
     Args{kPooled, kData, kYWeight, kXWeight, kImage} + kTaps,
     {kYWeight, kXWeight}},
    {"samples_max",
     samples_max_call,
     Args{kData, kYWeight, kXWeight, kImage} + kTaps,
     {kPooled, kSample}},
    {"samples_read", samples_read_call, Args{kData, kYWeight, kXWeight} + kSamples, {kPooled}},
    {"samples_add", samples_add_call, Args{kPooled, kYWeight, kXWeight} + kSamples, {kData}},
    {"samples_weigh_y",
     samples_weigh_y_call,
     Args{kPooled, kData, kXWeight} + kSamples,
     {kYWeight}},
    {"samples_weigh_x",
     samples_weigh_x_call,
     Args{kPooled, kData, kYWeight} + kSamples,
     {kXWeight}},
    {"samples_weigh",
     samples_weigh_call,
     Args{kPooled, kData, kYWeight, kXWeight} + kSamples,
     {kYWeight, kXWeight}},
    {"points_read", points_read_call, Args{kData, kWeight, kImage} + kPoints, {kPooled}},
    {"points_add", points_add_call, Args{kPooled, kWeight, kImage} + kPoints, {kData}},
    {"points_weigh", points_weigh_call, Args{kPooled, kData, kImage} + kPoints, {kWeight}},
};

constexpr std::string_view kElements[] = {"float16", "bfloat16", "float32", "float64", "int8",
                                          "uint8",   "int16",    "int32",   "int64",   "unknown"};

}  // namespace

std::span<const Kernel> all_kernels() { return kKernels; }

const Kernel& kernel_named(std::string_view name) {
  for (const Kernel& kernel : kKernels)
    if (kernel.name == name) return kernel;
  throw std::invalid_argument("no kernel " + std::string(name));
}

DType dtype_named(std::string_view name) {
  for (int dtype = 0; dtype <= int(DType::int32); ++dtype)
    if (kElements[dtype] == name) return DType(dtype);
  throw std::invalid_argument("no kernel for dtype " + std::string(name));
}

DType floating(DType dtype) {
  if (size_of(dtype) == 1 || dtype == DType::int16 || dtype == DType::int32)
    throw std::invalid_argument("sums are of floating features, not " +
                                std::string(name_of(element_of(dtype))));
  return dtype;
}

std::string_view name_of(Element element) { return kElements[int(element)]; }

std::string_view name_of(Of of) {
  constexpr std::string_view names[] = {"data", "sum", "int32", "position"};
  return names[int(of)];
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

bool is_contiguous(const Array& array) {
  return lies_in_order(array, std::span(kInOrder).first(std::size_t(array.axes)));
}

bool is_channels_last(const Array& array) {
  return !is_contiguous(array) && lies_in_order(array, kChannelsLast);
}

Maps maps_of(const Operand& operand, DType dtype) {
  std::vector<MapArray> arrays;
  arrays.reserve(operand.size());
  for (const Array& a : operand)
    arrays.push_back({static_cast<char*>(a.start),
                      a.shape[0],
                      a.shape[2],
                      a.shape[3],
                      {a.strides[0], a.strides[1], a.strides[2], a.strides[3]}});
  return {std::move(arrays), operand[0].shape[1], size_of(dtype)};
}

}  // namespace roipool
