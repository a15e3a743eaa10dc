#include "checks.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>
#include <stdexcept>

namespace roipool {
namespace {

constexpr int64_t kMostPixels = int64_t(1) << 31;  // along an axis: what int32 can count

std::string in_words(std::span<const int64_t> numbers) {
  std::string said = "(";
  for (const int64_t number : numbers)
    said += (said.size() > 1 ? ", " : "") + std::to_string(number);
  return said + (numbers.size() == 1 ? ",)" : ")");
}

std::string in_words(std::string_view axes) {
  std::string said = "(";
  for (const char letter : axes) said += (said.size() > 1 ? std::string(", ") : "") + letter;
  return said + (axes.size() == 1 ? ",)" : ")");
}

// Bytes from the first to behind the last element, whichever way strides run.
struct Span {
  uintptr_t begin, end;
};

Span span_of(const Array& array) {
  int64_t first = 0, last = 1;
  for (int axis = 0; axis < array.axes; ++axis) {
    if (array.shape[axis] == 0) return {};
    const int64_t reach = (array.shape[axis] - 1) * array.strides[axis];
    (reach < 0 ? first : last) += reach;
  }
  const uintptr_t start = reinterpret_cast<uintptr_t>(array.start);
  return {start + uintptr_t(first * array.itemsize), start + uintptr_t(last * array.itemsize)};
}

// Whether each element has memory of its own.
bool is_apart(const Array& array) {
  std::array<int, 4> axes{0, 1, 2, 3};
  const auto step = [&](int axis) { return std::abs(array.strides[axis]); };
  std::sort(axes.begin(), axes.begin() + array.axes,
            [&](int a, int b) { return step(a) < step(b); });
  const auto sides = std::span(array.shape, std::size_t(array.axes));
  if (std::count(sides.begin(), sides.end(), 0)) return true;
  int64_t taken = 1;
  for (int i = 0; i < array.axes; ++i) {
    const int64_t side = array.shape[axes[i]];
    if (side == 1) continue;
    if (step(axes[i]) < taken) return false;
    taken += (side - 1) * step(axes[i]);
  }
  return true;
}

// Whether 64 bits count its elements, and the bytes between any two.
bool is_countable(const Array& array) {
  int64_t elements = array.itemsize, bytes = 0;
  for (int axis = 0; axis < array.axes; ++axis) {
    const int64_t side = std::max<int64_t>(array.shape[axis], 1);
    int64_t reach;
    if (__builtin_mul_overflow(elements, side, &elements) ||
        array.strides[axis] == std::numeric_limits<int64_t>::min() ||
        __builtin_mul_overflow(side - 1, std::abs(array.strides[axis]), &reach) ||
        __builtin_mul_overflow(reach, array.itemsize, &reach) ||
        __builtin_add_overflow(bytes, reach, &bytes))
      return false;
  }
  return true;
}

class ArrayChecks {
 public:
  ArrayChecks(const Kernel& kernel, const Call& call) : kernel_(kernel), call_(call) {
    size_.fill(-1);
  }

  void run() {
    if (call_.inputs.size() != kernel_.inputs.size() || call_.results.empty() ||
        call_.results.size() > kernel_.results.size())
      refuse_counts();
    for (std::size_t i = 0; i < kernel_.inputs.size(); ++i)
      check(kernel_.inputs[i], call_.inputs[i], false);
    for (std::size_t i = 0; i < call_.results.size(); ++i)
      if (i == 0 || !call_.results[i].empty()) check(kernel_.results[i], call_.results[i], true);
    check_results_lie_apart();
  }

 private:
  void check(const Arg& arg, const Operand& operand, bool result) {
    if (operand.size() != 1 && (operand.empty() || !arg.is_maps()))
      refuse(arg, std::to_string(operand.size()) + " arrays",
             arg.is_maps() ? "at least one" : "one");
    int64_t images = 0;
    for (const Array& array : operand) {
      check_sizes(arg, array);
      if (!has_dtype(arg, array, result)) refuse_dtype(arg, array);
      if (reinterpret_cast<uintptr_t>(array.start) % uintptr_t(array.itemsize))
        refuse(arg, "not aligned", "an address that its elements' size divides");
      check_layout(arg, array, result);
      if (arg.is_maps()) images += array.shape[0];
      if (images >= kMostPixels) refuse(arg, std::to_string(images) + " images", "fewer than 2^31");
    }
  }

  void check_sizes(const Arg& arg, const Array& array) {
    if (std::size_t(array.axes) != arg.axes.size() || !is_countable(array))
      refuse(arg, shape_in_words(array), in_words(arg.axes));
    for (int axis = 0; axis < array.axes; ++axis) {
      const char letter = arg.axes[axis];
      const int64_t side = array.shape[axis];
      if (arg.is_maps() && letter != 'C') {  // each array has its own
        if (side >= kMostPixels) refuse(arg, shape_in_words(array), "each axis below 2^31");
        continue;
      }
      if (letter == '2' ? side != 2 : size_[letter] >= 0 && side != size_[letter])
        refuse_size(arg, array, letter);
      size_[letter] = side;
    }
  }

