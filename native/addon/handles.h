// The opaque objects JavaScript holds. Each carries a type tag, so that one is never taken for another.
#pragma once
#include <napi.h>

#include <memory>
#include <unordered_map>

#include "container/opener.h"
#include "environment.h"
#include "keys/keys.h"

namespace mg::addon {

// Adds the constructors to the environment; called once for each.
void define_key(Napi::Env env, Environment& environment);
void define_control(Napi::Env env, Environment& environment);
void define_sealer(Napi::Env env, Environment& environment);
void define_opened(Napi::Env env, Environment& environment);
void define_model(Napi::Env env, Environment& environment);
// Adds functions to the exported object.
void export_keys(Napi::Env env, Napi::Object exports);
void export_seal(Napi::Env env, Napi::Object exports);
void export_open(Napi::Env env, Napi::Object exports);
void export_parts(Napi::Env env, Napi::Object exports);

std::shared_ptr<const keys::Key> as_key(Napi::Value value);
Napi::Value new_key(Napi::Env env, std::shared_ptr<const keys::Key> key);
std::shared_ptr<Work> as_control(Napi::Value value);

// The plaintext of a loaded model. Lives until the last array over it is collected; wiped at dispose() or then.
class ModelState {
 public:
  explicit ModelState(std::vector<container::LoadedFile> loaded) : files(std::move(loaded)) {}
  std::vector<container::LoadedFile> files;
  // JavaScript thread only. Readers on engine threads hold the memory; a dispose meanwhile is carried out by the last.
  bool disposed = false;
  void enter() { readers_++; }
  void leave();
  void wipe_when_idle();
  bool idle() const { return readers_ == 0; }
  std::function<void()> on_idle;

 private:
  void wipe();
  int readers_ = 0;
};
Napi::Value new_model(Napi::Env env, std::vector<container::LoadedFile> files);
std::shared_ptr<ModelState> as_model(Napi::Value value);

// A new T around `state`, made through its constructor with a one-off External that scripts cannot produce.
template <class State>
Napi::Value construct(Napi::Env env, Napi::FunctionReference& constructor, State& state) {
  return Napi::EscapableHandleScope(env).Escape(constructor.New({Napi::External<State>::New(env, &state)}));
}
template <class State>
State& constructed_from(const Napi::CallbackInfo& info) {
  if (info.Length() != 1 || !info[0].IsExternal()) throw Napi::TypeError::New(info.Env(), "Illegal constructor");
  return *info[0].As<Napi::External<State>>().Data();
}

}  // namespace mg::addon
