#include "work/pool.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>
#ifdef __linux__
#include <sched.h>
#endif

namespace mg::work {

namespace {

constexpr size_t kStack = size_t(1) << 20;  // some C libraries give threads as little as 128 KiB
constexpr size_t kWiped = 32768;

#if defined(__GNUC__)
__attribute__((noinline))
#endif
void wipe_stack_below() {
  uint64_t area[kWiped / sizeof(uint64_t)];
  volatile uint64_t* word = area;
  for (size_t i = 0; i < kWiped / sizeof(uint64_t); i++) word[i] = 0;
}

std::string read_text(const std::string& path) {
  std::string text;
  FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return text;
  char buffer[4096];
  size_t n;
  while (text.size() < 65536 && (n = std::fread(buffer, 1, sizeof buffer, file)) > 0) text.append(buffer, n);
  std::fclose(file);
  return text;
}

// One integer from `text` at `at`, past blanks; false where there is none ("max", "-1", nothing).
bool read_number(const std::string& text, size_t& at, uint64_t* out) {
  while (at < text.size() && (text[at] == ' ' || text[at] == '\t')) at++;
  size_t start = at;
  uint64_t value = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; at++) {
    if (value > UINT64_MAX / 10 - 1) return false;
    value = value * 10 + uint64_t(text[at] - '0');
  }
  *out = value;
  return at > start;
}

void lower_to(unsigned& limit, uint64_t quota, uint64_t period) {
  if (period == 0) return;
  uint64_t cpus = std::min<uint64_t>(std::max<uint64_t>((quota + period - 1) / period, 1), 65536);
  if (limit == 0 || cpus < limit) limit = unsigned(cpus);
}

void limit_v2(const std::string& folder, unsigned& limit) {
  std::string text = read_text(folder + "/cpu.max");
  size_t at = 0;
  uint64_t quota, period;
  if (read_number(text, at, &quota) && read_number(text, at, &period)) lower_to(limit, quota, period);
}

void limit_v1(const std::string& folder, unsigned& limit) {
  std::string quota_text = read_text(folder + "/cpu.cfs_quota_us"), period_text = read_text(folder + "/cpu.cfs_period_us");
  size_t quota_at = 0, period_at = 0;
  uint64_t quota, period;
  if (read_number(quota_text, quota_at, &quota) && read_number(period_text, period_at, &period)) lower_to(limit, quota, period);
}

// A limit of any ancestor holds too. A container may see the host's path here but only its own folders below the mount:
// folders that are missing are passed over.
template <class Limit>
void walk_up(const std::string& mount, std::string path, unsigned& limit, Limit&& limit_of) {
  if (path.find("/..") != std::string::npos) path.clear();
  while (!path.empty() && path != "/") {
    limit_of(mount + path, limit);
    path.erase(path.rfind('/'));
  }
  limit_of(mount, limit);
}

unsigned affinity_threads() {
#ifdef __linux__
  for (int cpus = 1024; cpus <= (1 << 16); cpus *= 4) {
    cpu_set_t* set = CPU_ALLOC(cpus);
    if (set == nullptr) break;
    size_t size = CPU_ALLOC_SIZE(cpus);
    CPU_ZERO_S(size, set);
    int n = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (n > 0) return unsigned(n);
  }
#endif
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? unsigned(online) : 1;
}

}  // namespace

unsigned cgroup_threads(const std::string& root) {
  const std::string mount = root + "/sys/fs/cgroup", groups = read_text(root + "/proc/self/cgroup");
  unsigned limit = 0;
  for (size_t at = 0; at < groups.size();) {
    size_t end = std::min(groups.find('\n', at), groups.size());
    std::string line = groups.substr(at, end - at);
    at = end + 1;
    size_t first = line.find(':'), second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::string controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    if (!path.empty() && path[0] != '/') continue;
    if (controllers.empty()) walk_up(mount, path, limit, limit_v2);
    // v1: the folder is named after the whole list, usually with a link for each of its controllers.
    if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
      walk_up(mount + "/" + controllers, path, limit, limit_v1);
      if (controllers != "cpu") walk_up(mount + "/cpu", path, limit, limit_v1);
    }
  }
  return limit;
}

unsigned available_threads() {
  unsigned threads = affinity_threads(), limit = cgroup_threads("");
  return std::max(1u, limit == 0 ? threads : std::min(threads, limit));
}

Pool::Pool(unsigned threads, unsigned most) : most_(most) { add(threads); }

unsigned Pool::size() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return unsigned(threads_.size());
}

// Before any job is submitted, or under the mutex.
void Pool::add(unsigned count) {
  threads_.reserve(threads_.size() + count);
  // Signals stay with the threads that the program made for itself; those that a fault raises stay deliverable.
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
    job.work();
    job.work = nullptr;
    wipe_stack_below();
    {
      std::lock_guard<std::mutex> lock(mutex_);
      idle_++;
    }
    if (job.after) job.after();
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
  work();
  wipe_stack_below();
  if (after) after();
}

namespace {

// Shared with helper jobs, which may run long after parallel() returned: `task` and `control` are the caller's, so a helper
// touches them only while it is counted in `active`, and none enters once the gate is closed.
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

  // The standard library's allocations may throw; a helper thread has no caller to catch that.
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
    wipe_stack_below();
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
  auto round = std::make_shared<Round>(count, control, task);
  uint64_t threads = control.threads == 0 ? size() : control.threads;
  uint64_t helpers = std::min<uint64_t>({threads == 0 ? 0 : threads - 1, size(), count == 0 ? 0 : count - 1});
  try {
    for (uint64_t i = 0; i < helpers; i++) submit([round] { round->help(); });
  } catch (const std::exception&) {
    // Fewer threads help. Jobs that were submitted refer to the caller's task, so the round goes on to its end.
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
