// NativeOpened: opening a container, loading its model, re-wrapping its small part.
#include "container/opener.h"

#include "convert.h"
#include "handles.h"
#include "source.h"

namespace mg::addon {
namespace {

struct OpenRequest {
  Bytes small;
  container::Identities identities;
  container::Trust trust;
  std::shared_ptr<Work> work = std::make_shared<Work>();
};

std::shared_ptr<OpenRequest> as_open_request(Napi::Value value) {
  const Napi::Object object = as_object(value, "request");
  auto request = std::make_shared<OpenRequest>();
  request->small = copy_bytes(object.Get("small"), "small");
  request->identities = as_identities(object);
  request->trust = as_trust(object.Get("trust"));
  if (present(object, "control")) request->work = as_control(object.Get("control"));
  return request;
}

struct OpenedState {
  std::unique_ptr<container::Opened> opened;
  Bytes head;  // payload bytes of the small part
};

class OpenedHandle : public Napi::ObjectWrap<OpenedHandle> {
 public:
  explicit OpenedHandle(const Napi::CallbackInfo& info)
      : ObjectWrap(info), state_(constructed_from<std::shared_ptr<OpenedState>>(info)) {
    show(info, "info", to_js(info.Env(), state_->opened->header()));
  }

  Napi::Value load(const Napi::CallbackInfo& info) {
    auto work = as_work(info[1]);
    auto source = as_source(info[0], work);
    const bool same_container = as_object(info[0], "source").Get("sameContainer").ToBoolean();
    auto files = std::make_shared<std::vector<container::LoadedFile>>();
    Job job;
    job.work = work;
    job.compute = [s = state_, source, work, files, same_container](payload::Pool& pool) -> Status {
      auto big = source->open();
      if (!big.ok()) return big.status();
      payload::MemorySource head{View(s->head)};
      payload::JoinedSource payload(head, **big);
      const auto big_offset = same_container ? std::nullopt : std::optional<uint64_t>(s->head.size());
      auto loaded = s->opened->load(payload, big_offset, pool, work->control);
      if (!loaded.ok()) return loaded.status();
      *files = std::move(*loaded);
      return {};
    };
    job.result = [files](Napi::Env env) { return new_model(env, std::move(*files)); };
    job.failure = store_error(source);
    job.waits_for_script = source->script != nullptr;
    return Environment::of(info.Env()).run(info.Env(), std::move(job));
  }

 private:
  const std::shared_ptr<OpenedState> state_;
};

Napi::Value open(const Napi::CallbackInfo& info) {
  auto request = as_open_request(info[0]);
  auto state = std::make_shared<OpenedState>();
  Job job;
  job.work = request->work;
  job.compute = [request, state](payload::Pool&) -> Status {
    auto opened = container::Opened::open(View(request->small), request->identities, request->trust, &request->work->control.cancelled);
    if (!opened.ok()) return opened.status();
    state->head = View(request->small).from((*opened)->header().size()).copy();
    state->opened = std::move(*opened);
    return {};
  };
  job.result = [state](Napi::Env env) mutable { return construct(env, Environment::of(env).opened, state); };
  return Environment::of(info.Env()).run(info.Env(), std::move(job));
}

Napi::Value rewrap(const Napi::CallbackInfo& info) {
  auto request = as_open_request(info[0]);
  auto out = std::make_shared<Bytes>();
  Job job;
  job.work = request->work;
  job.compute = [request, recipients = as_recipients(info[0].As<Napi::Object>().Get("recipients")), out](payload::Pool&) -> Status {
    auto small = container::rewrap(View(request->small), request->identities, request->trust, recipients, std::nullopt,
                                   &request->work->control.cancelled);
    if (!small.ok()) return small.status();
    *out = std::move(*small);
    return {};
  };
  job.result = [out](Napi::Env env) { return to_js(env, View(*out)); };
  return Environment::of(info.Env()).run(info.Env(), std::move(job));
}

}  // namespace

void define_opened(Napi::Env env, Environment& environment) {
  environment.opened = Napi::Persistent(OpenedHandle::DefineClass(env, "Opened", {
      OpenedHandle::InstanceMethod<&OpenedHandle::load>("load"),
  }));
}

void export_open(Napi::Env env, Napi::Object exports) {
  exports.Set("open", Napi::Function::New<open>(env, "open"));
  exports.Set("rewrap", Napi::Function::New<rewrap>(env, "rewrap"));
}

}  // namespace mg::addon
