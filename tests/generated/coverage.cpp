// How often each basic block of the core was begun, for a fuzzer: the compiler has each call this.
// Blocks share a counter now and then.
#include <cstddef>
#include <cstdint>

extern "C" {

#define ROIPOOL_SEEN __attribute__((visibility("default")))

constexpr int kBits = 18;
ROIPOOL_SEEN std::uint8_t roipool_counters[std::size_t(1) << kBits];
ROIPOOL_SEEN extern const std::size_t roipool_counters_size = sizeof roipool_counters;

void __sanitizer_cov_trace_pc() {
  const auto place = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
  ++roipool_counters[std::uint64_t(place) * 0x9E3779B97F4A7C15u >> (64 - kBits)];
}

}  // extern "C"
