// NativeSealer: making a container.
#include <utility>

#include "container/sealer.h"
#include "convert.h"
#include "entry.h"
#include "handles.h"
#include "legacy.h"

namespace mg::addon {
namespace {

// Keeps the memory that a sealer reads alive and unwiped.
struct SealerState {
  std::unique_ptr<container::Sealer> sealer;
  std::vector<Region> copies;
  std::vector<std::shared_ptr<ModelState>> models;
  std::vector<std::shared_ptr<LegacyRequest>> artifacts;  // until they are opened, one for each input; null for other inputs
  bool busy = false, closed = false;                      // JavaScript thread: one call at a time

  ~SealerState() { release(); }
  void release() {
    copies.clear();
    for (auto& model : std::exchange(models, {})) model->leave();
  }
};

class SealerHandle : public Handle<SealerHandle> {
 public:
  explicit SealerHandle(const Napi::CallbackInfo& info)
      : Handle(info), state(constructed_from<std::shared_ptr<SealerState>>(info)) {
    const container::Sealer& sealer = *state->sealer;
    show(info, "payloadId", Napi::String::New(info.Env(), sealer.core().payload_id));
    show(info, "plaintextSize", Napi::Number::New(info.Env(), double(sealer.plaintext_size())));
    show(info, "payloadLength", Napi::Number::New(info.Env(), double(sealer.payload_length())));
    show(info, "headerLength", Napi::Number::New(info.Env(), double(sealer.header_length())));
  }

  Napi::Value encrypt_to_file(const Napi::CallbackInfo& info) {
    const std::string path = as_string(info[0], "path");
    const uint64_t out_base = as_integer(info[1], "outBase"), file_offset = as_integer(info[2], "fileOffset");
    auto work = as_work(info[3]);
    const mode_t mode = info[4].IsUndefined() ? 0600 : mode_t(as_integer(info[4], "mode"));
    return run(
        info, work,
        [s = state, path, out_base, file_offset, work, mode](work::Pool& pool) -> Status {
          auto sink = payload::FileSink::create(path, file_offset, mode);
          if (!sink.ok()) return sink.status();
          if (auto status = s->sealer->encrypt_to(**sink, out_base, pool, work->control); !status.ok()) return status;
          return (*sink)->finish();
        },
        [](Napi::Env env) { return env.Undefined(); });
  }

  Napi::Value next(const Napi::CallbackInfo& info) {
    const uint64_t max_bytes = as_integer(info[0], "maxBytes"), out_base = as_integer(info[1], "outBase");
    auto work = as_work(info[2]);
    refuse_while_busy(info.Env());
    work->before = state->sealer->encrypted();
    auto out = std::make_shared<Bytes>();
    return run(
        info, work,
        [s = state, max_bytes, out_base, work, out](work::Pool& pool) -> Status {
          auto bytes = s->sealer->next(size_t(max_bytes), out_base, pool, work->control);
          if (!bytes.ok()) return bytes.status();
          *out = std::move(*bytes);
          return {};
        },
        [out](Napi::Env env) { return to_js(env, View(*out)); });
  }

  Napi::Value finish(const Napi::CallbackInfo& info) {
    auto out = std::make_shared<Bytes>();
    return run(
        info, std::make_shared<Work>(),
        [s = state, out](work::Pool&) -> Status {
          auto header = s->sealer->finish();
          if (!header.ok()) return header.status();
          *out = std::move(*header);
          return {};
        },
        [out](Napi::Env env) { return to_js(env, View(*out)); });
  }

  // Releases keys and inputs, at once or after the call in flight.
  void close(const Napi::CallbackInfo&) {
    state->closed = true;
    if (state->busy) return;
    state->sealer->abandon();
    state->release();
  }

  Napi::Value head(const Napi::CallbackInfo& info) {
    refuse_while_busy(info.Env());
    return to_js(info.Env(), View(state->sealer->head()));
  }
  Napi::Value tree(const Napi::CallbackInfo& info) {
    refuse_while_busy(info.Env());
    return to_js(info.Env(), View(state->sealer->tree().stored()));
  }

  const std::shared_ptr<SealerState> state;

 private:
  void refuse_while_busy(Napi::Env env) const {
    if (state->busy) raise_argument(env, "this sealer is at work");
  }

