// State of one JavaScript environment (the main thread or a worker): its engine threads, its classes, its work in flight.
// Several environments load the addon at once, and each is torn down by itself; only process exit needs a list of them all.
#pragma once
#include <napi.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "memory/fd.h"
#include "status.h"
#include "work/pool.h"

namespace mg::addon {

// The state that a long call and its NativeControl share. One call at a time uses it.
class Work {
 public:
  Work() {
    control.progress = [this](uint64_t bytes) { done.store(std::max(done.load(), before + bytes)); };
  }
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  work::Control control;
  std::atomic<uint64_t> done{0};
  uint64_t before = 0;  // done by earlier calls of the same work, where it takes several
  bool in_use = false;  // JavaScript thread

  void cancel();
  // Called once, from the cancelling thread, at cancel() or at once if that was earlier. The id is for forget().
  uint64_t on_cancel(std::function<void()> callback);
  void forget(uint64_t id);

 private:
  std::mutex mutex_;
  uint64_t next_ = 1;
  std::list<std::pair<uint64_t, std::function<void()>>> callbacks_;
};

// One call in flight. Made and destroyed on the JavaScript thread.
struct Job {
  std::shared_ptr<Work> work;
  std::function<Status(work::Pool&)> compute;     // on an engine thread; touches no JavaScript
  std::function<Napi::Value(Napi::Env)> result;   // on the JavaScript thread, after compute succeeded
  std::function<Napi::Value(Napi::Env)> failure;  // optional, on the JavaScript thread: a better error, or empty
  std::function<void()> settled;                  // optional, on the JavaScript thread, in every case
  // The kind of wait in compute. The shared pool is for jobs that compute: one that waits there would hold up computing jobs,
  // among them those that it waits for.
  enum class Waits {
    no,
    script,   // JavaScript, which may itself wait for other jobs: a pool of its own
    file,     // the writer of a pipe, a lock, a slow file system: a thread of its own, of at most 256
    machine,  // a TPM, which serves one call at a time: threads for such jobs alone, as many as compute
  } waits = Waits::no;
};

class Environment {
 public:
  explicit Environment(Napi::Env env);
  ~Environment();
  static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

  // JavaScript thread.
  Napi::Promise run(Napi::Env env, Job job);
  // Any thread: runs `callback` on the JavaScript thread, or drops it when the environment is going away.
  using Callback = std::function<void(Napi::Env)>;
  bool post(Callback callback);

  Napi::FunctionReference key, control, sealer, opened, reader, model, memory_file, legacy_reader;
  std::map<uint64_t, std::shared_ptr<Fd>> locks;  // held until released, or until this environment ends
  uint64_t next_lock = 0;
  uint64_t max_array = uint64_t(1) << 32;  // bytes of the longest typed array; a longer one ends the process
  const void* constructing = nullptr;      // what construct() is making a handle for: scripts cannot call the constructors

 private:
  struct Running;
  static void call_js(napi_env env, napi_value, void* context, void* data);
  static void teardown(void* self);
  static void at_exit();
  void stop();
  Napi::Promise start(Napi::Env env, Job& job);
  bool post(std::unique_ptr<Callback> callback);
  static Status compute(Running& running, work::Pool& pool) noexcept;
  std::unique_ptr<Running> drop(Napi::Env env, Running& running);
  void finish(Napi::Env env, Running& running);
  work::Pool& pool_for(Running& running, const Job& job);

  napi_threadsafe_function channel_ = nullptr;
  const std::thread::id thread_ = std::this_thread::get_id();
  const pid_t process_ = getpid();
  std::unique_ptr<work::Pool> pool_, files_, machine_;  // the last two are made when first needed
  std::list<std::unique_ptr<Running>> running_;         // JavaScript thread only
};

}  // namespace mg::addon
