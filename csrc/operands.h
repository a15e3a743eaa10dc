// Arrays as Python hands them over.
#pragma once

#include <nanobind/nanobind.h>

#include <span>
#include <vector>

#include "call.h"

namespace roipool {

namespace nb = nanobind;

using Entries = std::span<PyObject*>;

inline bool is_several(PyObject* object) { return PyList_Check(object) || PyTuple_Check(object); }

inline Entries entries_of(PyObject* several) {
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

}  // namespace roipool
