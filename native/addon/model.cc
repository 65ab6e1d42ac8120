// A loaded model: arrays over guarded memory, and taking them back.
#include <utility>

#include "convert.h"
#include "entry.h"
#include "guarded_copies.h"
#include "handles.h"

namespace mg::addon {
namespace {

const napi_type_tag kModelTag = tag_of(0x6d672d6d6f640001);

}  // namespace

void ModelState::leave() {
  if (--readers_ > 0) return;
  if (disposed) wipe();
  if (const auto idle = std::exchange(on_idle, nullptr)) idle();
}

void ModelState::wipe_when_idle() {
  disposed = true;
  if (idle()) wipe();
}

void ModelState::wipe() {
  for (auto& file : files) file.region.wipe();
}

namespace {

class ModelHandle : public Handle<ModelHandle> {
 public:
  explicit ModelHandle(const Napi::CallbackInfo& info)
      : Handle(info), state(constructed_from<std::shared_ptr<ModelState>>(info)) {
    info.This().As<Napi::Object>().TypeTag(&kModelTag);
    bytes_.resize(state->files.size());
    show_files(info, state->files);
  }

  Napi::Value bytes(const Napi::CallbackInfo& info) {
    const size_t index = file_index(info);
    auto& held = bytes_[index];
    if (held.IsEmpty()) {
      auto& file = state->files[index];
      check_array(info.Env(), "'" + file.path + "' has ", file.size);
      const Napi::ArrayBuffer buffer = show_memory(info.Env(), file.region.data(), size_t(file.size), state);
      if (buffer.IsEmpty())
        raise(info.Env(), Status(Code::LIMIT_EXCEEDED, "this JavaScript runtime shows no memory but its own, as Electron does"));
      held = Napi::Persistent(Napi::Uint8Array::New(info.Env(), size_t(file.size), buffer, 0));
    }
    return held.Value();
  }

  Napi::Value read(const Napi::CallbackInfo& info) {
    const size_t index = file_index(info);
    const uint64_t offset = as_integer(info[1], "offset"), length = as_integer(info[2], "length");
    const auto& file = state->files[index];
    if (offset > file.size || length > file.size - offset)
      raise_argument(info.Env(), "bytes " + std::to_string(offset) + " to " + std::to_string(offset + length) + " are not in '" +
                                     file.path + "', which has " + std::to_string(file.size));
    check_array(info.Env(), "these are ", length);
    auto copy = std::make_shared<Region>(unwrap(info.Env(), Region::allocate(size_t(length))));
    auto self = std::make_shared<Napi::ObjectReference>(Napi::Persistent(info.This().As<Napi::Object>()));
    state->enter();
    Job job;
    job.compute = [model = state, copy, index, offset](work::Pool&) -> Status {
      if (copy->size()) std::memcpy(copy->data(), model->files[index].region.data() + offset, copy->size());
      return {};
    };
    job.settled = [model = state] { model->leave(); };
    job.result = [this, self, copy](Napi::Env env) -> Napi::Value {
      if (state->disposed) raise(env, Status(Code::DISPOSED, "the model was disposed of while this read was under way"));
      return copies_.give(env, copy, copy->size());
    };
    return Environment::of(info.Env()).run(info.Env(), std::move(job));
  }

  Napi::Value descriptor(const Napi::CallbackInfo& info) {
    const int fd = state->files[file_index(info)].region.descriptor();
    if (fd < 0) raise_argument(info.Env(), "this model was not loaded as a path");
    return Napi::Number::New(info.Env(), fd);
  }

  Napi::Value protection(const Napi::CallbackInfo& info) {
    must_live(info.Env());
    Protection all{true, true, true, true};
    bool any = false, any_large = false;
    for (const auto& file : state->files) {
      const Protection one = file.region.protection();
      all.memfd &= one.memfd;
      if (!file.region.size()) continue;
      any = true;
      all.locked &= one.locked;
      all.dontdump &= one.dontdump;
      if (file.region.size() < kHugePage) continue;  // no file this small can have one
      any_large = true;
      all.hugePages &= one.hugePages;
    }
    Napi::Object out = Napi::Object::New(info.Env());
    out.Set("locked", any && all.locked);
    out.Set("dontdump", any && all.dontdump);
    out.Set("hugePages", any_large && all.hugePages);
    out.Set("memfd", all.memfd);
    return out;
  }

