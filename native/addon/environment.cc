#include "environment.h"

#include <algorithm>
#include <cstdlib>

#include "convert.h"

namespace mg::addon {

// Of a job that waits for a store.
constexpr unsigned kWaitingThreads = 4;

void Work::cancel() {
  control.cancelled.store(true);
  std::list<std::pair<uint64_t, std::function<void()>>> callbacks;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    callbacks.swap(callbacks_);
  }
  for (auto& [id, callback] : callbacks) callback();
}

uint64_t Work::on_cancel(std::function<void()> callback) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!control.cancelled.load()) {
      callbacks_.emplace_back(next_, std::move(callback));
      return next_++;
    }
  }
  callback();
  return 0;
}

void Work::forget(uint64_t id) {
  std::lock_guard<std::mutex> lock(mutex_);
  callbacks_.remove_if([id](const auto& entry) { return entry.first == id; });
}

struct Environment::Running {
  Running(Job j, Napi::Promise::Deferred d) : job(std::move(j)), deferred(d) {}
  Job job;
  Napi::Promise::Deferred deferred;
  std::list<std::unique_ptr<Running>>::iterator self;
  std::unique_ptr<payload::Pool> own;  // if it waits for scripts
};

namespace {

// process.exit() runs no cleanup hooks, but libc then takes OpenSSL down under the engine threads. Hence one list of what is alive,
// for that moment only.
std::mutex living_mutex;
std::list<Environment*>& living() {
  static auto* list = new std::list<Environment*>;  // outlives every other static
  return *list;
}

}  // namespace

Environment::Environment(Napi::Env env) : pool_(std::make_unique<payload::Pool>()) {
  napi_value name;
  napi_create_string_utf8(env, "model-guard", NAPI_AUTO_LENGTH, &name);
  napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, call_js, &channel_);
  napi_unref_threadsafe_function(env, channel_);
  // Hooks run last in, first out: this one before the channel's own, so that no engine thread outlives the channel.
  napi_add_env_cleanup_hook(env, teardown, this);
  std::lock_guard<std::mutex> lock(living_mutex);
  static const int registered = std::atexit(at_exit);
  (void)registered;
  living().push_back(this);
}

Environment::~Environment() = default;

// Ends the work and waits for the threads. What they held is dropped later, on the JavaScript thread.
void Environment::stop() {
  for (auto& running : running_) running->job.work->cancel();
  for (auto& running : running_) running->own.reset();
  pool_.reset();
}

// The environment is going away; no JavaScript runs any more.
void Environment::teardown(void* self) {
  auto& environment = *static_cast<Environment*>(self);
  {
    std::lock_guard<std::mutex> lock(living_mutex);
    living().remove(&environment);
  }
  environment.stop();
  environment.running_.clear();
  napi_release_threadsafe_function(environment.channel_, napi_tsfn_abort);
  environment.channel_ = nullptr;
}

// Workers have ended by now; what is left belongs to the thread that exits.
void Environment::at_exit() {
  std::lock_guard<std::mutex> lock(living_mutex);
  for (Environment* environment : living())
    if (environment->thread_ == std::this_thread::get_id()) environment->stop();
}

void Environment::call_js(napi_env env, napi_value, void*, void* data) {
  std::unique_ptr<std::function<void(Napi::Env)>> callback(static_cast<std::function<void(Napi::Env)>*>(data));
  if (env == nullptr) return;
  Napi::HandleScope scope(env);
  try {
    (*callback)(env);
  } catch (const Napi::Error&) {
    // JavaScript is being terminated: there is nobody left to tell.
  }
}

bool Environment::post(std::function<void(Napi::Env)> callback) {
  auto data = std::make_unique<std::function<void(Napi::Env)>>(std::move(callback));
  if (napi_call_threadsafe_function(channel_, data.get(), napi_tsfn_nonblocking) != napi_ok) return false;
  data.release();
  return true;
}

Napi::Promise Environment::run(Napi::Env env, Job job) {
  if (!job.work) job.work = std::make_shared<Work>();
  if (job.work->in_use) raise_argument(env, "this control already belongs to a call in flight");
  auto owned = std::make_unique<Running>(std::move(job), Napi::Promise::Deferred::New(env));
  Running* running = owned.get();
  running->job.work->in_use = true;
  if (running_.empty()) napi_ref_threadsafe_function(env, channel_);
  running_.push_front(std::move(owned));
  running->self = running_.begin();
  const Napi::Promise promise = running->deferred.Promise();
  payload::Pool* pool = pool_.get();
  if (running->job.waits_for_script) {
    // They mostly wait: for the network, and for their turn on the JavaScript thread.
    const unsigned asked = running->job.work->control.threads, most = std::max(kWaitingThreads, pool->size());
    running->own = std::make_unique<payload::Pool>(asked ? std::min(asked, most) : most);
    // Where the system gives no thread, the shared ones have to do: JavaScript must not wait for itself.
    if (running->own->size() > 0) pool = running->own.get();
  }
  pool->submit([this, running, pool] {
    Status status;
    if (running->job.work->control.cancelled.load()) {
      status = Status(Code::ABORT_ERR, "cancelled");
    } else {
      try {
        status = running->job.compute(*pool);
      } catch (const std::exception&) {
        status = Status(Code::OUT_OF_MEMORY, "no memory is left");
      }
    }
    post([this, running, status](Napi::Env e) { finish(e, *running, status); });
  });
  return promise;
}

void Environment::finish(Napi::Env env, Running& running, const Status& status) {
  std::unique_ptr<Running> owned = std::move(*running.self);
  running_.erase(running.self);
  if (running_.empty()) napi_unref_threadsafe_function(env, channel_);
  owned->job.work->in_use = false;
  try {
    if (owned->job.settled) owned->job.settled();
    if (status.ok()) {
      owned->deferred.Resolve(owned->job.result(env));
      return;
    }
    Napi::Value reason;
    if (owned->job.failure && status.code != Code::ABORT_ERR) reason = owned->job.failure(env);
    owned->deferred.Reject(reason.IsEmpty() ? to_js(env, status) : reason);
  } catch (const Napi::Error& error) {
    owned->deferred.Reject(error.Value());
  }
}

}  // namespace mg::addon
