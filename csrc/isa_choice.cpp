#include <cstdlib>
#include <stdexcept>

#include "isa.h"

namespace roipool {

namespace baseline {
extern const Isa kIsa;
}
#ifdef ROIPOOL_X86
namespace avx2 {
extern const Isa kIsa;
}
namespace avx512 {
extern const Isa kIsa;
}
#endif

std::vector<const Isa*> isas_here() {
  std::vector<const Isa*> found;
  for (const Isa* isa : {
           &baseline::kIsa,
#ifdef ROIPOOL_X86
           &avx2::kIsa,
           &avx512::kIsa,
#endif
       })
    if (isa->runs_here()) found.push_back(isa);
  return found;
}

const Isa& chosen_isa() {
  static const Isa& chosen = []() -> const Isa& {
    const auto found = isas_here();
    const char* wanted = std::getenv("ROIPOOL_ISA");
    if (!wanted || !*wanted) return *found.back();
    std::string names;
    for (const Isa* isa : found) {
      if (std::string(isa->name) == wanted) return *isa;
      names += (names.empty() ? "" : ", ") + std::string(isa->name);
    }
    throw std::runtime_error("ROIPOOL_ISA is '" + std::string(wanted) +
                             "', but this machine runs " + names +
                             "; unset it to take the last of them");
  }();
  return chosen;
}

std::vector<MaxKernels> max_kernels_by_width(const Isa& widest, DType dtype, bool argmax,
                                             bool wide) {
  std::vector<MaxKernels> kernels;
  for (const Isa* isa : isas_here()) {
    kernels.insert(kernels.begin(), isa->max(dtype, argmax, wide));
    if (isa == &widest) break;
  }
  return kernels;
}

}  // namespace roipool
