// The instruction sets built in, best last, and the choice among them.
#pragma once

#include <string>
#include <vector>

#include "kernels.h"

namespace roipool {

std::vector<const Isa*> isas_here();  // those built in that this machine runs, best last

// The best, or the one that ROIPOOL_ISA names; throws std::runtime_error when it can't be had.
const Isa& chosen_isa();

}  // namespace roipool
