// The Python module: unpacks arrays, releases the GIL, calls.
#include <cxxabi.h>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>
#include <unistd.h>

#include <numeric>
#include <span>
#include <vector>

#include "align_taps.h"
#include "call.h"
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

using EdgeArray = nb::ndarray<const int32_t, nb::ndim<3>, nb::device::cpu, nb::c_contig>;
using RoisArray = nb::ndarray<nb::ro, nb::ndim<2>, nb::device::cpu>;
using IntOutput = nb::ndarray<int32_t, nb::device::cpu, nb::c_contig>;

// As geometry.Maps.
using MapsTuple = std::tuple<std::vector<int64_t>, std::vector<int64_t>, std::vector<int64_t>,
                             std::vector<std::pair<double, double>>>;

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

// Taps in the order of geometry.Taps, in arrays of one owner; and whether every row is a region.
nb::tuple align_taps_py(RoisArray rois, const MapsTuple& maps,
                        const std::pair<int64_t, int64_t>& pooled_size, bool in_double,
                        bool sums_in_double, int64_t sampling_ratio, bool aligned, int threads) {
  const auto& [images, heights, widths, scales] = maps;
  AlignTaps call{
      {rois.data(), rois.itemsize() == 8, int64_t(rois.shape(0)), rois.stride(0), rois.stride(1)},
      in_double,
      sums_in_double,
      {},
      pooled_size.first,
      pooled_size.second,
      sampling_ratio,
      aligned,
      threads_or_default(threads)};
  for (std::size_t i = 0; i < images.size(); ++i)
    call.maps.push_back({images[i], heights[i], widths[i], scales[i].first, scales[i].second});
  auto* const found = new AlignedTaps(align_taps(call));
  const nb::capsule owner(found, [](void* p) noexcept { delete static_cast<AlignedTaps*>(p); });
  const auto array = [&](auto& values, std::initializer_list<std::size_t> shape) {
    using Value = std::remove_reference_t<decltype(values[0])>;
    return nb::cast(nb::ndarray<nb::numpy, Value>(values.data(), shape, owner));
  };
  const auto weight = [&](AxisTaps& axis) {
    return sums_in_double ? array(axis.wide_weight, {axis.pixel.size()})
                          : array(axis.weight, {axis.pixel.size()});
  };
  const std::size_t count = found->image.size();
  AxisTaps &y = found->y, &x = found->x;
  return nb::make_tuple(array(found->image, {count}), weight(y), weight(x),
                        array(y.taps, {count, std::size_t(pooled_size.first), 2}),
                        array(y.pixel, {y.pixel.size()}),
                        array(x.taps, {count, std::size_t(pooled_size.second), 2}),
                        array(x.pixel, {x.pixel.size()}), found->all_regions);
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

using Entries = std::span<PyObject*>;

bool is_several(PyObject* object) { return PyList_Check(object) || PyTuple_Check(object); }

Entries entries_of(PyObject* several) {
  return {PySequence_Fast_ITEMS(several), std::size_t(PySequence_Fast_GET_SIZE(several))};
}

// The memory of a call's arrays, held while it lives. Half types come as 16-bit integers, since
// no buffer knows bfloat16.
class Operands {
 public:
  // The entries are arrays, lists or tuples of arrays, or None.
  Operands(Entries inputs, Entries results) : Operands() {  // so that an error releases
    const std::size_t count = arrays_in(inputs) + arrays_in(results);
    buffers_.reserve(count);  // what points into them must stay true
    arrays_.reserve(count);
    operands_.reserve(inputs.size() + results.size());
    for (PyObject* input : inputs) take(input, false);
    for (PyObject* result : results) take(result, true);
  }
  ~Operands() {
    for (Py_buffer& buffer : buffers_) PyBuffer_Release(&buffer);
  }
  Operands(const Operands&) = delete;
  Operands& operator=(const Operands&) = delete;

  std::span<const Operand> all() const { return operands_; }

 private:
  Operands() = default;

  static std::size_t arrays_in(Entries entries) {
    std::size_t count = 0;
    for (PyObject* entry : entries) count += is_several(entry) ? entries_of(entry).size() : 1;
    return count;
  }

  void take(PyObject* entry, bool to_write) {
    const std::size_t before = arrays_.size();
    if (is_several(entry))
      for (PyObject* array : entries_of(entry)) take_array(array, to_write);
    else if (entry != Py_None)
      take_array(entry, to_write);
    operands_.emplace_back(arrays_.data() + before, arrays_.size() - before);
  }

  void take_array(PyObject* object, bool to_write) {
    Py_buffer buffer;
    if (PyObject_GetBuffer(object, &buffer, PyBUF_STRIDES | (to_write ? PyBUF_WRITABLE : 0)))
      throw nb::python_error();
    buffers_.push_back(buffer);
    if (buffer.ndim > 4) throw nb::value_error("expected arrays of at most 4 axes");
    Array array{buffer.buf, buffer.itemsize, buffer.ndim, {}, {}};
    for (int i = 0; i < buffer.ndim; ++i) {
      if (buffer.strides[i] % buffer.itemsize)
        throw nb::value_error("expected strides of whole elements");
      array.shape[i] = buffer.shape[i];
      array.strides[i] = buffer.strides[i] / buffer.itemsize;
    }
    arrays_.push_back(array);
  }

  std::vector<Py_buffer> buffers_;
  std::vector<Array> arrays_;
  std::vector<Operand> operands_;
};

bool run_py(const char* kernel, const char* dtype, nb::handle inputs, nb::handle results,
            int threads) {
  if (!is_several(inputs.ptr()) || !is_several(results.ptr()))
    throw nb::type_error("expected inputs and results as lists or tuples");
  const Operands operands(entries_of(inputs.ptr()), entries_of(results.ptr()));
  const auto all = operands.all();
  const std::size_t count = entries_of(inputs.ptr()).size();
  const Call call{dtype_named(dtype), all.first(count), all.subspan(count), threads};
  const KernelFunction run = kernel_named(kernel).run;
  const WithoutGil release;
  return run(call);
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
  m.def("align_taps", &align_taps_py, "rois"_a.noconvert(), "maps"_a, "pooled_size"_a,
        "in_double"_a, "sums_in_double"_a, "sampling_ratio"_a, "aligned"_a, "threads"_a = 0,
        "The fields of geometry.Taps as geometry.align_taps gives them, without taps of weight 0,\n"
        "from float32 or float64 rois; and whether every row is a region.");
  m.def("run", &run_py, "kernel"_a, "dtype"_a, "inputs"_a, "results"_a, "threads"_a = 0,
        "Runs a kernel on arrays in the order of kernels.py; feature maps may be a list of them.\n"
        "Returns False when an argmax lies outside its map.");
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
