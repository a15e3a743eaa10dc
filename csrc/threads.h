// A pool of threads that fill disjoint memory. No result depends on how many there are.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

namespace roipool {

// The number used where a call names none: ROIPOOL_NUM_THREADS, else the processors this process
// may run on.
inline constexpr int kMostThreads = 1024;
int default_threads();
void set_default_threads(int count);

// A thread's first error takes memory for what it is kept in, and the process aborts where there is
// none left: so this is called while there is.
void prepare_for_errors();

// While it lives, this thread asks so between the tasks that it does itself; what that throws ends
// the call as a task's error does. What is asked may make calls of its own.
class AskedBetweenTasks {
 public:
  explicit AskedBetweenTasks(std::function<void()> ask);
  ~AskedBetweenTasks();
  AskedBetweenTasks(const AskedBetweenTasks&) = delete;
  AskedBetweenTasks& operator=(const AskedBetweenTasks&) = delete;

 private:
  const std::function<void()> ask_;
  const std::function<void()>* const before_;
};

// Throws where the call that this thread works for is to end.
void end_if_told();

// What is long for one task: body(first, count) for runs of [0, count), between which it may end.
template <class Body>
void in_runs(int64_t count, const Body& body) {
  constexpr int64_t kMost = 64;
  for (int64_t first = 0; first < count; first += kMost) {
    end_if_told();
    body(first, std::min(kMost, count - first));
  }
}

// Calls task(index, worker) for every index in [0, count), on up to `threads` threads of which
// the caller is one; worker is below `threads` and `count`. Throws what a task threw, the first of
// several, once none is running. While another thread holds the pool, and in nested calls, the
// caller does all the work itself, so that concurrent callers never wait.
void parallel_for(int threads, int64_t count,
                  const std::function<void(int64_t index, int worker)>& task);

}  // namespace roipool
