#include "threads.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace roipool {
namespace {

using Task = std::function<void(int64_t, int)>;

// What a caller asks, and what a worker looks at.
thread_local const std::function<void()>* t_ask = nullptr;
thread_local const std::atomic<bool>* t_failed = nullptr;

struct Ended {};  // of a worker, because another thread's task has thrown

int initial_threads() {
  if (const char* text = std::getenv("ROIPOOL_NUM_THREADS"); text && *text) {
    int count = 0;
    const char* const end = text + std::strlen(text);
    const auto [stop, error] = std::from_chars(text, end, count);
    if (error != std::errc() || stop != end || count < 1 || count > kMostThreads)
      throw std::runtime_error("ROIPOOL_NUM_THREADS is '" + std::string(text) +
                               "'; expected a whole number from 1 to " +
                               std::to_string(kMostThreads));
    return count;
  }
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

class Pool {
 public:
  // Held by the one caller that uses the workers.
  class Turn {
   public:
    explicit Turn(Pool& pool) : pool_(pool), mine_(!pool.busy_.test_and_set()) {}
    ~Turn() {
      if (mine_) pool_.busy_.clear();
    }
    explicit operator bool() const { return mine_; }

   private:
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    Pool& pool_;
    const bool mine_;
  };

  // The first error of a task is thrown when all workers have come to rest; no further task begins.
  void run(int threads, int64_t count, const Task& task) {
    threads = 1 + grow(threads - 1);
    {
      std::lock_guard lock(mutex_);
      task_ = &task;
      error_ = nullptr;
      failed_ = false;
      count_ = count;
      next_.store(0, std::memory_order_relaxed);
      wanted_ = threads - 1;
      pending_ = threads - 1;
      ++round_;
    }
    wake_.notify_all();
    drain(0);
    if (!spin([&] { return pending_ == 0; })) {
      std::unique_lock lock(mutex_);
      done_.wait(lock, [&] { return pending_ == 0; });
    }
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  // Returns how many of the wanted workers there are: the system may refuse to start more, or have
  // no memory for them.
  int grow(int wanted) {
    try {
      while (int(workers_.size()) < wanted) {
        if (!has_room()) break;
        const int worker = int(workers_.size()) + 1;
        workers_.emplace_back([this, worker] { serve(worker); });
        workers_.back().detach();  // they sleep until the process ends
      }
    } catch (const std::exception&) {
    }
    return std::min(wanted, int(workers_.size()));
  }

  // For a thread's stack, and what it takes before it can fail.
  static bool has_room() {
    void* const probe =
        mmap(nullptr, kRoom, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (probe == MAP_FAILED) return false;
    munmap(probe, kRoom);
    return true;
  }

  void serve(int worker) {
    prepare_for_errors();
    t_failed = &failed_;
    uint64_t seen = 0;
    for (;;) {
      spin([&] { return round_ != seen; });
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return round_ != seen; });
        seen = round_;
        if (worker > wanted_) continue;
      }
      drain(worker);
      std::lock_guard lock(mutex_);
      if (--pending_ == 0) done_.notify_one();
    }
  }

  // The phases of a call follow each other closely, and a thread that sleeps takes longer to wake
  // than many a phase lasts: so look around for a little while first.
  template <class Ready>
  static bool spin(const Ready& ready) {
    for (int i = 0; i < kSpins; ++i) {
      if (ready()) return true;
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }
    return false;
  }

  void drain(int worker) {
    for (;;) {
      const int64_t index = next_.fetch_add(1, std::memory_order_relaxed);
      if (index >= count_) return;
      try {
        end_if_told();
        (*task_)(index, worker);
      } catch (...) {
        std::lock_guard lock(mutex_);
        if (!error_) error_ = std::current_exception();
        failed_ = true;
        next_.store(count_, std::memory_order_relaxed);
      }
    }
  }

  static constexpr int kSpins = 4000;
  static constexpr std::size_t kRoom = 32 << 20;

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::vector<std::thread> workers_;
  std::atomic_flag busy_;
  const Task* task_ = nullptr;
  std::exception_ptr error_;
  std::atomic<bool> failed_{false};
  std::atomic<int64_t> next_{0};
  int64_t count_ = 0;
  int wanted_ = 0;
  std::atomic<int> pending_{0};
  std::atomic<uint64_t> round_{0};
};

std::atomic<int> g_default{0};

// A child of fork has none of its parent's threads, so it starts a pool of its own; the old one
// is left where it lies, its locks being in no known state.
std::atomic<Pool*> g_pool{nullptr};

Pool& pool() {
  static const int registered = pthread_atfork(nullptr, nullptr, [] { g_pool = nullptr; });
  (void)registered;
  Pool* current = g_pool.load();
  if (!current) {
    auto* fresh = new Pool;
    if (g_pool.compare_exchange_strong(current, fresh)) return *fresh;
    delete fresh;
  }
  return *current;
}

}  // namespace

int default_threads() {
  int count = g_default.load();
  if (count == 0) {
    count = initial_threads();
    g_default = count;
  }
  return count;
}

void set_default_threads(int count) {
  if (count < 1 || count > kMostThreads)
    throw std::invalid_argument("threads: expected 1 to " + std::to_string(kMostThreads) +
                                ", not " + std::to_string(count));
  g_default = count;
}

void prepare_for_errors() {
  [[maybe_unused]] const volatile int asked = std::uncaught_exceptions();
}

void end_if_told() {
  if (t_ask) (*t_ask)();
  if (t_failed && *t_failed) throw Ended();
}

AskedBetweenTasks::AskedBetweenTasks(std::function<void()> ask)
    : ask_(std::move(ask)), before_(std::exchange(t_ask, &ask_)) {}

AskedBetweenTasks::~AskedBetweenTasks() { t_ask = before_; }

void parallel_for(int threads, int64_t count, const Task& task) {
  threads = int(std::min<int64_t>(threads, count));
  if (threads > 1) {
    Pool& shared = pool();
    if (const Pool::Turn turn(shared); turn) return shared.run(threads, count, task);
  }
  for (int64_t index = 0; index < count; ++index) {
    end_if_told();
    task(index, 0);
  }
}

}  // namespace roipool
