// The Python module: unpacks arrays, releases the GIL, calls.
#include <cxxabi.h>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>
#include <unistd.h>

#include <numeric>
#include <span>
#include <variant>

#include "geometry.h"
#include "isa.h"
#include "max_pool.h"
#include "memory.h"
#include "plan.h"
#include "threads.h"
#ifdef ROIPOOL_XLA
#include "xla.h"
#endif

namespace nb = nanobind;
using namespace nb::literals;

namespace roipool {
namespace {

// Half types travel as 16-bit integers (NumPy has no bfloat16), so the dtype is told by name.
using Input = nb::ndarray<nb::ro, nb::device::cpu>;
using Output = nb::ndarray<nb::device::cpu, nb::c_contig>;
using EdgeArray = nb::ndarray<const int32_t, nb::ndim<3>, nb::device::cpu, nb::c_contig>;
using ImageArray = nb::ndarray<const int32_t, nb::ndim<1>, nb::device::cpu, nb::c_contig>;

DType dtype_named(const std::string& name) {
  static const std::pair<const char*, DType> kNames[] = {
      {"float16", DType::float16}, {"bfloat16", DType::bfloat16}, {"float32", DType::float32},
      {"float64", DType::float64}, {"int8", DType::int8},         {"uint8", DType::uint8},
      {"int16", DType::int16},     {"int32", DType::int32}};
  for (const auto& [known, dtype] : kNames)
    if (name == known) return dtype;
  throw nb::type_error(("no kernel for dtype " + name).c_str());
}

// Contiguous, or with channels last in memory.
using Output4 = nb::ndarray<nb::device::cpu, nb::ndim<4>>;
using Input4 = nb::ndarray<nb::ro, nb::device::cpu, nb::ndim<4>>;

// Feature maps: an array, or several of one dtype and one number of channels.
template <class Array>
using MapArrays = std::variant<Array, std::vector<Array>>;

template <class Array>
Maps maps_of(const MapArrays<Array>& given) {
  const auto* several = std::get_if<std::vector<Array>>(&given);
  const std::span<const Array> all =
      several ? std::span<const Array>(*several) : std::span(&std::get<Array>(given), 1);
  if (all.empty()) throw nb::value_error("there are no feature maps");
  std::vector<MapArray> arrays;
  for (const Array& a : all)
    arrays.push_back({static_cast<char*>(const_cast<void*>(static_cast<const void*>(a.data()))),
                      int64_t(a.shape(0)),
                      int64_t(a.shape(2)),
                      int64_t(a.shape(3)),
                      {a.stride(0), a.stride(1), a.stride(2), a.stride(3)}});
  return {std::move(arrays), int64_t(all[0].shape(1)), int64_t(all[0].itemsize())};
}

template <class Array>
bool channels_last(const Array& array) {
  return array.stride(1) == 1 && array.shape(2) * array.shape(3) > 1;
}

using RoisArray = nb::ndarray<nb::ro, nb::ndim<2>, nb::device::cpu>;
using IntOutput = nb::ndarray<int32_t, nb::device::cpu, nb::c_contig>;

bool max_bins_py(RoisArray rois, const std::tuple<int64_t, int64_t, int64_t, int64_t>& data_shape,
                 double spatial_scale, bool in_double, IntOutput image, IntOutput rows,
                 IntOutput cols) {
  const auto [images, channels, height, width] = data_shape;
  return max_bins(
      {{rois.data(), rois.itemsize() == 8, int64_t(rois.shape(0)), rois.stride(0), rois.stride(1)},
       in_double,
       images,
       height,
       width,
       int64_t(rows.shape(1)),
       int64_t(cols.shape(1)),
       spatial_scale,
       image.data(),
       rows.data(),
       cols.data()});
}

// Without the GIL while it lives. A thread that comes back while the interpreter ends is unwound by
// Python 3.11 to 3.13, through a destructor that may not throw: it waits for the end instead, as
// later versions have it.
class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) {}
  ~WithoutGil() {
#ifdef __GLIBCXX__
    try {
      PyEval_RestoreThread(state_);
    } catch (abi::__forced_unwind&) {
      for (;;) pause();
    }
#else
    PyEval_RestoreThread(state_);
#endif
  }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* state_;
};

int threads_or_default(int threads) { return threads > 0 ? threads : default_threads(); }

void max_forward_py(const std::string& dtype, MapArrays<Input4> data, ImageArray image,
                    EdgeArray rows, EdgeArray cols, Output4 values, std::optional<Output> argmax,
                    int threads) {
  const MaxForward call{dtype_named(dtype),
                        maps_of(data),
                        {int64_t(image.shape(0)), image.data(), rows.data(), cols.data(),
                         int64_t(rows.shape(1)), int64_t(cols.shape(1))},
                        values.data(),
                        argmax ? argmax->data() : nullptr,
                        argmax && argmax->itemsize() == 8,
                        threads_or_default(threads),
                        channels_last(values)};
  const WithoutGil release;
  max_forward(chosen_isa(), call);
}

