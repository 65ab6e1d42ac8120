// Registers the addon; nothing else. The functions are described in src/native/binding.ts.
#include <napi.h>

#include "convert.h"
#include "crypto/crypto.h"
#include "entry.h"
#include "handles.h"

namespace mg::addon {
namespace {

constexpr const char* kCodes[] = {
#define X(name) #name,
    MG_CODES(X)
#undef X
};

Napi::Value set_max_array(const Napi::CallbackInfo& info) {
  Environment::of(info.Env()).max_array = as_integer(info[0], "bytes");
  return info.Env().Undefined();
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  auto* environment = new Environment(env);
  env.SetInstanceData<Environment>(environment);
  define_key(env, *environment);
  define_control(env, *environment);
  define_sealer(env, *environment);
  define_opened(env, *environment);
  define_reader(env, *environment);
  define_model(env, *environment);
  define_memory_file(env, *environment);
  define_legacy_reader(env, *environment);
  Napi::Array codes = Napi::Array::New(env);
  for (const char* code : kCodes)
    if (std::string(code) != "OK") codes.Set(codes.Length(), code);
  exports.Set("codes", codes);
  Napi::Object openssl = Napi::Object::New(env);
  openssl.Set("version", crypto::library_version());
  openssl.Set("own", crypto::library_is_own());
  exports.Set("openssl", openssl);
  exports.Set("sha256Engine", crypto::sha256_many_engine());
  export_function<set_max_array>(env, exports, "setMaxArray");
  export_keys(env, exports);
  export_hardware(env, exports);
  export_legacy(env, exports);
  export_files(env, exports);
  export_seal(env, exports);
  export_open(env, exports);
  export_derived(env, exports);
  export_remote(env, exports);
  export_parts(env, exports);
  export_process(env, exports);
  return exports;
}

}  // namespace
}  // namespace mg::addon

static Napi::Object model_guard_init(Napi::Env env, Napi::Object exports) { return mg::addon::init(env, exports); }
NODE_API_MODULE(model_guard, model_guard_init)
