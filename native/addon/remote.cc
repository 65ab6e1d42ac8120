// Proofs and sealed messages between devices and servers (docs/server-protocol.md). Each call is short and runs on the JavaScript thread.
#include <array>

#include "convert.h"
#include "entry.h"
#include "handles.h"
#include "remote/field.h"
#include "remote/fragment.h"
#include "remote/proof.h"
#include "remote/state.h"

namespace mg::addon {
namespace {

remote::Purpose as_purpose(Napi::Value value) {
  const std::string name = as_string(value, "purpose");
  if (const auto purpose = remote::purpose_of(name)) return *purpose;
  raise_argument(value.Env(), "there is no purpose '" + name + "'");
}

template <size_t N>
Napi::Value array_to_js(Napi::Env env, const Result<std::array<uint8_t, N>>& result) {
  if (!result.ok()) raise(env, result.status());
  return to_js(env, View(*result));
}

Napi::Value to_js(Napi::Env env, Result<Bytes> result) { return addon::to_js(env, View(unwrap(env, std::move(result)))); }

Napi::Value to_js(Napi::Env env, Result<Region> result) {
  const Region region = unwrap(env, std::move(result));
  return addon::to_js(env, View(region.data(), region.size()));
}

Napi::Value sign(const Napi::CallbackInfo& info) {
  const remote::Purpose purpose = as_purpose(info[0]);
  if (purpose == remote::Purpose::enrolment) raise_argument(info.Env(), "an enrolment is proved, not signed");
  return array_to_js(info.Env(), remote::sign(purpose, *as_key(info[1]), as_bytes(info[2], "message")));
}

Napi::Value verify(const Napi::CallbackInfo& info) {
  const View key = as_bytes(info[1], "a public key"), message = as_bytes(info[2], "message"),
             signature = as_bytes(info[3], "signature");
  return Napi::Boolean::New(info.Env(), unwrap(info.Env(), remote::verify(as_purpose(info[0]), key, message, signature)));
}

Napi::Value seal_nonce(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto made =
      unwrap(env, remote::seal_nonce(as_bytes(info[0], "x25519"), as_bytes(info[1], "serverId"), as_bytes(info[2], "challenge")));
  Napi::Object out = Napi::Object::New(env);
  out.Set("nonce", addon::to_js(env, View(made.nonce)));
  out.Set("sealed", addon::to_js(env, View(made.sealed)));
  return out;
}

Napi::Value prove_enrolment(const Napi::CallbackInfo& info) {
  return array_to_js(info.Env(),
                     remote::prove_enrolment(*as_key(info[0]), as_bytes(info[1], "serverId"), as_bytes(info[2], "challenge"),
                                             as_bytes(info[3], "sealed"), as_bytes(info[4], "message")));
}

Napi::Value machine_identity(const Napi::CallbackInfo& info) {
  const auto identity = unwrap(info.Env(), remote::machine_identity(*as_key(info[0]), as_bytes(info[1], "serverId")));
  return identity ? Napi::Value(addon::to_js(info.Env(), View(*identity))) : info.Env().Undefined();
}

Napi::Value seal_state(const Napi::CallbackInfo& info) {
  return to_js(info.Env(), remote::seal_state(*as_key(info[0]), as_bytes(info[1], "serverId"), as_bytes(info[2], "state")));
}

Napi::Value open_state(const Napi::CallbackInfo& info) {
  return to_js(info.Env(), remote::open_state(*as_key(info[0]), as_bytes(info[1], "serverId"), as_bytes(info[2], "sealed")));
}

Napi::Value seal_fragment(const Napi::CallbackInfo& info) {
  return to_js(info.Env(), remote::seal_fragment(*as_key(info[0]), as_bytes(info[1], "x25519"), as_bytes(info[2], "serverId"),
                                                 as_string(info[3], "name")));
}

Napi::Value reseal_fragment(const Napi::CallbackInfo& info) {
  const Napi::Object request = as_object(info[0], "request");
  // A property may be a getter, and its script may move the memory of an earlier argument. So all properties are read before a view is taken.
  const Napi::Value key = request.Get("key"), sealed = request.Get("sealed"), x25519 = request.Get("x25519"),
                    server_id = request.Get("serverId"), name = request.Get("name"), given = request.Get("challenge");
  std::optional<View> challenge;
  if (!given.IsUndefined()) challenge = as_bytes(given, "challenge");
  return to_js(info.Env(), remote::reseal_fragment(*as_key(key), as_bytes(sealed, "sealed"), as_bytes(x25519, "x25519"),
                                                   as_bytes(server_id, "serverId"), as_string(name, "name"), challenge));
}

Napi::Value open_fragment(const Napi::CallbackInfo& info) {
  return new_key(info.Env(), unwrap(info.Env(), remote::open_fragment(*as_key(info[0]), as_bytes(info[1], "sealed"),
                                                                      as_bytes(info[2], "serverId"), as_string(info[3], "name"),
                                                                      as_bytes(info[4], "challenge"))));
}

Napi::Value new_subject_key(const Napi::CallbackInfo& info) {
  return to_js(info.Env(), remote::new_subject_key(*as_key(info[0]), as_bytes(info[1], "subject")));
}

Napi::Value seal_box(const Napi::CallbackInfo& info) {
  return to_js(info.Env(), remote::seal_box(*as_key(info[0]), as_bytes(info[1], "wrapped"), as_bytes(info[2], "subject"),
                                            as_bytes(info[3], "aad"), as_bytes(info[4], "plain")));
}

Napi::Value open_box(const Napi::CallbackInfo& info) {
  return to_js(info.Env(), remote::open_box(*as_key(info[0]), as_bytes(info[1], "wrapped"), as_bytes(info[2], "subject"),
                                            as_bytes(info[3], "aad"), as_bytes(info[4], "box")));
}

Napi::Value field_mac(const Napi::CallbackInfo& info) {
  const std::string use = as_string(info[1], "use");
  if (use != "index" && use != "url") raise_argument(info.Env(), "use must be index or url");
  return array_to_js(info.Env(), remote::field_mac(*as_key(info[0]), use == "index" ? remote::MacUse::index : remote::MacUse::url,
                                                   as_bytes(info[2], "message")));
}

}  // namespace

void export_remote(Napi::Env env, Napi::Object exports) {
  export_function<sign>(env, exports, "sign");
  export_function<verify>(env, exports, "verifySignature");
  export_function<seal_nonce>(env, exports, "sealNonce");
  export_function<prove_enrolment>(env, exports, "proveEnrolment");
  export_function<machine_identity>(env, exports, "machineIdentity");
  export_function<seal_state>(env, exports, "sealState");
  export_function<open_state>(env, exports, "openState");
  export_function<seal_fragment>(env, exports, "sealFragment");
  export_function<reseal_fragment>(env, exports, "resealFragment");
  export_function<open_fragment>(env, exports, "openFragment");
  export_function<new_subject_key>(env, exports, "newSubjectKey");
  export_function<seal_box>(env, exports, "sealBox");
  export_function<open_box>(env, exports, "openBox");
  export_function<field_mac>(env, exports, "fieldMac");
}

}  // namespace mg::addon
