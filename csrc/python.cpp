// The Python module: unpacks arrays, releases the GIL, calls.
#include <cxxabi.h>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>
#include <unistd.h>

#include <memory>
#include <numeric>
#include <vector>

#include "call.h"
#include "conventions.h"
#include "geometry.h"
#include "isa.h"
#include "max_pool.h"
#include "memory.h"
#include "operands.h"
#include "plan.h"
#include "threads.h"
#ifdef ROIPOOL_XLA
#include "xla.h"
#endif

using namespace nanobind::literals;

namespace roipool {
namespace {

using EdgeArray = nb::ndarray<const int32_t, nb::ndim<3>, nb::device::cpu, nb::c_contig>;

// Of geometry.Maps.
std::vector<MapSizes> map_sizes(nb::handle maps) {
  const auto of = [](PyObject* tuple, std::size_t i) { return nb::handle(entries_of(tuple)[i]); };
  const Entries fields = entries_of(maps.ptr());
  std::vector<MapSizes> sizes(entries_of(fields[0]).size());
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const nb::handle scales = of(fields[3], i);
    sizes[i] = {nb::cast<int64_t>(of(fields[0], i)), nb::cast<int64_t>(of(fields[1], i)),
                nb::cast<int64_t>(of(fields[2], i)), nb::cast<double>(of(scales.ptr(), 0)),
                nb::cast<double>(of(scales.ptr(), 1))};
  }
  return sizes;
}

// Regions, and memory for what each has: its image, then ranges.
struct Filled {
  Operands arrays;
  Rois rois;
  std::vector<int32_t*> parts;

  const Array& part(int i) const { return arrays.all()[1 + i][0]; }

  Filled(PyObject* rows, PyObject* filled) : arrays({&rows, 1}, entries_of(filled)) {
    const Array& given = arrays.all()[0][0];
    rois = {given.start, given.itemsize == 8, given.shape[0], given.strides[0], given.strides[1]};
    for (const Operand& part : arrays.all().subspan(1))
      parts.push_back(const_cast<int32_t*>(whole_numbers(part[0])));
  }
};

bool bins_py(nb::handle rois, nb::handle maps, bool in_double, nb::handle bins) {
  const Filled f(rois.ptr(), bins.ptr());
  return fill_bins({f.rois, in_double, map_sizes(maps), f.part(1).shape[1], f.part(2).shape[1],
                    f.parts[0], f.parts[1], f.parts[2]});
}

// Lists, whose lengths none knows before, come as bytes.
nb::tuple listed_py(const char* convention, nb::handle rois, nb::handle maps,
                    const std::pair<int64_t, int64_t>& pooled_size,
                    const std::vector<int64_t>& options, bool in_double, bool sums_in_double,
                    bool slopes, bool each, nb::handle ranges, int threads) {
  const Filled f(rois.ptr(), ranges.ptr());
  nb::list lists;
  const auto memory = [&](int64_t bytes) {
    const auto memory = nb::steal<nb::object>(PyBytes_FromStringAndSize(nullptr, bytes));
    if (!memory) {
      PyErr_Clear();
      throw OutOfMemory("the pixels of regions", double(bytes));
    }
    lists.append(memory);
    return static_cast<void*>(PyBytes_AS_STRING(memory.ptr()));
  };
  Listing call{f.rois,
               map_sizes(maps),
               pooled_size.first,
               pooled_size.second,
               options,
               in_double,
               sums_in_double,
               slopes,
               each,
               f.parts[0],
               {},
               memory,
               threads_or_default(threads)};
  std::copy(f.parts.begin() + 1, f.parts.end(), call.ranges);
  const bool all_regions = convention_named(convention)(call);
  return nb::make_tuple(all_regions, lists);
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

bool run_py(const char* kernel, const char* dtype, nb::handle inputs, nb::handle results,
            int threads) {
  if (!is_several(inputs.ptr()) || !is_several(results.ptr()))
    throw nb::type_error("expected inputs and results as lists or tuples");
  const Operands operands(entries_of(inputs.ptr()), entries_of(results.ptr()));
  const auto all = operands.all();
  const std::size_t count = entries_of(inputs.ptr()).size();
  prepare_for_errors();
  const Call call{dtype_named(dtype), all.first(count), all.subspan(count), threads};
  const KernelFunction run = kernel_named(kernel).run;
  const WithoutGil release;
  return run(call);
}

nb::ndarray<nb::numpy, uint8_t, nb::ndim<1>> memory_py(std::size_t bytes) {
  std::unique_ptr<Memory, decltype(&give_back)> held(take_memory(bytes, "a result"), give_back);
  nb::capsule owner(held.get(), [](void* kept) noexcept { give_back(static_cast<Memory*>(kept)); });
  Memory* const memory = held.release();
  return {memory->start, {bytes}, owner};
}

std::tuple<bool, std::vector<int>, int, bool> plan_py(EdgeArray y_bins, EdgeArray x_bins,
                                                      int64_t channels, bool argmax, double room,
                                                      const std::vector<int>& widths, int threads) {
  const Edges edges{
      int64_t(y_bins.shape(0)), nullptr, y_bins.data(), x_bins.data(), int64_t(y_bins.shape(1)),
      int64_t(x_bins.shape(1))};
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
  // The standard library's own says neither for what nor how much.
  nb::register_exception_translator([](const std::exception_ptr& error, void*) {
    try {
      std::rethrow_exception(error);
    } catch (const OutOfMemory&) {
      throw;
    } catch (const std::bad_alloc&) {
      PyErr_SetString(PyExc_MemoryError, OutOfMemory("the lists of a call", 0).what());
    }
  });
  prepare_for_errors();
  chosen_isa();  // a wrong ROIPOOL_ISA or ROIPOOL_NUM_THREADS is told at import
  default_threads();
  m.def(
      "bins", &bins_py, "rois"_a, "maps"_a, "in_double"_a, "bins"_a,
      "Fills bins as geometry.max_bins does, from float32 or float64 rois; returns whether every\n"
      "row is a region.");
  m.def(
      "listed", &listed_py, "convention"_a, "rois"_a, "maps"_a, "pooled_size"_a, "options"_a,
      "in_double"_a, "sums_in_double"_a, "slopes"_a, "each"_a, "ranges"_a, "threads"_a = 0,
      "Fills ranges, the image of each region and where its bins' pixels begin and end, as the\n"
      "convention of that name in geometry does, from float32 or float64 rois. Returns whether\n"
      "every row is a region, and lists as bytes: of pixels, weights and, where asked for, "
      "slopes;\n"
      "of taps along y, then along x. What neither weighs nor, where that is asked for, moves is\n"
      "left out.");
  m.def("run", &run_py, "kernel"_a, "dtype"_a, "inputs"_a, "results"_a, "threads"_a = 0,
        "Runs a kernel on arrays in the order of kernels.py; feature maps may be a list of them.\n"
        "Returns False when an argmax lies outside its map.");
  m.def("plan", &plan_py, "y_bins"_a.noconvert(), "x_bins"_a.noconvert(), "channels"_a, "argmax"_a,
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
