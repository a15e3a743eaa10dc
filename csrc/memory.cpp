#include "memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>

namespace roipool {
namespace {

constexpr std::size_t kHugePage = 2 << 20, kPage = 4096, kLine = 64;

// From so many bytes on memory is the system's own: what is freed of the C library's it may keep,
// beside all that is kept here.
constexpr std::size_t kMapped = 128 << 10;

struct Kept {
  std::mutex mutex;
  Memory* newest = nullptr;
};

Kept& kept() {
  static Kept* const instance = new Kept;  // outlives every result
  return *instance;
}

// Aligned to its unit; null where there is none.
void* mapped(std::size_t size, std::size_t unit) {
  const std::size_t more = unit > kPage ? unit : 0;
  void* const all =
      mmap(nullptr, size + more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED) return nullptr;
  if (!more) return all;
  char* const first = static_cast<char*>(all);
  const std::size_t before = -std::uintptr_t(first) & (unit - 1);
  if (before) munmap(first, before);
  if (before < more) munmap(first + before + size, more - before);
  return first + before;
}

// Of memory of so many bytes; what is rounded up to units has the same, or one that is mapped too.
std::size_t unit_of(std::size_t bytes) {
  return bytes >= 2 * kHugePage ? kHugePage : bytes > kMapped - kLine ? kPage : kLine;
}

Memory* allocate(std::size_t bytes, const char* purpose) {
  if (bytes > PTRDIFF_MAX - 2 * kHugePage) throw OutOfMemory(purpose, double(bytes));
  const std::size_t unit = unit_of(bytes), size = (bytes + unit - 1) / unit * unit;
  auto memory = std::make_unique<Memory>(nullptr, size, nullptr);
  memory->start = unit == kLine ? std::aligned_alloc(unit, size) : mapped(size, unit);
  if (!memory->start) throw OutOfMemory(purpose, double(size));
  ask_for_huge_pages(memory->start, size);
  return memory.release();
}

void release(Memory* memory) {
  if (unit_of(memory->size) == kLine)
    std::free(memory->start);
  else
    munmap(memory->start, memory->size);
  delete memory;
}

}  // namespace

void ask_for_huge_pages([[maybe_unused]] void* start, [[maybe_unused]] std::size_t bytes) noexcept {
#ifdef MADV_HUGEPAGE
  char* const first = static_cast<char*>(start) + (-std::uintptr_t(start) & (kHugePage - 1));
  char* const end = static_cast<char*>(start) + bytes;
  if (end - first >= std::ptrdiff_t(kHugePage))
    madvise(first, std::size_t(end - first) / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
}

// The lock is only tried: in a child of fork it may stay locked for ever, and no caller waits.

Memory* take_memory(std::size_t bytes, const char* purpose) {
  Kept& store = kept();
  if (std::unique_lock lock(store.mutex, std::try_to_lock); lock.owns_lock()) {
    for (Memory** at = &store.newest; *at; at = &(*at)->older) {
      Memory* const memory = *at;
      if (memory->size < bytes || memory->size - bytes > std::max(bytes / 4, unit_of(bytes)))
        continue;
      *at = memory->older;
      return memory;
    }
  }
  return allocate(bytes, purpose);
}

void give_back(Memory* memory) noexcept {
  Kept& store = kept();
  std::unique_lock lock(store.mutex, std::try_to_lock);
  if (!lock.owns_lock() || memory->size > kMostKept) return release(memory);
#ifdef MADV_FREE
  if (memory->size >= 2 * kHugePage) madvise(memory->start, memory->size, MADV_FREE);
#endif
  memory->older = store.newest;
  store.newest = memory;
  Memory** at = &store.newest;
  for (std::size_t held = (*at)->size; (*at)->older; held += (*at)->size) {
    if (held + (*at)->older->size > kMostKept) break;
    at = &(*at)->older;
  }
  Memory* dropped = (*at)->older;  // the oldest, beyond the limit
  (*at)->older = nullptr;
  while (dropped) {
    Memory* const next = dropped->older;
    release(dropped);
    dropped = next;
  }
}

}  // namespace roipool