  // Maps are walked by their strides.
  void check_layout(const Arg& arg, const Array& array, bool result) const {
    if (arg.is_maps()) {
      if (result && !is_apart(array))
        refuse(arg, "memory in which elements overlap", "memory for each");
    } else if (!is_contiguous(array)) {
      const bool pooled = arg.dtype == Of::data;
      if (!pooled || !is_channels_last(array))
        refuse(arg, "not contiguous",
               pooled ? "(K, C, h, w) without gaps, or so with channels last" : "an array that is");
    }
  }

  bool has_dtype(const Arg& arg, const Array& array, bool result) const {
    const Element given = array.element;
    switch (arg.dtype) {
      case Of::data:
        return given == element_of(call_.dtype) || (given == Element::int16 && is_half());
      case Of::sum: return given == sum_element();
      case Of::int32: return given == Element::int32;
      case Of::position:
        return given == Element::int64 ||
               (given == Element::int32 && !(result && has_wide_plane()));
    }
    return false;
  }
  bool is_half() const { return call_.dtype == DType::float16 || call_.dtype == DType::bfloat16; }
  Element sum_element() const {
    return call_.dtype == DType::float64 ? Element::float64 : Element::float32;
  }
  bool has_wide_plane() const {
    for (std::size_t i = 0; i < kernel_.inputs.size(); ++i)
      if (kernel_.inputs[i].is_maps())
        for (const Array& maps : call_.inputs[i])
          if (maps.shape[2] * maps.shape[3] > std::numeric_limits<int32_t>::max()) return true;
    return false;
  }

  void check_results_lie_apart() const {
    std::vector<Span> written, read;
    const auto add = [](std::span<const Operand> operands, std::vector<Span>& spans) {
      for (const Operand& operand : operands)
        for (const Array& array : operand)
          if (const Span span = span_of(array); span.begin < span.end) spans.push_back(span);
    };
    add(call_.results, written), add(call_.inputs, read);
    std::sort(written.begin(), written.end(),
              [](const Span& a, const Span& b) { return a.begin < b.begin; });
    for (std::size_t i = 1; i < written.size(); ++i)
      if (written[i].begin < written[i - 1].end) refuse_overlap();
    for (const Span& span : read) {
      const auto behind = std::partition_point(written.begin(), written.end(),
                                               [&](const Span& w) { return w.end <= span.begin; });
      if (behind != written.end() && behind->begin < span.end) refuse_overlap();
    }
  }

  [[noreturn]] void refuse(const std::string& what) const {
    throw std::invalid_argument(std::string(kernel_.name) + ": " + what);
  }
  [[noreturn]] void refuse(const Arg& arg, const std::string& came,
                           const std::string& expected) const {
    refuse(std::string(arg.name) + " is " + came + "; expected " + expected);
  }
  [[noreturn]] void refuse_counts() const {
    refuse(std::to_string(call_.inputs.size()) + " inputs and " +
           std::to_string(call_.results.size()) + " results came; expected " +
           std::to_string(kernel_.inputs.size()) + " and at most " +
           std::to_string(kernel_.results.size()) + ", but one");
  }
  [[noreturn]] void refuse_size(const Arg& arg, const Array& array, char letter) const {
    std::string expected = in_words(arg.axes);
    if (letter != '2')
      expected += ", where " + std::string(1, letter) + " is " + std::to_string(size_[letter]) +
                  " as before it";
    refuse(arg, shape_in_words(array), expected);
  }
  [[noreturn]] void refuse_dtype(const Arg& arg, const Array& array) const {
    std::string expected;
    switch (arg.dtype) {
      case Of::data: expected = name_of(element_of(call_.dtype)); break;
      case Of::sum: expected = name_of(sum_element()); break;
      case Of::int32: expected = "int32"; break;
      case Of::position: expected = has_wide_plane() ? "int64" : "int32 or int64";
    }
    if (arg.dtype == Of::data && is_half()) expected += ", or int16 for its bits";
    refuse(arg, std::string(name_of(array.element)), expected);
  }
  [[noreturn]] void refuse_overlap() const {
    refuse("a result overlaps another array of the call; expected memory of its own");
  }

