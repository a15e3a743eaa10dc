// Finished memory, written line by line.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lanes.h"

namespace roipool::ROIPOOL_ISA {

inline constexpr int64_t kLine = 64;  // bytes of a cache line

// Copies stretches of bytes to a result, a few lines whenever asked: while something else is
// computed, because a burst of stores would only wait for memory. What it copies from stays as it
// is until it has finished.
template <int64_t kMost>  // stretches at a time
class LineWriter {
 public:
  explicit LineWriter(bool around_caches) : around_caches_(around_caches) {}

  // Whole lines wait for their turn: a line written in parts is first read from memory. The parts
  // of lines at either end are written at once.
  ROIPOOL_INLINE void take(const void* source, void* target, int64_t bytes) {
    const char* const from = static_cast<const char*>(source);
    char* const to = static_cast<char*>(target);
    int64_t head = -reinterpret_cast<intptr_t>(to) & (kLine - 1);
    if (head > bytes) head = bytes;
    const int64_t lines = (bytes - head) / kLine, tail = head + lines * kLine;
    if (head) __builtin_memcpy(to, from, std::size_t(head));
    if (tail < bytes) __builtin_memcpy(to + tail, from + tail, std::size_t(bytes - tail));
    if (lines) *end_++ = {from + head, to + head, lines};
  }

  ROIPOOL_INLINE void write(int64_t lines) {
    while (lines > 0 && next_ != end_) {
      Stretch& next = *next_;
      const int64_t count = next.lines < lines ? next.lines : lines;
      copy(next.from, next.to, count * kLine);
      next = {next.from + count * kLine, next.to + count * kLine, next.lines - count};
      if (next.lines == 0) ++next_;
      lines -= count;
    }
  }

  ROIPOOL_INLINE void finish() {
    for (; next_ != end_; ++next_) copy(next_->from, next_->to, next_->lines * kLine);
    next_ = end_ = waiting_;
  }

 private:
  struct Stretch {
    const char* from;
    char* to;
    int64_t lines;
  };

  ROIPOOL_INLINE void copy(const char* from, char* to, int64_t bytes) const {
    if (around_caches_)
      for (int64_t i = 0; i < bytes; i += kBlockBytes)
        stream(to + i, load(reinterpret_cast<const int64_t*>(from + i)));
    else
      for (int64_t i = 0; i < bytes; i += kBlockBytes)
        store(reinterpret_cast<int64_t*>(to + i), load(reinterpret_cast<const int64_t*>(from + i)));
  }

  const bool around_caches_;
  Stretch waiting_[kMost];
  Stretch* next_ = waiting_;
  Stretch* end_ = waiting_;
};

}  // namespace roipool::ROIPOOL_ISA