  // A reader of its memory that the state counts, as it counts the reads on engine threads.
  void enter(const Napi::CallbackInfo& info) {
    must_live(info.Env());
    state->enter();
    users_++;
  }

  void leave(const Napi::CallbackInfo& info) {
    if (users_ == 0) raise(info.Env(), Status(Code::INTERNAL, "no reader is in the model"));
    users_--;
    state->leave();
  }

  // True when the memory is wiped by now, which readers postpone.
  Napi::Value dispose(const Napi::CallbackInfo& info) {
    if (!state->disposed) take_back();
    return Napi::Boolean::New(info.Env(), state->idle());
  }

  Napi::Value settled(const Napi::CallbackInfo& info) {
    const auto deferred = Napi::Promise::Deferred::New(info.Env());
    if (state->idle()) {
      deferred.Resolve(info.Env().Undefined());
      return deferred.Promise();
    }
    waiting_.push_back(deferred);
    state->on_idle = [this, self = std::make_shared<Napi::ObjectReference>(Napi::Persistent(info.This().As<Napi::Object>()))] {
      try {
        for (const auto& one : std::exchange(waiting_, {})) one.Resolve(Env().Undefined());
      } catch (const Napi::Error&) {
        // JavaScript is being terminated, and this may be a finalizer.
      }
    };
    return deferred.Promise();
  }

  const std::shared_ptr<ModelState> state;

 private:
  void must_live(Napi::Env env) const {
    if (state->disposed) raise(env, Status(Code::DISPOSED, "the model was disposed of"));
  }

  void check_array(Napi::Env env, const std::string& what, uint64_t size) const {
    const uint64_t most = Environment::of(env).max_array;
    if (size > most)
      raise(env, Status(Code::LIMIT_EXCEEDED,
                        what + std::to_string(size) + " bytes; an array of this runtime holds at most " + std::to_string(most)));
  }

  size_t file_index(const Napi::CallbackInfo& info) const {
    must_live(info.Env());
    const uint64_t index = as_integer(info[0], "index");
    if (index >= state->files.size()) raise_argument(info.Env(), "the model has no such file");
    return size_t(index);
  }

  // The arrays stay as long as they were: Node ends the process where a detached one is in a job of zlib.
  void take_back() {
    for (auto& held : bytes_) held.Reset();
    copies_.wipe();
    state->wipe_when_idle();
  }

  std::vector<Napi::Reference<Napi::Uint8Array>> bytes_;
  GuardedCopies copies_;
  int users_ = 0;
  std::vector<Napi::Promise::Deferred> waiting_;
};

}  // namespace

Napi::Value new_model(Napi::Env env, std::vector<container::LoadedFile> files) {
  auto state = std::make_shared<ModelState>(std::move(files));
  return construct(env, Environment::of(env).model, state);
}

std::shared_ptr<ModelState> as_model(Napi::Value value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kModelTag))
    raise_argument(value.Env(), "this model was loaded by another copy of the package in this process; use one copy for both");
  return ModelHandle::Unwrap(value.As<Napi::Object>())->state;
}

void define_model(Napi::Env env, Environment& environment) {
  environment.model = Napi::Persistent(ModelHandle::DefineClass(env, "Model",
                                                                {
                                                                    ModelHandle::define<&ModelHandle::bytes>("bytes"),
                                                                    ModelHandle::define<&ModelHandle::read>("read"),
                                                                    ModelHandle::define<&ModelHandle::descriptor>("descriptor"),
                                                                    ModelHandle::define<&ModelHandle::protection>("protection"),
                                                                    ModelHandle::define<&ModelHandle::enter>("enter"),
                                                                    ModelHandle::define<&ModelHandle::leave>("leave"),
                                                                    ModelHandle::define<&ModelHandle::dispose>("dispose"),
                                                                    ModelHandle::define<&ModelHandle::settled>("settled"),
                                                                }));
}

}  // namespace mg::addon
