// The boundary. Every way from JavaScript into the addon leads through here, so that no C++ exception crosses it: functions, methods,
// callbacks that scripts keep. test/native/boundary.test.ts holds that no other file registers any.
#pragma once
#include <napi.h>

#include <type_traits>
#include <utility>

#include "convert.h"

namespace mg::addon {

// Runs `body`. What the standard library throws becomes a NativeFailure: OUT_OF_MEMORY, or INTERNAL.
template <class Body>
auto guarded(Napi::Env env, Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& error) {
    raise(env, Status::from_exception(error));
  }
}

using Function = Napi::Value (*)(const Napi::CallbackInfo&);
template <Function function>
Napi::Value entry(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return function(info); });
}
template <Function function>
void export_function(Napi::Env env, Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<entry<function>>(env, name));
}

// A function for scripts to call later.
template <class Body>
Napi::Function new_function(Napi::Env env, Body body, const char* name = nullptr) {
  return Napi::Function::New(
      env, [body = std::move(body)](const Napi::CallbackInfo& info) { guarded(info.Env(), [&] { body(info); }); }, name);
}

// The base of the opaque objects. Exceptions of their constructors end in construct(), which alone calls them.
template <class T>
class Handle : public Napi::ObjectWrap<T> {
 public:
  using Napi::ObjectWrap<T>::ObjectWrap;

  template <auto method>
  static Napi::ClassPropertyDescriptor<T> define(const char* name) {
    using Entry = typename Napi::ObjectWrap<T>::InstanceMethodCallback;
    return Napi::ObjectWrap<T>::InstanceMethod(name, static_cast<Entry>(&Handle::template guarded_method<method>));
  }

 private:
  template <auto method>
  Napi::Value guarded_method(const Napi::CallbackInfo& info) {
    T& self = *static_cast<T*>(this);
    return guarded(info.Env(), [&]() -> Napi::Value {
      if constexpr (std::is_void_v<decltype((self.*method)(info))>) {
        (self.*method)(info);
        return info.Env().Undefined();
      } else {
        return (self.*method)(info);
      }
    });
  }
};

}  // namespace mg::addon
