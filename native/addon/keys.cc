#include <cstdlib>

#include "container/manifest.h"
#include "convert.h"
#include "crypto/crypto.h"
#include "entry.h"
#include "handles.h"

namespace mg::addon {
namespace {

const napi_type_tag kKeyTag = tag_of(0x6d672d6b65790001);
const napi_type_tag kControlTag = tag_of(0x6d672d63746c0001);

class KeyHandle : public Handle<KeyHandle> {
 public:
  explicit KeyHandle(const Napi::CallbackInfo& info)
      : Handle(info), key(constructed_from<std::shared_ptr<const keys::Key>>(info)) {
    info.This().As<Napi::Object>().TypeTag(&kKeyTag);
  }
  const std::shared_ptr<const keys::Key> key;
};

class ControlHandle : public Handle<ControlHandle> {
 public:
  explicit ControlHandle(const Napi::CallbackInfo& info) : Handle(info), work(constructed_from<std::shared_ptr<Work>>(info)) {
    info.This().As<Napi::Object>().TypeTag(&kControlTag);
  }
  void cancel(const Napi::CallbackInfo&) { work->cancel(); }
  Napi::Value done(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), double(work->done.load())); }
  const std::shared_ptr<Work> work;
};

Napi::Value control(const Napi::CallbackInfo& info) {
  auto work = std::make_shared<Work>();
  return construct(info.Env(), Environment::of(info.Env()).control, work);
}

Napi::Value generate(const Napi::CallbackInfo& info) {
  const std::string type = as_string(info[0], "type");
  for (auto t : {keys::Type::master, keys::Type::device, keys::Type::signing})
    if (type == keys::type_name(t)) return new_key(info.Env(), unwrap(info.Env(), keys::Key::generate(t)));
  raise_argument(info.Env(), "no key is of type '" + type + "'");
}

// Either reader: a key may come through a pipe, and lie on a slow or hanging file system.
Napi::Value read_file(const Napi::CallbackInfo& info,
                      Result<keys::FromFile> (*read)(const std::string&, const keys::Cancelled*)) {
  auto found = std::make_shared<keys::FromFile>();
  const std::string path = as_string(info[0], "path");
  Job job;
  job.work = info[1].IsUndefined() ? std::make_shared<Work>() : as_control(info[1]);
  job.waits = Job::Waits::file;
  job.compute = [found, path, read, work = job.work.get()](work::Pool&) -> Status {
    auto result = read(path, &work->control.cancelled);
    if (!result.ok()) return result.status();
    *found = std::move(*result);
    return {};
  };
  job.result = [found](Napi::Env env) -> Napi::Value {
    Napi::Object out = Napi::Object::New(env);
    out.Set("key", new_key(env, found->key));
    out.Set("tooOpen", found->too_open);
    return out;
  };
  return Environment::of(info.Env()).run(info.Env(), std::move(job));
}

Napi::Value read_key_file(const Napi::CallbackInfo& info) { return read_file(info, keys::read_key_file); }
Napi::Value read_passphrase_file(const Napi::CallbackInfo& info) { return read_file(info, keys::read_passphrase_file); }

Napi::Value passphrase_from_environment(const Napi::CallbackInfo& info) {
  const std::string name = as_string(info[0], "name");
  const char* value = std::getenv(name.c_str());
  if (!value) raise(info.Env(), Status(Code::NOT_FOUND, "the environment variable " + name + " is not set"));
  return new_key(info.Env(), unwrap(info.Env(), keys::Key::from_passphrase(View(std::string_view(value)))));
}

Napi::Value passphrase_from_bytes(const Napi::CallbackInfo& info) {
  return new_key(info.Env(), unwrap(info.Env(), keys::Key::from_passphrase(as_bytes(info[0], "passphrase"))));
}

