#include "workspace.h"

#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace roipool {

constexpr std::size_t kHugePage = 2 << 20;
constexpr std::size_t kMostKept = 32 << 20;

struct Workspace::Memory {
  void* start;
  std::size_t size;

  explicit Memory(std::size_t bytes) {
    const std::size_t unit = bytes >= 2 * kHugePage ? kHugePage : 64;
    size = (bytes + unit - 1) / unit * unit;
    start = std::aligned_alloc(unit, size);
    if (!start) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    if (unit == kHugePage) madvise(start, size, MADV_HUGEPAGE);
#endif
  }
  ~Memory() { std::free(start); }

  static std::atomic<Memory*> kept;
};

std::atomic<Workspace::Memory*> Workspace::Memory::kept{nullptr};

Workspace::Workspace(int64_t bytes) {
  if (bytes == 0) return;
  memory_ = Memory::kept.exchange(nullptr);
  if (memory_ && memory_->size >= std::size_t(bytes)) return;
  delete memory_;
  memory_ = nullptr;
  memory_ = new Memory(std::size_t(bytes));
}

Workspace::~Workspace() {
  if (memory_ && memory_->size <= kMostKept) memory_ = Memory::kept.exchange(memory_);
  delete memory_;
}

void* Workspace::at(int64_t byte) const {
  return memory_ ? static_cast<char*>(memory_->start) + byte : nullptr;
}

}  // namespace roipool
