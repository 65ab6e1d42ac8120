#include "work/pool.h"

#include <algorithm>
#include <csignal>
#include <memory>

#include "memory/wipe_stack.h"

namespace mg::work {
namespace {

constexpr size_t kStack = size_t(1) << 20;  // some C libraries give threads as little as 128 KiB

// An exception that left a thread would end the process. A job that has something to report catches its own.
void run_alone(const std::function<void()>& job) noexcept {
  try {
    job();
  } catch (const std::exception&) {
  }
}

}  // namespace

Pool::Pool(unsigned threads, unsigned most) : most_(most) { add(threads); }

unsigned Pool::size() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return unsigned(threads_.size());
}

// In the constructor, or under the mutex.
void Pool::add(unsigned count) {
  threads_.reserve(threads_.size() + count);
  // Signals are for the program's own threads. Those that a fault of this thread raises cannot go elsewhere.
  sigset_t blocked, before;
  sigfillset(&blocked);
  for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) sigdelset(&blocked, fault);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStack);
  for (unsigned i = 0; i < count; i++) {
    pthread_t thread;
    if (pthread_create(&thread, &attributes, entry, this) != 0) break;
    threads_.push_back(thread);
    idle_++;
  }
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Pool::~Pool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (pthread_t thread : threads_) pthread_join(thread, nullptr);
}

void* Pool::entry(void* self) {
#if defined(__linux__)
  pthread_setname_np(pthread_self(), "mg-engine");
#elif defined(__APPLE__)
  pthread_setname_np("mg-engine");
#endif
  static_cast<Pool*>(self)->run();
  return nullptr;
}

void Pool::run() {
  for (;;) {
    Submitted job;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      idle_--;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    run_alone(job.work);
    job.work = nullptr;
    wipe_stack();
    {
      std::lock_guard<std::mutex> lock(mutex_);
      idle_++;
    }
    if (job.after) run_alone(job.after);
  }
}

void Pool::submit(std::function<void()> work, std::function<void()> after) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    // Jobs that were submitted before still need the idle threads that have not woken up yet.
    if (threads_.size() < most_ && jobs_.size() >= idle_) add(1);
    if (!threads_.empty()) {
      jobs_.push_back({std::move(work), std::move(after)});
      wake_.notify_one();
      return;
    }
  }
  run_alone(work);
  wipe_stack();
  if (after) run_alone(after);
}

namespace {

// Shared with helper jobs, which may start long after parallel() has returned. `task` and `control` belong to the caller: a helper uses them
// only while it is counted in `active`, and none is counted once the round is closed.
struct Round {
  Round(uint64_t n, const Control& c, const std::function<Status(uint64_t)>& t) : count(n), control(c), task(t) {}
  const uint64_t count;
  const Control& control;
  const std::function<Status(uint64_t)>& task;
  std::mutex mutex;
  std::condition_variable left;
  uint64_t next = 0, failed_at = 0;
  unsigned active = 0;
  bool closed = false, aborted = false;
  Status failure;

  bool take(uint64_t* index) {
    std::lock_guard<std::mutex> lock(mutex);
    if (next == count || aborted || !failure.ok()) return false;
    if (control.cancelled.load(std::memory_order_relaxed)) {
      aborted = true;
      return false;
    }
    *index = next++;
    return true;
  }

  // Allocations of the standard library throw, and a helper thread has no caller that catches it.
  Status run_task(uint64_t index) {
    try {
      return task(index);
    } catch (const std::exception& error) {
      return Status::from_exception(error);
    }
  }

  void work() {
    for (uint64_t index; take(&index);) {
      Status status = run_task(index);
      if (status.ok()) continue;
      std::lock_guard<std::mutex> lock(mutex);
      if (failure.ok() || index < failed_at) {
        failure = std::move(status);
        failed_at = index;
      }
    }
    wipe_stack();
  }

  void help() {
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (closed) return;
      active++;
    }
    work();
    std::lock_guard<std::mutex> lock(mutex);
    if (--active == 0) left.notify_all();
  }
};

}  // namespace

Status Pool::parallel(uint64_t count, const Control& control, const std::function<Status(uint64_t index)>& task) {
  std::shared_ptr<Round> round;
  try {
    round = std::make_shared<Round>(count, control, task);
  } catch (const std::exception& error) {
    return Status::from_exception(error);
  }
  uint64_t threads = control.threads == 0 ? size() : control.threads;
  uint64_t helpers = std::min<uint64_t>({threads == 0 ? 0 : threads - 1, size(), count == 0 ? 0 : count - 1});
  try {
    for (uint64_t i = 0; i < helpers; i++) submit([round] { round->help(); });
  } catch (const std::exception&) {
    // Fewer threads help. The jobs that were submitted refer to the caller's task: the round must be closed below.
  }
  round->work();
  std::unique_lock<std::mutex> lock(round->mutex);
  round->closed = true;
  round->left.wait(lock, [&] { return round->active == 0; });
  if (!round->failure.ok()) return round->failure;
  if (round->aborted) return Status(Code::ABORT_ERR, "the operation was cancelled");
  return Status();
}

}  // namespace mg::work
