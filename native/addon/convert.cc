#include "convert.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "handles.h"
#include "salts/salts.h"
#include "text/text.h"

namespace mg::addon {

Napi::Object to_js(Napi::Env env, const Status& status) {
  Napi::Object failure = Napi::Object::New(env);
  failure.Set("code", code_name(status.code));
  failure.Set("what", status.what);
  if (status.sys) failure.Set("errno", status.sys);
  return failure;
}

void raise(Napi::Env env, const Status& status) { throw Napi::Error(env, to_js(env, status)); }

void raise_argument(Napi::Env env, const std::string& what) { raise(env, Status(Code::INVALID_ARGUMENT, what)); }

namespace {

// Larger results are not allocated by V8, which ends the process if it has no memory.
constexpr size_t kLarge = size_t(1) << 20;

// An array over memory of its own; empty if this runtime has no such arrays.
Napi::Value external_copy(Napi::Env env, View bytes) {
  std::unique_ptr<void, decltype(&std::free)> copy(std::malloc(bytes.size), std::free);
  if (!copy)
    raise(env, Status(Code::OUT_OF_MEMORY, "no memory is left for a result of " + std::to_string(bytes.size) + " bytes"));
  std::memcpy(copy.get(), bytes.data, bytes.size);
  napi_value buffer;
  const napi_status made = napi_create_external_arraybuffer(
      env, copy.get(), bytes.size, [](napi_env, void* data, void*) { std::free(data); }, nullptr, &buffer);
  if (made == napi_no_external_buffers_allowed) return Napi::Value();
  copy.release();  // Node runs the finalizer even when it refuses for another reason
  if (made != napi_ok) raise(env, Status(Code::OUT_OF_MEMORY, "no memory is left for a result"));
  return Napi::Uint8Array::New(env, bytes.size, Napi::ArrayBuffer(env, buffer), 0);
}

}  // namespace

Napi::Uint8Array to_js(Napi::Env env, View bytes) {
  if (bytes.size > kLarge) {
    if (const Napi::Value array = external_copy(env, bytes); !array.IsEmpty()) return array.As<Napi::Uint8Array>();
  }
  Napi::Uint8Array array = Napi::Uint8Array::New(env, bytes.size);
  if (bytes.size) std::memcpy(array.Data(), bytes.data, bytes.size);
  return array;
}

Napi::String hex(Napi::Env env, View bytes) { return Napi::String::New(env, text::hex(bytes)); }

namespace {

Napi::Object to_js(Napi::Env env, const recipients::Policy& policy) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("notBefore", double(policy.not_before));
  out.Set("notAfter", double(policy.not_after));
  out.Set("offlineUntil", double(policy.offline_until));
  out.Set("leaseId", hex(env, View(policy.lease_id.data(), policy.lease_id.size())));
  out.Set("deviceId", hex(env, View(policy.device_id.data(), policy.device_id.size())));
  return out;
}

Napi::Object to_js(Napi::Env env, const recipients::Slot& slot) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("type", recipients::kind_name(slot.type));
  out.Set("number", double(slot.type));
  out.Set("critical", (slot.flags & recipients::kCritical) != 0);
  out.Set("keyId", hex(env, View(slot.key_id.data(), slot.key_id.size())));
  if (slot.policy) out.Set("policy", to_js(env, *slot.policy));
  if (const recipients::Kind* kind = recipients::find_kind(slot.type)) {
    if (const auto machine = kind->machine(slot)) out.Set("machine", addon::to_js(env, *machine));
  }
  return out;
}

}  // namespace

Napi::Object to_js(Napi::Env env, const hardware::Helper& helper) {
  Napi::Array factors = Napi::Array::New(env);
  for (const auto& factor : helper.factors) {
    Napi::Object one = Napi::Object::New(env);
    one.Set("name", hardware::kind_name(factor.kind));
    one.Set("weight", double(factor.weight));
    one.Set("required", factor.required);
    factors.Set(factors.Length(), one);
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("factors", factors);
  out.Set("atLeast", double(helper.threshold));
  out.Set("tpm", !helper.tpm.empty());
  out.Set("saltsId", hex(env, View(helper.salts_id)));
  out.Set("salts", helper.salts_id == salts::kDefaultId ? "default" : helper.salts_id == salts::id() ? "this build" : "other");
  return out;
}

Napi::Object to_js(Napi::Env env, const container::Header& header) {
  Napi::Object info = Napi::Object::New(env);
  info.Set("name", header.core.name);
  info.Set("version", header.core.version);
  info.Set("format", header.core.format);
  info.Set("created", header.core.created);
  info.Set("payloadId", header.core.payload_id);
  info.Set("plaintextSize", double(header.core.plaintext_size));
  info.Set("headerLength", double(header.size()));
  info.Set("payloadLength", double(header.payload_length));
  info.Set("digest", hex(env, View(header.digest.data(), header.digest.size())));
  Napi::Array slots = Napi::Array::New(env);
  for (const auto& slot : header.slots) slots.Set(slots.Length(), to_js(env, slot));
  info.Set("slots", slots);
  Napi::Array signatures = Napi::Array::New(env);
  for (const auto& signature : header.signatures) {
    Napi::Object out = Napi::Object::New(env);
    out.Set("role", signature.role == container::Role::publisher ? "publisher" : "lease");
    out.Set("keyId", hex(env, View(signature.key_id.data(), signature.key_id.size())));
    signatures.Set(signatures.Length(), out);
  }
  info.Set("signatures", signatures);
  return info;
}

std::string as_string(Napi::Value value, const char* what) {
  if (!value.IsString()) raise_argument(value.Env(), std::string(what) + " must be a string");
  std::string text = value.As<Napi::String>().Utf8Value();
  if (text.find('\0') != std::string::npos) raise_argument(value.Env(), std::string(what) + " holds a NUL character");
  return text;
}

uint64_t as_integer(Napi::Value value, const char* what) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0 && number < 9007199254740992.0) || number != double(uint64_t(number)))
    raise_argument(value.Env(), std::string(what) + " must be a whole number from 0 to 2^53 - 1");
  return uint64_t(number);
}

