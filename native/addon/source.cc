#include "source.h"

#include "convert.h"
#include "entry.h"

namespace mg::addon {

constexpr uint32_t kMaxPieces = 4096;

// Shared by the engine thread that waits and the JavaScript thread that answers. After `over` the JavaScript thread does nothing, because
// the buffer may be gone.
struct ScriptSource::Request {
  uint64_t offset;
  Span out;
  std::mutex mutex;
  std::condition_variable wake;
  bool over = false;
  Status status;

  void settle(const Status& result) noexcept {
    std::lock_guard<std::mutex> lock(mutex);
    if (over) return;
    over = true;
    try {
      status = result;
    } catch (const std::exception& error) {
      status = Status::from_exception(error);
    }
    wake.notify_all();
  }
  // Bytes that follow `given` earlier ones.
  void copy(uint64_t given, View bytes) {
    std::lock_guard<std::mutex> lock(mutex);
    if (over || given > out.size || bytes.size > out.size - given || bytes.size == 0) return;
    std::memcpy(out.data + given, bytes.data, bytes.size);
  }
  void finish(uint64_t given) {
    settle(given == out.size ? Status()
                             : Status(Code::CONTAINER_TRUNCATED, "the store gave " + std::to_string(given) + " bytes where " +
                                                                     std::to_string(out.size) + " were asked for"));
  }
  // One Uint8Array or several. Each is copied before the next is looked at, which may run a script that moves it; so the mutex is
  // free meanwhile. Throws if it is something else.
  void deliver(Napi::Value answer) {
    const bool several = answer.IsArray();
    const Napi::Array pieces = several ? answer.As<Napi::Array>() : Napi::Array();
    const uint32_t count = several ? pieces.Length() : 1;
    if (count > kMaxPieces) raise_argument(answer.Env(), "too many pieces");
    uint64_t given = 0;
    for (uint32_t i = 0; i < count; i++) {
      const View piece = as_bytes(several ? pieces.Get(i) : answer, "what the store gave");
      copy(given, piece);
      given += piece.size;
    }
    finish(given);
  }
};

ScriptSource::ScriptSource(Environment& environment, std::shared_ptr<Work> work, Napi::Function read, uint64_t size)
    : environment_(environment), work_(std::move(work)), read_(Napi::Persistent(read)), size_(size) {}

void ScriptSource::keep_error(Napi::ObjectReference& slot, Napi::Value reason) {
  if (slot.IsEmpty() && reason.IsObject()) slot = Napi::Persistent(reason.As<Napi::Object>());
}

Napi::Value ScriptSource::error(Napi::Env) const { return error_->IsEmpty() ? Napi::Value() : error_->Value(); }

Status ScriptSource::read(uint64_t offset, Span out) {
  auto request = std::make_shared<Request>();
  request->offset = offset;
  request->out = out;
  // No step may fail after the post: the script's bytes are copied to `out`, as long as the request is not settled.
  const uint64_t id = work_->on_cancel([request] { request->settle(Status(Code::ABORT_ERR, "cancelled")); });
  if (!environment_.post([this, request](Napi::Env env) { ask(env, request); })) {
    work_->forget(id);
    return Status(Code::ABORT_ERR, "the environment is going away");
  }
  std::unique_lock<std::mutex> lock(request->mutex);
  request->wake.wait(lock, [&] { return request->over; });
  lock.unlock();
  work_->forget(id);
  return request->status;
}

void ScriptSource::ask(Napi::Env env, const std::shared_ptr<Request>& request) {
  {
    std::lock_guard<std::mutex> lock(request->mutex);
    if (request->over) return;
  }
  const Status failed(Code::IO_FAILED, "the store could not read the big part");
  try {
    const Napi::Value answer =
        read_.Call({Napi::Number::New(env, double(request->offset)), Napi::Number::New(env, double(request->out.size))});
    auto fulfilled = new_function(env, [request](const Napi::CallbackInfo& info) {
      try {
        request->deliver(info[0]);
      } catch (const Napi::Error&) {
        request->settle(Status(Code::IO_FAILED, "the store gave something else than Uint8Arrays"));
      } catch (const std::exception& error) {
        request->settle(Status::from_exception(error));
      }
    });
    // The job, and with it this source, may be over by then: hold the slot for the error, not the source.
    auto rejected = new_function(env, [request, failed, slot = error_](const Napi::CallbackInfo& info) {
      request->settle(failed);
      keep_error(*slot, info[0]);
    });
    Napi::Object promise = answer.IsObject() ? answer.As<Napi::Object>() : Napi::Object();
    if (!answer.IsPromise()) {
      request->settle(Status(Code::IO_FAILED, "the store's read did not return a promise"));
      return;
    }
    promise.Get("then").As<Napi::Function>().Call(promise, {fulfilled, rejected});
  } catch (const Napi::Error& error) {
    keep_error(*error_, error.Value());
    request->settle(failed);
  } catch (const std::exception& error) {
    request->settle(Status::from_exception(error));
  }
}

Result<payload::Source*> SourceRequest::open() {
  if (script) return static_cast<payload::Source*>(script.get());
  if (!file) {
    opened = std::make_unique<payload::MemorySource>(View(bytes));
    return opened.get();
  }
  auto source = payload::FileSource::open(*file, file_offset);
  if (!source.ok()) return source.status();
  opened = std::move(*source);
  return opened.get();
}

std::shared_ptr<SourceRequest> as_source(Napi::Value value, const std::shared_ptr<Work>& work) {
  const Napi::Object object = as_object(value, "source");
  auto source = std::make_shared<SourceRequest>();
  if (present(object, "file")) {
    source->file = as_string(object.Get("file"), "file");
    if (present(object, "fileOffset")) source->file_offset = as_integer(object.Get("fileOffset"), "fileOffset");
  } else if (present(object, "bytes")) {
    source->bytes = copy_bytes(object.Get("bytes"), "bytes");
  } else {
    const Napi::Value read = object.Get("read");
    if (!read.IsFunction()) raise_argument(value.Env(), "a source has file, bytes or read");
    source->script = std::make_shared<ScriptSource>(Environment::of(value.Env()), work, read.As<Napi::Function>(),
                                                    as_integer(object.Get("size"), "size"));
  }
  return source;
}

std::function<Napi::Value(Napi::Env)> store_error(const std::shared_ptr<SourceRequest>& source) {
  return [source](Napi::Env env) { return source->script ? source->script->error(env) : Napi::Value(); };
}

}  // namespace mg::addon
