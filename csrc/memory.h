// Memory for results and for work, aligned to cache lines and on huge pages where it is large.
// What is given back is kept for the next call, up to a limit: a loop would otherwise spend as
// long in the system's clearing of fresh pages as in its own work. Meanwhile the system may take
// the pages, should it run short.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <new>

namespace roipool {

inline constexpr std::size_t kMostKept = 256 << 20;

// Says for what, and how much was asked for.
class OutOfMemory : public std::bad_alloc {
 public:
  OutOfMemory(const char* purpose, double bytes) noexcept {
    const double mib = bytes / (1 << 20);
    std::snprintf(text_, sizeof text_, "no memory for %s: %s%.1f MiB were asked for; %s", purpose,
                  mib < 0.1 ? "less than " : "", std::max(mib, 0.1),
                  "fewer regions or channels at a time need less");
  }
  const char* what() const noexcept override { return text_; }

 private:
  char text_[160];
};

struct Memory {
  void* start;
  std::size_t size;
  Memory* older;  // of those that are kept
};

// At least so many bytes; throws OutOfMemory.
Memory* take_memory(std::size_t bytes, const char* purpose);
void give_back(Memory*) noexcept;

// For fresh memory of any origin: the whole huge pages in it then cost one fault each.
void ask_for_huge_pages(void* start, std::size_t bytes) noexcept;

// The product of sizes; throws OutOfMemory where it is more than there can be.
template <class... Size>
int64_t bytes_of(Size... sizes) {
  int64_t product = 1;
  if ((__builtin_mul_overflow(product, int64_t(sizes), &product) || ...))
    throw OutOfMemory("a call to work with", (1.0 * ... * double(sizes)));
  return product;
}

// Memory for one call.
class Workspace {
 public:
  explicit Workspace(int64_t bytes)
      : memory_(bytes > 0 ? take_memory(std::size_t(bytes), "a call to work with") : nullptr) {}
  ~Workspace() {
    if (memory_) give_back(memory_);
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  void* at(int64_t byte) const {
    return memory_ ? static_cast<char*>(memory_->start) + byte : nullptr;
  }

 private:
  Memory* memory_;
};

// A list for one call, of what needs no constructor.
template <class T>
class List {
 public:
  int64_t size() const { return size_; }
  T* begin() { return start_; }
  T* end() { return start_ + size_; }
  void add(const T& value) {
    if (size_ == room_) grow();
    start_[size_++] = value;
  }
  void cut(T* end) { size_ = end - start_; }

 private:
  static constexpr int64_t kLeast = 1 << 12;  // bytes
  void grow() {
    const int64_t room = room_ ? 2 * room_ : kLeast / int64_t(sizeof(T));
    auto memory = std::make_unique<Workspace>(bytes_of(room, sizeof(T)));
    T* const start = static_cast<T*>(memory->at(0));
    std::copy_n(start_, size_, start);
    memory_ = std::move(memory), start_ = start, room_ = room;
  }

  std::unique_ptr<Workspace> memory_;
  T* start_ = nullptr;
  int64_t size_ = 0, room_ = 0;
};

}  // namespace roipool