Napi::Value write_key_file(const Napi::CallbackInfo& info) {
  Job job;
  job.waits = Job::Waits::file;
  job.compute = [key = as_key(info[0]), path = as_string(info[1], "path")](work::Pool&) {
    return keys::write_key_file(*key, path);
  };
  job.result = [](Napi::Env env) { return env.Undefined(); };
  return Environment::of(info.Env()).run(info.Env(), std::move(job));
}

Napi::Value key_type(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), keys::type_name(as_key(info[0])->type()));
}

Napi::Value public_keys(const Napi::CallbackInfo& info) {
  const auto key = as_key(info[0]);
  Napi::Object out = Napi::Object::New(info.Env());
  if (key->type() == keys::Type::device) out.Set("x25519", to_js(info.Env(), View(key->x25519_public().data(), 32)));
  if (key->type() == keys::Type::device || key->type() == keys::Type::signing)
    out.Set("ed25519", to_js(info.Env(), View(key->ed25519_public().data(), 32)));
  return out;
}

Napi::Value same_key(const Napi::CallbackInfo& info) {
  const auto one = as_key(info[0]), other = as_key(info[1]);
  if (auto s = check_process(); !s.ok()) raise(info.Env(), s);  // keys are zeros in a forked child
  const bool same = one->type() == other->type() && crypto::equal(one->secret().reveal(), other->secret().reveal());
  return Napi::Boolean::New(info.Env(), same);
}

Napi::Value check_public_key(const Napi::CallbackInfo& info) {
  const std::string curve = as_string(info[0], "curve");
  if (curve == "x25519") as_x25519(info[1], "the key");
  else if (curve == "ed25519") as_ed25519(info[1], "the key");
  else raise_argument(info.Env(), "there is no curve '" + curve + "'");
  return info.Env().Undefined();
}

Napi::Value check_path(const Napi::CallbackInfo& info) {
  if (auto s = container::check_path(as_string(info[0], "path")); !s.ok()) raise(info.Env(), s);
  return info.Env().Undefined();
}

}  // namespace

std::shared_ptr<const keys::Key> as_key(Napi::Value value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kKeyTag))
    raise_argument(value.Env(), "this key was made by another copy of the package in this process; use one copy for both");
  return KeyHandle::Unwrap(value.As<Napi::Object>())->key;
}

Napi::Value new_key(Napi::Env env, std::shared_ptr<const keys::Key> key) { return construct(env, Environment::of(env).key, key); }

std::shared_ptr<Work> as_control(Napi::Value value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kControlTag))
    raise_argument(value.Env(), "this is not a control");
  return ControlHandle::Unwrap(value.As<Napi::Object>())->work;
}

void define_key(Napi::Env env, Environment& environment) {
  environment.key = Napi::Persistent(KeyHandle::DefineClass(env, "Key", {}));
}

void define_control(Napi::Env env, Environment& environment) {
  environment.control = Napi::Persistent(ControlHandle::DefineClass(env, "Control",
                                                                    {
                                                                        ControlHandle::define<&ControlHandle::cancel>("cancel"),
                                                                        ControlHandle::define<&ControlHandle::done>("done"),
                                                                    }));
}

void export_keys(Napi::Env env, Napi::Object exports) {
  export_function<control>(env, exports, "control");
  export_function<generate>(env, exports, "generateKey");
  export_function<read_key_file>(env, exports, "readKeyFile");
  export_function<read_passphrase_file>(env, exports, "readPassphraseFile");
  export_function<passphrase_from_environment>(env, exports, "passphraseFromEnvironment");
  export_function<passphrase_from_bytes>(env, exports, "passphraseFromBytes");
  export_function<write_key_file>(env, exports, "writeKeyFile");
  export_function<key_type>(env, exports, "keyType");
  export_function<public_keys>(env, exports, "publicKeys");
  export_function<same_key>(env, exports, "sameKey");
  export_function<check_public_key>(env, exports, "checkPublicKey");
  export_function<check_path>(env, exports, "checkPath");
}

}  // namespace mg::addon
