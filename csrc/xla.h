// Handlers of XLA's foreign function interface, under the names that the JAX door calls them by.
#pragma once

#include <utility>
#include <vector>

namespace roipool {

std::vector<std::pair<const char*, void*>> xla_handlers();

}  // namespace roipool
