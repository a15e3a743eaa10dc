// Arrays as Python hands them over.
#pragma once

#include <nanobind/nanobind.h>

#include <span>
#include <stdexcept>
#include <string>
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
    for (PyObject* input : inputs) take(input, "input", operands_.size(), false);
    for (PyObject* result : results) take(result, "result", operands_.size() - inputs.size(), true);
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

  struct Place {
    const char* kind;
    std::size_t number;
    [[noreturn]] void refuse(const char* expected) const {
      throw std::invalid_argument(kind + (" " + std::to_string(number)) + ": expected " + expected);
    }
  };

  void take(PyObject* entry, const char* kind, std::size_t number, bool to_write) {
    const std::size_t before = arrays_.size();
    const Place place{kind, number};
    if (is_several(entry))
      for (PyObject* array : entries_of(entry)) take_array(array, place, to_write);
    else if (entry != Py_None)
      take_array(entry, place, to_write);
    operands_.emplace_back(arrays_.data() + before, arrays_.size() - before);
  }

  void take_array(PyObject* object, const Place& place, bool to_write) {
    Py_buffer buffer;
    if (PyObject_GetBuffer(object, &buffer, PyBUF_STRIDES | PyBUF_FORMAT)) {
      PyErr_Clear();
      place.refuse("arrays that have a buffer");
    }
    buffers_.push_back(buffer);
    if (to_write && buffer.readonly) place.refuse("memory that may be written");
    if (buffer.ndim > 4) place.refuse("at most 4 axes");
    if (buffer.itemsize < 1) place.refuse("elements that have a size");
    Array array{buffer.buf, element_of(buffer), buffer.itemsize, buffer.ndim, {}, {}};
    for (int i = 0; i < buffer.ndim; ++i) {
      if (buffer.strides[i] % buffer.itemsize) place.refuse("strides of whole elements");
      array.shape[i] = buffer.shape[i];
      array.strides[i] = buffer.strides[i] / buffer.itemsize;
    }
    arrays_.push_back(array);
  }

  static Element element_of(const Py_buffer& buffer) {
    const char* format = buffer.format;
    if (!format) return Element::uint8;
    if (*format == '@' || *format == '=') ++format;
    if (*format == '\0' || format[1] != '\0') return Element::unknown;
    switch (*format) {
      case 'e': return Element::float16;
      case 'f': return Element::float32;
      case 'd': return Element::float64;
      case 'b': return Element::int8;
      case 'B': return Element::uint8;
      case 'h': return Element::int16;
      case 'i':
      case 'l':
      case 'q': return buffer.itemsize == 4 ? Element::int32 : Element::int64;
      default: return Element::unknown;
    }
  }

  std::vector<Py_buffer> buffers_;
  std::vector<Array> arrays_;
  std::vector<Operand> operands_;
};

}  // namespace roipool
