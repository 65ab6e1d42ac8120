// The opaque objects JavaScript holds. Those that are passed as arguments carry a type tag; methods check their own receiver.
#pragma once
#include <napi.h>

#include <memory>
#include <utility>

#include "container/reader.h"
#include "environment.h"
#include "keys/keys.h"

namespace mg::addon {

// Adds the constructors to the environment; called once for each.
void define_key(Napi::Env env, Environment& environment);
void define_control(Napi::Env env, Environment& environment);
void define_sealer(Napi::Env env, Environment& environment);
void define_opened(Napi::Env env, Environment& environment);
void define_reader(Napi::Env env, Environment& environment);
void define_model(Napi::Env env, Environment& environment);
void define_memory_file(Napi::Env env, Environment& environment);
void define_legacy_reader(Napi::Env env, Environment& environment);
// Adds functions to the exported object.
void export_keys(Napi::Env env, Napi::Object exports);
void export_hardware(Napi::Env env, Napi::Object exports);
void export_legacy(Napi::Env env, Napi::Object exports);
void export_files(Napi::Env env, Napi::Object exports);
void export_seal(Napi::Env env, Napi::Object exports);
void export_open(Napi::Env env, Napi::Object exports);
void export_derived(Napi::Env env, Napi::Object exports);
void export_remote(Napi::Env env, Napi::Object exports);
void export_parts(Napi::Env env, Napi::Object exports);
void export_process(Napi::Env env, Napi::Object exports);

std::shared_ptr<const keys::Key> as_key(Napi::Value value);
Napi::Value new_key(Napi::Env env, std::shared_ptr<const keys::Key> key);
std::shared_ptr<Work> as_control(Napi::Value value);
struct ReaderState {
  std::shared_ptr<container::Reader> reader;
  std::shared_ptr<const Bytes> head;  // payload bytes of the small part
};
Napi::Value new_reader(Napi::Env env, ReaderState state);

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

// A new handle around `state`. Its constructor takes the state from the environment, where only this function puts one.
template <class State>
Napi::Value construct(Napi::Env env, Napi::FunctionReference& constructor, const State& state) {
  Environment::of(env).constructing = &state;
  return Napi::EscapableHandleScope(env).Escape(constructor.New({}));
}
template <class State>
const State& constructed_from(const Napi::CallbackInfo& info) {
  const void* state = std::exchange(Environment::of(info.Env()).constructing, nullptr);
  if (!state) throw Napi::TypeError::New(info.Env(), "Illegal constructor");
  return *static_cast<const State*>(state);
}

// The tag of a kind of handle. It differs between two copies of the addon in one process, which may be of two versions: one must not read
// the objects of the other.
inline napi_type_tag tag_of(uint64_t kind) {
  static const char here = 0;
  return {kind, uint64_t(reinterpret_cast<uintptr_t>(&here))};
}

// A fact about a new handle. A plain property: unlike a getter, it cannot be called on another object.
inline void show(const Napi::CallbackInfo& info, const char* name, Napi::Value value) {
  info.This().As<Napi::Object>().DefineProperty(Napi::PropertyDescriptor::Value(name, value, napi_enumerable));
}

// The names and sizes of a model's files.
template <class Files>
void show_files(const Napi::CallbackInfo& info, const Files& files) {
  const Napi::Env env = info.Env();
  Napi::Array shown = Napi::Array::New(env);
  for (const auto& file : files) {
    Napi::Object one = Napi::Object::New(env);
    one.Set("path", file.path);
    one.Set("size", double(file.size));
    shown.Set(shown.Length(), one);
  }
  show(info, "files", shown);
}

}  // namespace mg::addon
