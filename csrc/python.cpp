// The Python module: unpacks arrays, releases the GIL, calls.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <numeric>
#include <optional>
#include <vector>

#include "call.h"
#include "checks.h"
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

// The entries of a tuple or list of so many, or of any number.
Entries several(nb::handle object, const char* name, std::size_t count = 0) {
  if (is_several(object.ptr()))
    if (const Entries entries = entries_of(object.ptr()); !count || entries.size() == count)
      return entries;
  throw std::invalid_argument(std::string(name) + ": expected a list or tuple of " +
                              (count ? std::to_string(count) : "all"));
}

// Of geometry.Maps.
std::vector<MapSizes> map_sizes(nb::handle maps) {
  const Entries fields = several(maps, "maps", 4);
  const std::size_t count = several(fields[0], "images").size();
  const auto sides = [&](int field) { return several(fields[field], "maps", count); };
  const Entries images = sides(0), heights = sides(1), widths = sides(2), scales = sides(3);
  const auto side = [](PyObject* number) {
    const auto side = nb::cast<int64_t>(nb::handle(number));
    if (side < 0 || side > INT32_MAX)
      throw std::invalid_argument("maps: expected sides from 0 to 2^31 - 1, not " +
                                  std::to_string(side));
    return side;
  };
  std::vector<MapSizes> sizes(count);
  for (std::size_t i = 0; i < count; ++i) {
    const Entries pair = several(scales[i], "scales", 2);
    sizes[i] = {side(images[i]), side(heights[i]), side(widths[i]),
                nb::cast<double>(nb::handle(pair[0])), nb::cast<double>(nb::handle(pair[1]))};
  }
  return sizes;
}

// Regions, and memory for what each has: its image, then ranges.
struct Filled {
  Operands arrays;
  Rois rois;
  std::vector<int32_t*> parts;

  const Array& part(std::size_t i) const { return arrays.all()[1 + i][0]; }

  // Throws std::invalid_argument where rows have fewer columns, or a part is no int32 of its own.
  Filled(PyObject* rows, nb::handle filled, int columns)
      : arrays({&rows, 1}, several(filled, "what is filled")) {
    for (const Operand& operand : arrays.all())
      if (operand.size() != 1) throw std::invalid_argument("expected arrays, one for each");
    const Array& given = arrays.all()[0][0];
    if (given.axes != 2 || given.shape[1] < columns ||
        (given.element != Element::float32 && given.element != Element::float64))
      throw std::invalid_argument("rois are " + std::string(name_of(given.element)) + " " +
                                  shape_in_words(given) + "; expected float32 or float64 (K, " +
                                  std::to_string(columns) + ")");
    rois = {given.start, given.itemsize == 8, given.shape[0], given.strides[0], given.strides[1]};
    for (const Operand& operand : arrays.all().subspan(1)) {
      if (operand[0].element != Element::int32 || !is_contiguous(operand[0]))
        throw std::invalid_argument("expected contiguous int32 to fill");
      parts.push_back(static_cast<int32_t*>(operand[0].start));
    }
  }

  void expect(std::size_t i, std::initializer_list<int64_t> shape) const {
    const Array& array = part(i);
    if (std::size_t(array.axes) != shape.size() ||
        !std::equal(shape.begin(), shape.end(), array.shape))
      throw std::invalid_argument("what is filled has shape " + shape_in_words(array) +
                                  ", which is not that of its regions' bins");
  }
};

bool bins_py(nb::handle rois, nb::handle maps, bool in_double, nb::handle bins) {
  several(bins, "bins", 3);
  const Filled f(rois.ptr(), bins, 5);
  const int64_t pooled_h = f.part(1).shape[1], pooled_w = f.part(2).shape[1];
  if (pooled_h < 1 || pooled_w < 1) throw std::invalid_argument("bins: expected at least 1 a side");
  f.expect(0, {f.rois.count});
  f.expect(1, {f.rois.count, pooled_h, 2});
  f.expect(2, {f.rois.count, pooled_w, 2});
  return fill_bins(
      {f.rois, in_double, map_sizes(maps), pooled_h, pooled_w, f.parts[0], f.parts[1], f.parts[2]});
}