bool max_backward_py(const std::string& dtype, Input4 grad, Input argmax, ImageArray image,
                     MapArrays<Output4> grad_data, int threads) {
  const MaxBackward call{dtype_named(dtype),
                         grad.data(),
                         argmax.data(),
                         argmax.itemsize() == 8,
                         image.data(),
                         int64_t(grad.shape(0)),
                         int64_t(grad.shape(2) * grad.shape(3)),
                         maps_of(grad_data),
                         threads_or_default(threads),
                         channels_last(grad)};
  const WithoutGil release;
  return max_backward(chosen_isa(), call);
}

nb::ndarray<nb::numpy, uint8_t, nb::ndim<1>> memory_py(std::size_t bytes) {
  Memory* const memory = take_memory(bytes);
  nb::capsule owner(memory, [](void* held) noexcept { give_back(static_cast<Memory*>(held)); });
  return {memory->start, {bytes}, owner};
}

std::tuple<bool, std::vector<int>, int, bool> plan_py(EdgeArray rows, EdgeArray cols,
                                                      int64_t channels, bool argmax, double room,
                                                      const std::vector<int>& widths, int threads) {
  const Edges edges{
      int64_t(rows.shape(0)), nullptr, rows.data(), cols.data(), int64_t(rows.shape(1)),
      int64_t(cols.shape(1))};
  std::vector<int64_t> list(edges.count);
  std::iota(list.begin(), list.end(), 0);
  std::vector<MaxKernels> kernels;
  for (const int bytes : widths)
    kernels.push_back({bytes / 4, bytes, argmax ? 2 * bytes : bytes, nullptr, nullptr, nullptr});
  const ImagePlan plan = plan_image(edges, list.data(), edges.count, false);
  const Choice choice = choose(kernels, {channels, argmax, threads, room}, {plan});
  std::vector<int> sides;
  for (int level = 0; level < kLevels; ++level)
    if (choice.levels[0].kept >> level & 1) sides.push_back(1 << level);
  return {plan.per_image, sides, choice.kernels.pixel_bytes, choice.private_blocks};
}

std::vector<std::string> isa_names() {
  std::vector<std::string> names;
  for (const Isa* isa : isas_here()) names.emplace_back(isa->name);
  return names;
}

nb::dict xla_handlers_py() {
  nb::dict handlers;
#ifdef ROIPOOL_XLA
  for (const auto& [name, handler] : xla_handlers()) handlers[name] = nb::capsule(handler);
#endif
  return handlers;
}

}  // namespace
}  // namespace roipool

NB_MODULE(_core, m) {
  using namespace roipool;
  m.doc() = "The native core: kernels over integer rectangles.";
  chosen_isa();  // a wrong ROIPOOL_ISA or ROIPOOL_NUM_THREADS is told at import
  default_threads();
  m.def("max_bins", &max_bins_py, "rois"_a.noconvert(), "data_shape"_a, "spatial_scale"_a,
        "in_double"_a, "image"_a.noconvert(), "rows"_a.noconvert(), "cols"_a.noconvert(),
        "Fills image, rows and cols as geometry.max_bins does, from float32 or float64 rois;\n"
        "returns whether every row is a region.");
  m.def("max_forward", &max_forward_py, "dtype"_a, "data"_a.noconvert(), "image"_a.noconvert(),
        "rows"_a.noconvert(), "cols"_a.noconvert(), "values"_a.noconvert(),
        "argmax"_a.noconvert().none(), "threads"_a = 0,
        "Fills values, contiguous or with channels last in memory, and, unless None, argmax\n"
        "with the maximum of each bin. data may be several arrays: image counts through them.");
  m.def(
      "max_backward", &max_backward_py, "dtype"_a, "grad"_a.noconvert(), "argmax"_a.noconvert(),
      "image"_a.noconvert(), "grad_data"_a.noconvert(), "threads"_a = 0,
      "Fills grad_data, an array or several, from grad, each contiguous or with channels last in\n"
      "memory; returns False when an argmax lies outside its map.");
  m.def("plan", &plan_py, "rows"_a.noconvert(), "cols"_a.noconvert(), "channels"_a, "argmax"_a,
        "room"_a, "widths"_a, "threads"_a,
        "How regions of a float32 image would be pooled in so many bytes, by blocks whose pixels\n"
        "take one of the widths: whether packed together, the sides of the windows kept, the\n"
        "width, and whether each thread packs blocks of its own.");
  m.def("memory", &memory_py, "bytes"_a,
        "Bytes for a result, unset, aligned to cache lines; kept for the next when it is freed.");
  m.def("xla_handlers", &xla_handlers_py,
        "Handlers of XLA's foreign function interface by name; none where it was built without.");
  m.def("isa", [] { return std::string(chosen_isa().name); }, "The instruction set in use.");
  m.def("isas", &isa_names, "The instruction sets this machine could use, best last.");
  m.def("default_threads", &default_threads, "Threads used where a call names none.");
  m.def("set_default_threads", &set_default_threads, "count"_a);
}
