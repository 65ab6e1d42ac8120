#include "environment.h"

#include <system_error>
#include <thread>

#include "convert.h"
#include "crypto/crypto.h"

namespace mg::addon {

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
  Job job;
  Napi::Promise::Deferred deferred;
  std::list<std::unique_ptr<Running>>::iterator self;
  std::thread thread;  // of its own, if it has one

  Running(Job j, Napi::Promise::Deferred d) : job(std::move(j)), deferred(d) {}
  ~Running() {
    if (thread.joinable()) thread.join();
  }
};

Environment::Environment(Napi::Env env) : env_(env), pool_(std::make_unique<payload::Pool>()) {
  napi_value name;
  napi_create_string_utf8(env, "model-guard", NAPI_AUTO_LENGTH, &name);
  napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, call_js, &channel_);
  napi_unref_threadsafe_function(env, channel_);
  // Hooks run last in, first out: this one before the channel's own, so that no engine thread outlives the channel.
  napi_add_env_cleanup_hook(env, teardown, this);
}

Environment::~Environment() = default;

// The environment is going away: stop the work, wait for the threads, drop what they held. No JavaScript runs any more.
void Environment::teardown(void* self) {
  auto& environment = *static_cast<Environment*>(self);
  for (auto& running : environment.running_) running->job.work->cancel();
  environment.pool_.reset();
  environment.running_.clear();  // joins the threads of their own
  napi_release_threadsafe_function(environment.channel_, napi_tsfn_abort);
  environment.channel_ = nullptr;
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
  auto owned = std::make_unique<Running>(std::move(job), Napi::Promise::Deferred::New(env));
  Running* running = owned.get();
  if (!running->job.work) running->job.work = std::make_shared<Work>();
  std::shared_ptr<Work> work = running->job.work;
  work->control.progress = [work = work.get()](uint64_t done) { work->done.store(done); };
  if (running_.empty()) napi_ref_threadsafe_function(env, channel_);
  running_.push_front(std::move(owned));
  running->self = running_.begin();
  const Napi::Promise promise = running->deferred.Promise();
  auto body = [this, running] {
    Status status;
    if (running->job.work->control.cancelled.load()) {
      status = Status(Code::ABORT_ERR, "cancelled");
    } else {
      try {
        status = running->job.compute();
      } catch (const std::bad_alloc&) {
        status = Status(Code::OUT_OF_MEMORY, "no memory is left");
      }
    }
    post([this, running, status](Napi::Env e) { finish(e, *running, status); });
  };
  if (running->job.waits_for_script) {
    try {
      running->thread = std::thread([body] {
        body();
        crypto::wipe_stack();  // as the pool does after each job
      });
      return promise;
    } catch (const std::system_error&) {
      // The system has no thread to give: the pool's have to do.
    }
  }
  pool_->submit(body);
  return promise;
}

void Environment::finish(Napi::Env env, Running& running, const Status& status) {
  std::unique_ptr<Running> owned = std::move(*running.self);
  running_.erase(running.self);
  if (running_.empty()) napi_unref_threadsafe_function(env, channel_);
  if (owned->job.settled) owned->job.settled();
  try {
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