// Without the GIL while it lives, but for what is done `with_gil`, and for signals: what a handler
// of one raises, Ctrl-C's say, ends the call. Python runs handlers in its main thread alone.
class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()), asked_([this] { look_for_signals(); }) {}
  ~WithoutGil() { back(); }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

  template <class Body>
  auto with_gil(const Body& body) {
    back();
    struct Release {
      ~Release() { PyEval_SaveThread(); }
    } release;
    return body();
  }

 private:
  using Clock = std::chrono::steady_clock;

  void look_for_signals() {
    const auto now = Clock::now();
    if (now < next_) return;
    next_ = now + std::chrono::milliseconds(50);
    with_gil([] {
      if (PyErr_CheckSignals()) throw nb::python_error();
    });
  }

  // A thread that comes back while the interpreter ends is unwound by Python 3.11 to 3.13, through
  // a destructor that may not throw: it waits for the end instead, as later versions have it.
  void back() {
#ifdef __GLIBCXX__
    try {
      PyEval_RestoreThread(state_);
    } catch (...) {  // the unwinding, which is no object of C++
      for (;;) pause();
    }
#else
    PyEval_RestoreThread(state_);
#endif
  }

  PyThreadState* state_;
  Clock::time_point next_ = Clock::now() + std::chrono::milliseconds(50);
  const AskedBetweenTasks asked_;
};

// Lists, whose lengths none knows before, come as bytes.
nb::tuple listed_py(const char* convention, nb::handle rois, nb::handle maps,
                    const std::pair<int64_t, int64_t>& pooled_size, nb::handle options,
                    bool in_double, bool sums_in_double, bool slopes, bool each, nb::handle ranges,
                    int threads) {
  const ConventionEntry& entry = convention_named(convention);
  const auto [pooled_h, pooled_w] = pooled_size;
  if (pooled_h < 1 || pooled_w < 1)
    throw std::invalid_argument("pooled_size: expected sides of at least 1");
  // Not by the binding, which ends the process where there is no memory for them.
  std::vector<int64_t> numbers;
  for (PyObject* option : several(options, "options"))
    numbers.push_back(nb::cast<int64_t>(nb::handle(option)));
  if (numbers.size() != entry.options)
    throw std::invalid_argument("options: expected " + std::to_string(entry.options));
  several(ranges, "ranges", entry.points ? 2 : 3);
  const Filled f(rois.ptr(), ranges, entry.columns);
  const bool singly = each && !entry.points;
  const int64_t regions = f.rois.count * (singly ? pooled_h * pooled_w : 1);
  f.expect(0, {regions});
  if (entry.points) {
    f.expect(1, {regions, pooled_h, pooled_w, 2});
  } else {
    f.expect(1, {regions, singly ? 1 : pooled_h, 2});
    f.expect(2, {regions, singly ? 1 : pooled_w, 2});
  }
  nb::list lists;
  std::optional<WithoutGil> release;
  const auto memory = [&](int64_t bytes) {
    return release->with_gil([&] {
      const auto memory = nb::steal<nb::object>(PyBytes_FromStringAndSize(nullptr, bytes));
      if (!memory) {
        PyErr_Clear();
        throw OutOfMemory("the pixels of regions", double(bytes));
      }
      lists.append(memory);
      return static_cast<void*>(PyBytes_AS_STRING(memory.ptr()));
    });
  };
  Listing call{f.rois,
               map_sizes(maps),
               pooled_h,
               pooled_w,
               numbers,
               in_double,
               sums_in_double,
               slopes,
               each,
               f.parts[0],
               {},
               memory,
               threads_or_default(threads)};
  std::copy(f.parts.begin() + 1, f.parts.end(), call.ranges);
  release.emplace();
  const bool all_regions = entry.run(call);
  release.reset();
  return nb::make_tuple(all_regions, lists);
}

bool run_py(const char* kernel, const char* dtype, nb::handle inputs, nb::handle results,
            int threads) {
  const Operands operands(several(inputs, "inputs"), several(results, "results"));
  const auto all = operands.all();
  const std::size_t count = entries_of(inputs.ptr()).size();
  prepare_for_errors();
  const Kernel& known = kernel_named(kernel);
  const Call call{dtype_named(dtype), all.first(count), all.subspan(count), threads};
  check_arrays(known, call);
  WithoutGil release;
  check_regions(known, call);
  return known.run(call);
}

nb::ndarray<nb::numpy, uint8_t, nb::ndim<1>> memory_py(std::size_t bytes) {
  std::unique_ptr<Memory, decltype(&give_back)> held(take_memory(bytes, "a result"), give_back);
  nb::capsule owner(held.get(), [](void* kept) noexcept { give_back(static_cast<Memory*>(kept)); });
  Memory* const memory = held.release();
  return {memory->start, {bytes}, owner};
}

