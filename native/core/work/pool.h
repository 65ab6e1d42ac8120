// Threads for the engine. One pool per environment; libuv's threads are not used.
#pragma once
#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "status.h"

namespace mg::work {

// Cancels long work and reports its progress. `cancelled` is polled once per batch and thread; `progress` is called from worker threads,
// one at a time, with the plaintext bytes done so far.
struct Control {
  std::atomic<bool> cancelled{false};
  unsigned threads = 0;  // 0: as many as the pool has
  std::function<void(uint64_t done)> progress;
};

// Adds up the progress of several threads for Control::progress.
class Progress {
 public:
  explicit Progress(const Control& control) : control_(control) {}
  void add(uint64_t bytes) {
    if (!control_.progress) return;
    std::lock_guard<std::mutex> lock(mutex_);
    done_ += bytes;
    control_.progress(done_);
  }

 private:
  const Control& control_;
  std::mutex mutex_;
  uint64_t done_ = 0;
};

unsigned available_threads();  // min(CPU affinity, cgroup cpu.max v1/v2), at least 1

// CPUs that the cgroups of this process allow, rounded up; 0 where nothing limits them. Reads <root>/proc/self/cgroup and
// <root>/sys/fs/cgroup.
unsigned cgroup_threads(const std::string& root);

class Pool {
 public:
  // Where the system grants fewer threads, the pool has fewer; with none, all work is done by its callers.
  explicit Pool(unsigned threads = available_threads()) : Pool(threads, threads) {}
  // Begins with `threads` and gets one more, up to `most`, whenever a job is submitted and no thread is idle: for jobs that wait for
  // something outside of this process.
  Pool(unsigned threads, unsigned most);
  ~Pool();  // finishes what runs, drops nothing that was submitted
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  unsigned size() const;
  // `after` runs on the same thread when that is idle again: a job that is submitted because of it
  // needs no further thread.
  void submit(std::function<void()> work, std::function<void()> after = nullptr);

  // Runs task(0 … count-1), in rising order of start, on the calling thread and up to `threads - 1` idle pool threads;
  // the caller takes part, so it never waits for a busy pool. Stops handing out tasks after the first failure or once
  // cancelled; returns that failure (the one with the lowest index), or ABORT_ERR if a task was withheld. A thread's
  // stack below a task is wiped after its last task (cipher code leaves copies there).
  Status parallel(uint64_t count, const Control& control, const std::function<Status(uint64_t index)>& task);

 private:
  static void* entry(void* self);
  void run();
  void add(unsigned count);
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  struct Submitted {
    std::function<void()> work, after;
  };
  std::deque<Submitted> jobs_;
  std::vector<pthread_t> threads_;
  const unsigned most_;
  size_t idle_ = 0;
  bool stopping_ = false;
};

}  // namespace mg::work
