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

  // Whole lines wait for their turn: a line written in parts is first read from memory. The part of
  // a line in front of them is written at once, that behind them with the last.
  ROIPOOL_INLINE void take(const void* source, void* target, int64_t bytes) {
    const char* const from = static_cast<const char*>(source);
    char* const to = static_cast<char*>(target);
    int64_t head = -reinterpret_cast<intptr_t>(to) & (kLine - 1);
    if (head > bytes) head = bytes;
    const int64_t lines = (bytes - head) / kLine;
    if (head) __builtin_memcpy(to, from, std::size_t(head));
    const Stretch rest{from + head, to + head, lines, bytes - head - lines * kLine};
    lines ? void(*end_++ = rest) : end(rest);
  }

  ROIPOOL_INLINE void write(int64_t lines) {
    while (lines > 0 && next_ != end_) {
      Stretch& next = *next_;
      const int64_t count = next.lines < lines ? next.lines : lines;
      copy(next, count);
      next.lines -= count;
      if (next.lines == 0) end(*next_++);
      lines -= count;
    }
  }

  ROIPOOL_INLINE void finish() {
    for (; next_ != end_; ++next_) {
      copy(*next_, next_->lines);
      end(*next_);
    }
    next_ = end_ = waiting_;
  }

 private:
  struct Stretch {
    const char* from;
    char* to;
    int64_t lines, tail;  // and then so many bytes
  };

  ROIPOOL_INLINE void copy(Stretch& stretch, int64_t lines) const {
    const char* const from = stretch.from;
    char* const to = stretch.to;
    const int64_t bytes = lines * kLine;
    if (around_caches_)
      for (int64_t i = 0; i < bytes; i += kBlockBytes)
        stream(to + i, load(reinterpret_cast<const int64_t*>(from + i)));
    else
      for (int64_t i = 0; i < bytes; i += kBlockBytes)
        store(reinterpret_cast<int64_t*>(to + i), load(reinterpret_cast<const int64_t*>(from + i)));
    stretch.from += bytes;
    stretch.to += bytes;
  }

  static ROIPOOL_INLINE void end(const Stretch& stretch) {
    if (stretch.tail) __builtin_memcpy(stretch.to, stretch.from, std::size_t(stretch.tail));
  }

  const bool around_caches_;
  Stretch waiting_[kMost];
  Stretch* next_ = waiting_;
  Stretch* end_ = waiting_;
};

}  // namespace roipool::ROIPOOL_ISA