View as_bytes(Napi::Value value, const char* what) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array)
    raise_argument(value.Env(), std::string(what) + " must be a Uint8Array");
  auto array = value.As<Napi::Uint8Array>();
  return View(array.ByteLength() ? array.Data() : nullptr, array.ByteLength());
}

Bytes copy_bytes(Napi::Value value, const char* what) {
  const View bytes = as_bytes(value, what);
  return bytes.copy();
}

Napi::Object as_object(Napi::Value value, const char* what) {
  if (!value.IsObject()) raise_argument(value.Env(), std::string(what) + " must be an object");
  return value.As<Napi::Object>();
}

std::vector<Napi::Value> as_array(Napi::Value value, const char* what) {
  if (!value.IsArray()) raise_argument(value.Env(), std::string(what) + " must be an array");
  auto array = value.As<Napi::Array>();
  std::vector<Napi::Value> items;
  for (uint32_t i = 0; i < array.Length(); i++) items.push_back(array.Get(i));
  return items;
}

bool present(Napi::Object object, const char* name) {
  const Napi::Value value = object.Get(name);
  return !value.IsUndefined() && !value.IsNull();
}

std::optional<std::string> optional_string(Napi::Object object, const char* name) {
  if (!present(object, name)) return std::nullopt;
  return as_string(object.Get(name), name);
}

namespace {

keys::PublicKey as_public_key(Napi::Value value, const char* what, Status (*check)(View)) {
  const View bytes = as_bytes(value, what);
  if (auto s = check(bytes); !s.ok()) raise(value.Env(), Status(s.code, std::string(what) + ": " + s.what));
  keys::PublicKey key;
  std::copy(bytes.begin(), bytes.end(), key.begin());
  return key;
}

}  // namespace

keys::PublicKey as_x25519(Napi::Value value, const char* what) { return as_public_key(value, what, crypto::check_x25519_public); }
keys::PublicKey as_ed25519(Napi::Value value, const char* what) {
  return as_public_key(value, what, crypto::check_ed25519_public);
}

recipients::Identities as_identities(Napi::Object request) {
  recipients::Identities identities;
  for (const auto& item : as_array(request.Get("identities"), "identities")) identities.emplace_back(as_key(item));
  if (request.Get("hardware").ToBoolean()) identities.emplace_back();
  if (!present(request, "machines")) return identities;
  for (const auto& item : as_array(request.Get("machines"), "machines")) {
    identities.emplace_back();
    identities.back().machine = keys::key_id(as_x25519(item, "a machine's key"));
  }
  return identities;
}

namespace {

recipients::Recipient as_recipient(const Napi::Object& object) {
  if (present(object, "key")) return unwrap(object.Env(), recipients::shared_recipient(as_key(object.Get("key"))));
  const std::string name = as_string(object.Get("kind"), "kind");
  const recipients::Kind* kind = recipients::find_kind(name);
  if (!kind) raise_argument(object.Env(), "there is no kind of recipient '" + name + "'");
  return unwrap(object.Env(), recipients::public_recipient(*kind, as_bytes(object.Get("publicPart"), kind->name)));
}

}  // namespace

std::vector<recipients::Recipient> as_recipients(Napi::Value value) {
  std::vector<recipients::Recipient> recipients;
  for (const auto& item : as_array(value, "recipients")) recipients.push_back(as_recipient(as_object(item, "a recipient")));
  return recipients;
}

container::Trust as_trust(Napi::Value value) {
  const Napi::Object object = as_object(value, "trust");
  container::Trust trust;
  trust.name = optional_string(object, "name");
  trust.version = optional_string(object, "version");
  for (const auto& key : as_array(object.Get("publishers"), "publishers"))
    trust.publishers.push_back(as_ed25519(key, "a publisher's key"));
  if (present(object, "leaseKeys")) {
    for (const auto& key : as_array(object.Get("leaseKeys"), "leaseKeys"))
      trust.lease_keys.push_back(as_ed25519(key, "a lease key"));
  }
  // The system's clock. The caller's `seen` can only make the time later.
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  trust.now = uint64_t(std::max<int64_t>(0, std::chrono::duration_cast<std::chrono::seconds>(now).count()));
  if (present(object, "seen")) trust.now = std::max(trust.now, as_integer(object.Get("seen"), "seen"));
  trust.renewed = object.Get("renewed").ToBoolean();
  return trust;
}

std::shared_ptr<Work> as_work(Napi::Value value) {
  const Napi::Object object = as_object(value, "work");
  std::shared_ptr<Work> work = present(object, "control") ? as_control(object.Get("control")) : std::make_shared<Work>();
  if (work->in_use) raise_argument(value.Env(), "this control already belongs to a call in flight");
  if (present(object, "threads"))
    work->control.threads = unsigned(std::min<uint64_t>(as_integer(object.Get("threads"), "threads"), 1024));
  return work;
}

}  // namespace mg::addon
