// The instruction sets built in, and the choice among them.
#pragma once

#include <string>
#include <vector>

#include "kernels.h"

namespace roipool {

struct PointKernels;   // points.h
struct SampleKernels;  // samples.h
struct SumKernels;     // sums.h

// One instruction set's kernels. `wide` asks for an int64 argmax. With argmax, values narrower
// than a position are widened to its lanes, so blocks hold fewer channels.
struct Isa {
  const char* name;
  bool (*runs_here)();
  MaxKernels (*max)(DType, bool argmax, bool wide);
  ScatterMax (*scatter_max)(DType, bool wide);  // null for integers
  SumKernels (*taps)(DType);                    // these of the floating dtypes
  PointKernels (*points)(DType, int64_t channels);
  SampleKernels (*samples)(DType);
};

std::vector<const Isa*> isas_here();  // those built in that this machine runs, best last

// The best, or the one that ROIPOOL_ISA names; throws std::runtime_error when it can't be had.
const Isa& chosen_isa();

// A set's blocks are one of its registers wide; narrower ones are those of the sets before it.
// Widest first.
std::vector<MaxKernels> max_kernels_by_width(const Isa& widest, DType, bool argmax, bool wide);

}  // namespace roipool