  Napi::Value run(const Napi::CallbackInfo& info, std::shared_ptr<Work> work, std::function<Status(work::Pool&)> compute,
                  std::function<Napi::Value(Napi::Env)> result) {
    refuse_while_busy(info.Env());
    state->busy = true;
    Job job;
    job.work = std::move(work);
    job.compute = std::move(compute);
    job.result = std::move(result);
    job.settled = [s = state] {
      s->busy = false;
      if (s->closed) s->sealer->abandon();
      if (s->sealer->is_closed()) s->release();
    };
    return Environment::of(info.Env()).run(info.Env(), std::move(job));
  }
};

// Engine thread.
Status open_artifacts(SealerState& state, std::vector<container::Input>& inputs) {
  const auto artifacts = std::exchange(state.artifacts, {});
  for (size_t i = 0; i < inputs.size(); i++) {
    if (!artifacts[i]) continue;
    auto plain = artifacts[i]->open();
    if (!plain.ok()) return plain.status();
    if ((*plain)->size() == 0) return Status(Code::SOURCE_EMPTY, "the artifact of '" + inputs[i].path + "' holds an empty file");
    inputs[i].source = std::move(*plain);
  }
  return {};
}

container::Input as_input(Napi::Value value, SealerState& state) {
  const Napi::Object object = as_object(value, "an input");
  container::Input input;
  input.path = as_string(object.Get("path"), "path");
  state.artifacts.push_back(nullptr);
  if (present(object, "onDisk")) {
    input.on_disk = as_string(object.Get("onDisk"), "onDisk");
    if (input.on_disk.empty()) raise_argument(value.Env(), "onDisk is empty");
  } else if (present(object, "bytes")) {
    const View bytes = as_bytes(object.Get("bytes"), "bytes");
    Region copy = unwrap(value.Env(), Region::allocate(bytes.size));
    if (bytes.size) std::memcpy(copy.data(), bytes.data, bytes.size);
    input.memory = View(copy.data(), copy.size());
    state.copies.push_back(std::move(copy));
  } else if (present(object, "legacy")) {
    const Napi::Object from = as_object(object.Get("legacy"), "legacy");
    state.artifacts.back() = as_legacy(from.Get("artifact"), from.Get("key"));
  } else {
    const Napi::Object from = as_object(object.Get("model"), "model");
    auto model = as_model(from.Get("handle"));
    const uint64_t index = as_integer(from.Get("index"), "index");
    if (model->disposed) raise(value.Env(), Status(Code::DISPOSED, "the model was disposed of"));
    if (index >= model->files.size()) raise_argument(value.Env(), "the model has no such file");
    input.memory = View(model->files[index].region.data(), size_t(model->files[index].size));
    model->enter();
    state.models.push_back(std::move(model));
  }
  return input;
}

Napi::Value seal(const Napi::CallbackInfo& info) {
  const Napi::Object object = as_object(info[0], "request");
  auto state = std::make_shared<SealerState>();
  auto request = std::make_shared<container::SealRequest>();
  request->name = as_string(object.Get("name"), "name");
  request->version = as_string(object.Get("version"), "version");
  request->format = as_string(object.Get("format"), "format");
  request->created = as_string(object.Get("created"), "created");
  for (const auto& input : as_array(object.Get("inputs"), "inputs")) request->inputs.push_back(as_input(input, *state));
  request->recipients = as_recipients(object.Get("recipients"));
  if (present(object, "signer")) request->signer = as_key(object.Get("signer"));
  Job job;
  job.compute = [state, request](work::Pool&) -> Status {
    if (auto s = open_artifacts(*state, request->inputs); !s.ok()) return s;
    auto sealer = container::Sealer::begin(std::move(*request));
    if (!sealer.ok()) return sealer.status();
    state->sealer = std::move(*sealer);
    return {};
  };
  job.result = [state](Napi::Env env) mutable { return construct(env, Environment::of(env).sealer, state); };
  return Environment::of(info.Env()).run(info.Env(), std::move(job));
}

}  // namespace

void define_sealer(Napi::Env env, Environment& environment) {
  environment.sealer =
      Napi::Persistent(SealerHandle::DefineClass(env, "Sealer",
                                                 {
                                                     SealerHandle::define<&SealerHandle::encrypt_to_file>("encryptToFile"),
                                                     SealerHandle::define<&SealerHandle::next>("next"),
                                                     SealerHandle::define<&SealerHandle::finish>("finish"),
                                                     SealerHandle::define<&SealerHandle::close>("close"),
                                                     SealerHandle::define<&SealerHandle::head>("head"),
                                                     SealerHandle::define<&SealerHandle::tree>("tree"),
                                                 }));
}

void export_seal(Napi::Env env, Napi::Object exports) { export_function<seal>(env, exports, "seal"); }

}  // namespace mg::addon
