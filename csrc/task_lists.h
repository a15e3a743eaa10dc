// Entries of all bins of regions in one list, found by tasks of a few regions each.
#pragma once

#include <vector>

#include "memory.h"

namespace roipool {

template <class Entry>
class TaskLists {
 public:
  // Of one task: all its bins' entries, and how many each bin has.
  struct Found {
    List<Entry> entries;
    List<int32_t> sizes;
    int64_t place = 0;  // of the first entry among all tasks'
    int64_t begin = 0;  // of the bin that is being found

    // The bin that has been found ends here.
    void end_bin() {
      check(entries.size());
      sizes.add(int32_t(entries.size() - begin));
      begin = entries.size();
    }

    // Where each bin's entries begin and end among all tasks', once these are joined.
    void put_ranges(int32_t* ranges) {
      int64_t at = place;
      for (const int32_t size : sizes) {
        *ranges++ = int32_t(at);
        *ranges++ = int32_t(at += size);
      }
    }
  };

  explicit TaskLists(int64_t tasks) : found_(tasks) {}

  Found& operator[](int64_t task) { return found_[task]; }

  // Places the tasks' entries behind each other, so many times each; returns how many there are.
  int64_t join(int64_t times) {
    int64_t before = 0;
    for (Found& found : found_) {
      found.place = before;
      before += found.entries.size() * times;
      check(before);
    }
    return before;
  }

 private:
  // Ranges count entries in 31 bits.
  static void check(int64_t entries) {
    if (entries > INT32_MAX)
      throw OutOfMemory("2^31 pixels or more of regions", double(entries) * sizeof(Entry));
  }

  std::vector<Found> found_;
};

}  // namespace roipool
