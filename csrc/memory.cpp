#include "memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

namespace roipool {
namespace {

constexpr std::size_t kHugePage = 2 << 20;

struct Kept {
  std::mutex mutex;
  std::vector<Memory*> blocks;  // the latest last
  std::size_t bytes = 0;
};

Kept& kept() {
  static Kept* const instance = new Kept;  // outlives every result
  return *instance;
}

Memory* allocate(std::size_t bytes) {
  const std::size_t unit = bytes >= 2 * kHugePage ? kHugePage : 64;
  const std::size_t size = (bytes + unit - 1) / unit * unit;
  void* start = std::aligned_alloc(unit, size);
  if (!start) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  if (unit == kHugePage) madvise(start, size, MADV_HUGEPAGE);
#endif
  return new Memory{start, size};
}

void release(Memory* memory) {
  std::free(memory->start);
  delete memory;
}

}  // namespace

// The lock is only tried: in a child of fork it may stay locked for ever, and no caller waits.

Memory* take_memory(std::size_t bytes) {
  Kept& store = kept();
  if (std::unique_lock lock(store.mutex, std::try_to_lock); lock.owns_lock()) {
    const auto fits = [&](const Memory* block) {
      return block->size >= bytes && block->size - bytes <= std::max(bytes / 4, kHugePage);
    };
    const auto found = std::find_if(store.blocks.rbegin(), store.blocks.rend(), fits);
    if (found != store.blocks.rend()) {
      Memory* const memory = *found;
      store.blocks.erase(std::next(found).base());
      store.bytes -= memory->size;
      return memory;
    }
  }
  return allocate(bytes);
}

void give_back(Memory* memory) {
  Kept& store = kept();
  std::vector<Memory*> dropped;
  if (std::unique_lock lock(store.mutex, std::try_to_lock);
      lock.owns_lock() && memory->size <= kMostKept) {
    store.blocks.push_back(memory);
    store.bytes += memory->size;
    while (store.bytes > kMostKept) {  // the oldest go first
      dropped.push_back(store.blocks.front());
      store.bytes -= store.blocks.front()->size;
      store.blocks.erase(store.blocks.begin());
    }
  } else {
    dropped.push_back(memory);
  }
  for (Memory* block : dropped) release(block);
}

}  // namespace roipool
