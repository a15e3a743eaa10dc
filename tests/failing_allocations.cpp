// Memory that runs out where a test says: loaded before the core, whose allocations come here.
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

std::atomic<long> before_failure{-1}, held{0};

// Whether the caller is the core, and this its allocation that is to fail.
bool fails(const void* caller) {
  Dl_info from;
  if (!dladdr(caller, &from) || !std::strstr(from.dli_fname, "roipool/_core")) return false;
  return before_failure >= 0 && before_failure-- == 0;
}

void* take(std::size_t bytes, std::size_t alignment, const void* caller) {
  const std::size_t whole = (bytes + alignment) / alignment * alignment;
  void* const memory = fails(caller) ? nullptr : std::aligned_alloc(alignment, whole);
  if (!memory) throw std::bad_alloc();
  ++held;
  return memory;
}

void give_back(void* memory) {
  if (memory) --held;
  std::free(memory);
}

}  // namespace

#define CALLER __builtin_return_address(0)

void* operator new(std::size_t bytes) { return take(bytes, 16, CALLER); }
void* operator new[](std::size_t bytes) { return take(bytes, 16, CALLER); }
void* operator new(std::size_t bytes, std::align_val_t a) {
  return take(bytes, std::size_t(a), CALLER);
}
void operator delete(void* memory) noexcept { give_back(memory); }
void operator delete[](void* memory) noexcept { give_back(memory); }
void operator delete(void* memory, std::size_t) noexcept { give_back(memory); }
void operator delete[](void* memory, std::size_t) noexcept { give_back(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { give_back(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { give_back(memory); }

extern "C" {

void* mmap(void* at, std::size_t bytes, int access, int flags, int file, off_t offset) noexcept {
  if (fails(CALLER)) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return reinterpret_cast<void*>(syscall(SYS_mmap, at, bytes, access, flags, file, offset));
}

// The allocation of the core that comes after so many others fails, once.
void fail_after(long others) { before_failure = others; }

// Whether it has not come yet.
bool still_to_fail() { return before_failure >= 0; }

// How many pieces of memory are held, of all that C++ took.
long pieces_held() { return held; }

}  // extern "C"
