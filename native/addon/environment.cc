#include "environment.h"

#include <algorithm>
#include <cstdlib>

#include "convert.h"
#include "hardware/tpm.h"

namespace mg::addon {

// For each job that waits for a store.
constexpr unsigned kWaitingThreads = 4;
// For all jobs that wait for files.
constexpr unsigned kFileThreads = 256;

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
  explicit Running(Napi::Promise::Deferred d) : deferred(d) {}
  Job job;
  Napi::Promise::Deferred deferred;
  std::list<std::unique_ptr<Running>>::iterator self;
  std::unique_ptr<work::Pool> own;   // if it waits for scripts
  Status status;                     // of compute
  std::unique_ptr<Callback> finish;  // made before the work begins, so that no lack of memory keeps its end from JavaScript
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

Environment::Environment(Napi::Env env) : pool_(std::make_unique<work::Pool>()) {
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

// Ends the work and waits for the threads, those that talk to a TPM included. What they held is dropped later, on the JavaScript thread.
void Environment::stop() {
  for (auto& running : running_) running->job.work->cancel();
  for (auto& running : running_) running->own.reset();
  files_.reset();
  machine_.reset();
  pool_.reset();
  hardware::tpm::join_cancelled();
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
  std::unique_ptr<Callback> callback(static_cast<Callback*>(data));
  if (env == nullptr) return;
  Napi::HandleScope scope(env);
  try {
    (*callback)(env);
  } catch (const std::exception&) {
    // JavaScript is being terminated, or has no memory for an error. The failure cannot be reported.
  }
}

bool Environment::post(Callback callback) { return post(std::make_unique<Callback>(std::move(callback))); }

bool Environment::post(std::unique_ptr<Callback> callback) {
  if (napi_call_threadsafe_function(channel_, callback.get(), napi_tsfn_nonblocking) != napi_ok) return false;
  callback.release();
  return true;
}

Napi::Promise Environment::run(Napi::Env env, Job job) {
  try {
    return start(env, job);
  } catch (...) {
    if (job.settled) job.settled();
    throw;
  }
}

// Everything that may fail comes first; `job` is taken only when its work begins.
Napi::Promise Environment::start(Napi::Env env, Job& job) {
  if (getpid() != process_) raise(env, forked());  // it has none of the threads
  if (!job.work) job.work = std::make_shared<Work>();
  if (job.work->in_use) raise_argument(env, "this control already belongs to a call in flight");
  std::list<std::unique_ptr<Running>> added;
  added.push_front(std::make_unique<Running>(Napi::Promise::Deferred::New(env)));
  Running* running = added.front().get();
  running->self = added.begin();
  running->finish = std::make_unique<Callback>([this, running](Napi::Env e) { finish(e, *running); });
  const Napi::Promise promise = running->deferred.Promise();
  work::Pool* pool = &pool_for(*running, job);
  running->job = std::move(job);
  running->job.work->in_use = true;
  if (running_.empty()) napi_ref_threadsafe_function(env, channel_);
  running_.splice(running_.begin(), added);
  try {
    pool->submit([this, running, pool] { running->status = compute(*running, *pool); },
                 [this, running] { post(std::move(running->finish)); });
  } catch (...) {
    job = std::move(drop(env, *running)->job);
    throw;
  }
  return promise;
}

// If the system gives no thread, the job runs on the shared ones: JavaScript must not wait for itself.
work::Pool& Environment::pool_for(Running& running, const Job& job) {
  const auto made = [this](std::unique_ptr<work::Pool>& pool, unsigned threads, unsigned most) -> work::Pool& {
    if (!pool) pool = std::make_unique<work::Pool>(threads, most);
    return pool->size() > 0 ? *pool : *pool_;
  };
  switch (job.waits) {
    case Job::Waits::script: {
      // They mostly wait: for the network, and for their turn on the JavaScript thread.
      const unsigned asked = job.work->control.threads, most = std::max(kWaitingThreads, pool_->size());
      const unsigned threads = asked ? std::min(asked, most) : most;
      return made(running.own, threads, threads);
    }
    case Job::Waits::file: return made(files_, 1, kFileThreads);
    case Job::Waits::machine: return made(machine_, pool_->size(), pool_->size());
    case Job::Waits::no: break;
  }
  return *pool_;
}

// On an engine thread. Nothing gets past it.
Status Environment::compute(Running& running, work::Pool& pool) noexcept {
  if (running.job.work->control.cancelled.load()) return Status(Code::ABORT_ERR, "cancelled");
  try {
    return running.job.compute(pool);
  } catch (const std::exception& error) {
    return Status::from_exception(error);
  }
}

// Out of the list of what is in flight.
std::unique_ptr<Environment::Running> Environment::drop(Napi::Env env, Running& running) {
  std::unique_ptr<Running> owned = std::move(*running.self);
  running_.erase(running.self);
  if (running_.empty()) napi_unref_threadsafe_function(env, channel_);
  owned->job.work->in_use = false;
  return owned;
}

void Environment::finish(Napi::Env env, Running& running) {
  const std::unique_ptr<Running> owned = drop(env, running);
  const Status& status = owned->status;
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
  } catch (const std::exception& error) {
    owned->deferred.Reject(to_js(env, Status::from_exception(error)));
  }
}

}  // namespace mg::addon
