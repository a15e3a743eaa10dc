// Memory for one call, aligned to cache lines and on huge pages where it is large.
#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <new>

namespace roipool {

class Workspace {
 public:
  explicit Workspace(int64_t bytes) {
    if (bytes == 0) return;
    const std::size_t unit = bytes >= 2 * kHugePage ? kHugePage : 64;
    const std::size_t size = (std::size_t(bytes) + unit - 1) / unit * unit;
    memory_ = std::aligned_alloc(unit, size);
    if (!memory_) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    if (unit == kHugePage) madvise(memory_, size, MADV_HUGEPAGE);
#endif
  }
  ~Workspace() { std::free(memory_); }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  void* at(int64_t byte) const { return static_cast<char*>(memory_) + byte; }

 private:
  static constexpr int64_t kHugePage = 2 << 20;
  void* memory_ = nullptr;
};

}  // namespace roipool
