// What a call must be before a kernel runs: kernels trust what they are given, callers need not be
// trusted.
#pragma once

#include <cstdint>
#include <vector>

#include "call.h"

namespace roipool {

// Throws std::invalid_argument unless the arrays are as the kernel's description says, results
// being memory of their own.
void check_arrays(const Kernel&, const Call&);

// Throws std::invalid_argument for the first region whose image or bins lie outside what they count
// along.
void check_regions(const Kernel&, const Call&);

// The image of each region, where nothing can be raised: such a region is none. Empty where all
// are as they should be.
std::vector<int32_t> regions_that_fit(const Kernel&, const Call&);

// Which of the inputs is so named.
std::size_t input_named(const Kernel&, std::string_view name);

// (3, 4) as words.
std::string shape_in_words(const Array&);

}  // namespace roipool