  const Kernel& kernel_;
  const Call& call_;
  std::array<int64_t, 128> size_;  // by letter; −1 of those that nothing has told
};

// What regions count along: images, rows and columns of their map, and lists.
class RegionChecks {
 public:
  RegionChecks(const Kernel& kernel, const Call& call)
      : kernel_(kernel), maps_(maps_of(maps_in(kernel, call), call.dtype)) {
    for (std::size_t i = 0; i < kernel.inputs.size(); ++i) {
      const Arg& arg = kernel.inputs[i];
      if (arg.along == 'N') {
        image_ = whole_numbers(call.input(int(i)));
        count_ = call.input(int(i)).shape[0];
      } else if (arg.along) {
        const Array& bins = call.input(int(i));
        int64_t numbers = 1;
        for (int axis = 1; axis < bins.axes; ++axis) numbers *= bins.shape[axis];
        ranges_[ranges_count_++] = {&arg, whole_numbers(bins), numbers / 2,
                                    length_along(arg.along, kernel, call)};
      }
    }
  }

  int64_t count() const { return count_; }
  const int32_t* image() const { return image_; }

  bool fits(int64_t k) const {
    const int32_t image = image_[k];
    if (image < 0) return true;  // no region
    return image < maps_.images() && !outside(k);
  }

  [[noreturn]] void refuse(int64_t k) const {
    const std::string kernel(kernel_.name), region = std::to_string(k);
    const int32_t image = image_[k];
    if (image >= maps_.images())
      throw std::invalid_argument(kernel + ": image[" + region + "] is " + std::to_string(image) +
                                  "; expected a number below " + std::to_string(maps_.images()) +
                                  ", that of the images");
    const Ranges& ranges = *outside(k);
    const int64_t most = length(ranges, maps_.array_of(image));
    throw std::invalid_argument(kernel + ": " + std::string(ranges.arg->name) + "[" + region +
                                "] lies outside its " + ranges.arg->along +
                                " axis or ends before it begins; expected bins from 0 to " +
                                std::to_string(most));
  }

 private:
  struct Ranges {
    const Arg* arg;
    const int32_t* bins;  // (K, count, 2)
    int64_t count;
    int64_t length;  // of the list they count along; −1 where it is the map's
  };

  static const Operand& maps_in(const Kernel& kernel, const Call& call) {
    std::size_t i = 0;
    while (i < kernel.inputs.size() && !kernel.inputs[i].is_maps()) ++i;
    return i < kernel.inputs.size() ? call.inputs[i] : call.results[0];
  }

  static int64_t length_along(char axis, const Kernel& kernel, const Call& call) {
    if (axis == 'H' || axis == 'W') return -1;
    for (std::size_t i = 0; i < kernel.inputs.size(); ++i)
      if (kernel.inputs[i].axes == std::string_view(&axis, 1)) return call.input(int(i)).shape[0];
    std::abort();  // a list without its pixels
  }

  static int64_t length(const Ranges& ranges, const MapArray& maps) {
    if (ranges.length >= 0) return ranges.length;
    return ranges.arg->along == 'H' ? maps.height : maps.width;
  }

  // The first of a region's ranges that do not lie within what they count along, or null.
  const Ranges* outside(int64_t k) const {
    const MapArray& maps = maps_.array_of(image_[k]);
    for (int i = 0; i < ranges_count_; ++i)
      if (!lie_within(ranges_[i], k, length(ranges_[i], maps))) return &ranges_[i];
    return nullptr;
  }

  static bool lie_within(const Ranges& ranges, int64_t k, int64_t most) {
    const int32_t* const bins = ranges.bins + k * ranges.count * 2;
    bool within = true;
    for (int64_t p = 0; p < ranges.count; ++p) {
      const int32_t begin = bins[2 * p], end = bins[2 * p + 1];
      within &= (begin >= 0) & (begin <= end) & (end <= most);
    }
    return within;
  }

  const Kernel& kernel_;
  const Maps maps_;
  int64_t count_ = 0;
  const int32_t* image_ = nullptr;
  std::array<Ranges, 2> ranges_{};
  int ranges_count_ = 0;
};

}  // namespace

std::string shape_in_words(const Array& array) {
  return in_words(std::span(array.shape, std::size_t(array.axes)));
}

void check_arrays(const Kernel& kernel, const Call& call) { ArrayChecks(kernel, call).run(); }

void check_regions(const Kernel& kernel, const Call& call) {
  const RegionChecks checks(kernel, call);
  for (int64_t k = 0; k < checks.count(); ++k)
    if (!checks.fits(k)) checks.refuse(k);
}

std::vector<int32_t> regions_that_fit(const Kernel& kernel, const Call& call) {
  const RegionChecks checks(kernel, call);
  std::vector<int32_t> image;
  for (int64_t k = 0; k < checks.count(); ++k) {
    if (checks.fits(k)) continue;
    if (image.empty()) image.assign(checks.image(), checks.image() + checks.count());
    image[std::size_t(k)] = -1;
  }
  return image;
}

std::size_t input_named(const Kernel& kernel, std::string_view name) {
  std::size_t i = 0;
  while (kernel.inputs[i].name != name) ++i;
  return i;
}

}  // namespace roipool
