// The core's primitives, callable from the tests with plain bytes. The product never exposes them: there, keys are handles.
#include <napi.h>

#include "crypto/crypto.h"
#include "crypto/hpke.h"
#include "legacy/legacy.h"
#include "payload/payload.h"

using namespace mg;

namespace {

View bytes(const Napi::CallbackInfo& info, size_t i) {
  auto array = info[i].As<Napi::Uint8Array>();
  return View(array.Data(), array.ByteLength());
}

Napi::Value give(const Napi::CallbackInfo& info, View v) {
  auto array = Napi::Uint8Array::New(info.Env(), v.size);
  if (v.size) std::memcpy(array.Data(), v.data, v.size);
  return array;
}

Napi::Value refused(const Napi::CallbackInfo& info) { return info.Env().Null(); }

crypto::Hash hash_of(const Napi::CallbackInfo& info, size_t i) {
  const std::string name = info[i].As<Napi::String>();
  return name == "sha256" ? crypto::Hash::sha256 : name == "sha384" ? crypto::Hash::sha384 : crypto::Hash::sha512;
}

Napi::Value gcm_seal(const Napi::CallbackInfo& info) {
  auto gcm = crypto::Gcm::create(bytes(info, 0));
  if (!gcm.ok()) return refused(info);
  Bytes out(bytes(info, 3).size + 16);
  return gcm->seal(bytes(info, 1), bytes(info, 2), bytes(info, 3), out.data()) ? give(info, out) : refused(info);
}

Napi::Value gcm_open(const Napi::CallbackInfo& info) {
  auto gcm = crypto::Gcm::create(bytes(info, 0));
  const View sealed = bytes(info, 3);
  if (!gcm.ok() || sealed.size < 16) return refused(info);
  Bytes out(sealed.size - 16 + 1);  // never an empty buffer
  if (!gcm->open(bytes(info, 1), bytes(info, 2), sealed, out.data())) return refused(info);
  return give(info, View(out).sub(0, sealed.size - 16));
}

Napi::Value legacy_seal(const Napi::CallbackInfo& info) {
  payload::MemorySource plain(bytes(info, 2));
  Bytes out(size_t(legacy::sealed_size(plain.size())));
  payload::MemorySink sink{Span(out)};
  const work::Control control;
  return legacy::encrypt_with(bytes(info, 0), bytes(info, 1), plain, sink, control).ok() ? give(info, out) : refused(info);
}

Napi::Value legacy_open(const Napi::CallbackInfo& info) {
  auto key = Secret::copy(bytes(info, 0));
  if (!key.ok()) return refused(info);
  auto plain = legacy::Decrypted::open_with(std::move(*key), std::make_shared<payload::MemorySource>(bytes(info, 1)));
  if (!plain.ok()) return refused(info);
  Bytes out(size_t((*plain)->size()));
  return (*plain)->read(0, out).ok() ? give(info, out) : refused(info);
}

Napi::Value hkdf(const Napi::CallbackInfo& info) {
  Bytes out(info[4].As<Napi::Number>().Uint32Value());
  return crypto::hkdf(hash_of(info, 0), bytes(info, 1), bytes(info, 2), bytes(info, 3), out).ok() ? give(info, out) : refused(info);
}

Napi::Value hmac(const Napi::CallbackInfo& info) {
  Bytes out(crypto::hash_size(hash_of(info, 0)));
  return crypto::hmac(hash_of(info, 0), bytes(info, 1), {bytes(info, 2)}, out).ok() ? give(info, out) : refused(info);
}

Napi::Value x25519(const Napi::CallbackInfo& info) {
  Bytes out(32);
  return crypto::x25519(bytes(info, 0), bytes(info, 1), out).ok() ? give(info, out) : refused(info);
}

Napi::Value ed25519_verify(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), crypto::ed25519_verify(bytes(info, 0), bytes(info, 1), bytes(info, 2)));
}

Napi::Value ed25519_sign(const Napi::CallbackInfo& info) {
  Bytes out(64);
  return crypto::ed25519_sign(bytes(info, 0), bytes(info, 1), out).ok() ? give(info, out) : refused(info);
}

struct Into : payload::Target {
  Bytes plain;
  uint8_t* at(uint64_t chunk) override { return plain.data() + chunk * payload::kChunk; }
};

Napi::Value chunked_open(const Napi::CallbackInfo& info) {
  const View message = bytes(info, 2);
  uint64_t size = 0;
  if (!payload::plaintext_size(message.size, &size)) return refused(info);
  auto keys = payload::derive(bytes(info, 0), message.sub(0, payload::kSalt), bytes(info, 1));
  if (!keys.ok() || !crypto::equal(View(keys->commitment), message.sub(payload::kSalt, payload::kCommitment))) return refused(info);
  Into into;
  into.plain.resize(size_t(size) + 1);
  payload::MemorySource source(message);
  work::Pool pool(1);
  const work::Control control;
  auto s = payload::decrypt_range(*keys, size, 0, payload::chunk_count(size), source, into, nullptr, message.sub(0, payload::kPrefix), pool, control);
  return s.ok() ? give(info, View(into.plain).sub(0, size_t(size))) : refused(info);
}

Napi::Value chunked_keys(const Napi::CallbackInfo& info) {
  const View message = bytes(info, 2);
  if (message.size < payload::kPrefix) return refused(info);
  auto keys = payload::derive(bytes(info, 0), message.sub(0, payload::kSalt), bytes(info, 1));
  if (!keys.ok()) return refused(info);
  Napi::Object out = Napi::Object::New(info.Env());
  out.Set("key", give(info, keys->key.reveal()));
  out.Set("baseNonce", give(info, View(keys->base_nonce)));
  return out;
}

Napi::Value hpke_seal(const Napi::CallbackInfo& info) {
  auto sealed = hpke::seal(bytes(info, 0), bytes(info, 1), bytes(info, 2), bytes(info, 3));
  return sealed.ok() ? give(info, *sealed) : refused(info);
}

Napi::Value hpke_open(const Napi::CallbackInfo& info) {
  auto opened = hpke::open(bytes(info, 0), bytes(info, 1), bytes(info, 2), bytes(info, 3), bytes(info, 4));
  return opened.ok() ? give(info, opened->reveal()) : refused(info);
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  Napi::Object v = Napi::Object::New(env);
  v.Set("gcmSeal", Napi::Function::New<gcm_seal>(env));
  v.Set("gcmOpen", Napi::Function::New<gcm_open>(env));
  v.Set("legacySeal", Napi::Function::New<legacy_seal>(env));
  v.Set("legacyOpen", Napi::Function::New<legacy_open>(env));
  v.Set("hkdf", Napi::Function::New<hkdf>(env));
  v.Set("hmac", Napi::Function::New<hmac>(env));
  v.Set("x25519", Napi::Function::New<x25519>(env));
  v.Set("ed25519Verify", Napi::Function::New<ed25519_verify>(env));
  v.Set("ed25519Sign", Napi::Function::New<ed25519_sign>(env));
  v.Set("chunkedOpen", Napi::Function::New<chunked_open>(env));
  v.Set("chunkedKeys", Napi::Function::New<chunked_keys>(env));
  v.Set("hpkeSeal", Napi::Function::New<hpke_seal>(env));
  v.Set("hpkeOpen", Napi::Function::New<hpke_open>(env));
  exports.Set("vectors", v);
  return exports;
}

}  // namespace

NODE_API_MODULE(vectors, init)
