// State of one JavaScript environment (the main thread or a worker): its engine threads, its classes, its work in flight.
// Nothing here is global, so several environments load the addon at once, and each is torn down by itself.
#pragma once
#include <napi.h>

#include <functional>
#include <list>
#include <memory>
#include <mutex>

#include "payload/pool.h"
#include "status.h"

namespace mg::addon {

// What a long call and its NativeControl share.
class Work {
 public:
  payload::Control control;
  std::atomic<uint64_t> done{0};

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
  std::function<Status()> compute;                  // on an engine thread; touches no JavaScript
  std::function<Napi::Value(Napi::Env)> result;     // on the JavaScript thread, after compute succeeded
  std::function<Napi::Value(Napi::Env)> failure;    // optional, on the JavaScript thread: a better error, or empty
  std::function<void()> settled;                    // optional, on the JavaScript thread, in every case
  // compute waits for JavaScript, which may itself wait for other jobs: it then gets a thread of its own, since on the pool
  // it could take the thread that those jobs need.
  bool waits_for_script = false;
};

class Environment {
 public:
  explicit Environment(Napi::Env env);
  ~Environment();
  static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

  payload::Pool& pool() { return *pool_; }
  // JavaScript thread.
  Napi::Promise run(Napi::Env env, Job job);
  // Any thread: runs `callback` on the JavaScript thread, or drops it when the environment is going away.
  bool post(std::function<void(Napi::Env)> callback);

  Napi::FunctionReference key, control, sealer, opened, model;

 private:
  struct Running;
  static void call_js(napi_env env, napi_value, void* context, void* data);
  static void teardown(void* self);
  void finish(Napi::Env env, Running& running, const Status& status);

  napi_env env_;
  napi_threadsafe_function channel_ = nullptr;
  std::unique_ptr<payload::Pool> pool_;
  std::list<std::unique_ptr<Running>> running_;  // JavaScript thread only
};

}  // namespace mg::addon
