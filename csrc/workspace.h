// Memory for one call, aligned to cache lines and on huge pages where it is large. The last one
// given back is kept for the next call: fresh pages cost more than what is done in them.
#pragma once

#include <cstdint>

namespace roipool {

class Workspace {
 public:
  explicit Workspace(int64_t bytes);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  void* at(int64_t byte) const;

 private:
  struct Memory;
  Memory* memory_ = nullptr;
};

}  // namespace roipool