std::tuple<bool, std::vector<int>, int, bool, bool> plan_py(EdgeArray y_bins, EdgeArray x_bins,
                                                            int64_t channels, bool argmax,
                                                            double room,
                                                            const std::vector<int>& widths,
                                                            int threads) {
  if (x_bins.shape(0) != y_bins.shape(0) || y_bins.shape(2) != 2 || x_bins.shape(2) != 2 ||
      channels < 1 || threads < 1 || widths.empty())
    throw std::invalid_argument("expected bins (K, P, 2), channels, widths and threads");
  for (const int bytes : widths)
    if (bytes < 4) throw std::invalid_argument("expected widths of at least 4 bytes");
  const Edges edges{
      int64_t(y_bins.shape(0)), nullptr, y_bins.data(), x_bins.data(), int64_t(y_bins.shape(1)),
      int64_t(x_bins.shape(1))};
  std::vector<int64_t> list(edges.count);
  std::iota(list.begin(), list.end(), 0);
  std::vector<MaxKernels> kernels;
  for (const int bytes : widths)
    kernels.push_back({bytes / 4, bytes, argmax ? 2 * bytes : bytes, nullptr, nullptr, nullptr,
                       nullptr, bytes / 4});
  const ImagePlan plan = plan_image(edges, list.data(), edges.count, false, 1);
  const Choice choice = choose(kernels, {channels, argmax, threads, room}, {plan});
  std::vector<int> sides;
  for (int level = 0; level < kLevels; ++level)
    if (choice.levels[0].kept >> level & 1) sides.push_back(1 << level);
  return {plan.per_image, sides, choice.kernels.pixel_bytes, choice.private_blocks,
          choice.in_place};
}

// Of each kernel its inputs and results, as kernels.py has them: (name, axes, dtype, along).
nb::dict kernels_py() {
  const auto told = [](const Args& args) {
    nb::list list;
    const auto text = [](std::string_view view) { return nb::str(view.data(), view.size()); };
    for (const Arg& arg : args)
      list.append(nb::make_tuple(text(arg.name), text(arg.axes), text(name_of(arg.dtype)),
                                 text({&arg.along, arg.along ? 1u : 0u})));
    return list;
  };
  nb::dict kernels;
  for (const Kernel& kernel : all_kernels())
    kernels[nb::str(kernel.name.data(), kernel.name.size())] =
        nb::make_tuple(told(kernel.inputs), told(kernel.results));
  return kernels;
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
  if (PyInterpreterState_Get() != PyInterpreterState_Main())
    throw nb::import_error(
        "roipool runs in the main interpreter alone, as NumPy does; in a sub-interpreter it would "
        "wait for ever: use processes or threads");
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
  m.def(
      "run", &run_py, "kernel"_a, "dtype"_a, "inputs"_a, "results"_a, "threads"_a = 0,
      "Runs a kernel on arrays in the order of kernels.py; feature maps may be a list of them.\n"
      "Returns False when an argmax lies outside its map. Raises ValueError unless all are as the\n"
      "kernel's description says, and regions lie on images and bins in maps and lists.");
  m.def("kernels", &kernels_py,
        "Of each kernel by name, its inputs and results: (name, axes, dtype, along) of each.");
  m.def("plan", &plan_py, "y_bins"_a.noconvert(), "x_bins"_a.noconvert(), "channels"_a, "argmax"_a,
        "room"_a, "widths"_a, "threads"_a,
        "How regions of a float32 image would be pooled in so many bytes, by blocks whose pixels\n"
        "take one of the widths: whether packed together, the sides of the windows kept, the\n"
        "width, whether each thread packs blocks of its own, and whether none are packed at all.");
  m.def("memory", &memory_py, "bytes"_a,
        "Bytes for a result, unset, aligned to cache lines; kept for the next when it is freed.");
  m.def("xla_handlers", &xla_handlers_py,
        "Handlers of XLA's foreign function interface by name; none where it was built without.");
  m.def("isa", [] { return std::string(chosen_isa().name); }, "The instruction set in use.");
  m.def("isas", &isa_names, "The instruction sets this machine could use, best last.");
  m.def("default_threads", &default_threads, "Threads used where a call names none.");
  m.def("set_default_threads", &set_default_threads, "count"_a);
}
