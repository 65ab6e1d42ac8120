// Threads for the engine. Each JavaScript environment has pools of its own; libuv's threads are not used.
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
#include "work/available_threads.h"

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

class Pool {
 public:
  // Has fewer threads where the system grants no more. Without any, all work runs on its callers' threads.
  explicit Pool(unsigned threads = available_threads()) : Pool(threads, threads) {}
  // Begins with `threads`, and adds one, up to `most`, whenever a job is submitted and no thread is idle: for jobs that wait for something
  // outside of this process.
  Pool(unsigned threads, unsigned most);
  ~Pool();  // runs all submitted jobs to their end
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  unsigned size() const;
  // `after` runs on the same thread once that counts as idle: a job that `after` causes to be submitted needs no further thread. Both handle
  // their errors themselves: an exception that leaves one of them is dropped.
  void submit(std::function<void()> work, std::function<void()> after = nullptr);

  // Runs task(0 … count-1), started in rising order, on the calling thread and up to `threads - 1` idle threads of the pool. The caller takes
  // part, so it never waits for a busy pool. No task starts after a failure or once cancelled. Returns the failure with the lowest index, an
  // exception as its Status; or ABORT_ERR if tasks were left out. Each thread wipes its stack after its last task: cipher code leaves
  // copies there.
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
