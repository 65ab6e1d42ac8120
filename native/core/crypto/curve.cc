#include "crypto/evp.h"
#include "crypto/secret_buffer.h"

namespace mg::crypto {
namespace {

constexpr size_t kKey = 32, kSignature = 64;

// The copy inside the EVP_PKEY is wiped when it is freed.
Owned<EVP_PKEY> private_of(const char* type, View key) {
  return Owned<EVP_PKEY>(EVP_PKEY_new_raw_private_key_ex(nullptr, type, nullptr, key.data, key.size));
}
Owned<EVP_PKEY> public_of(const char* type, View key) {
  return Owned<EVP_PKEY>(EVP_PKEY_new_raw_public_key_ex(nullptr, type, nullptr, key.data, key.size));
}

Status derive_public(const char* type, View private_key, Span public_key) {
  const ErrorMark mark;
  const StackWipe stack;
  if (private_key.size != kKey) return fail(public_key, Code::KEY_INVALID, wrong_size("a private key", kKey, private_key.size));
  if (public_key.size != kKey)
    return fail(public_key, Code::INTERNAL, wrong_size("room for a public key", kKey, public_key.size));
  const Owned<EVP_PKEY> key = private_of(type, private_key);
  size_t size = kKey;
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), public_key.data, &size) != 1 || size != kKey)
    return fail(public_key, Code::INTERNAL, std::string("OpenSSL cannot compute the public key for ") + type);
  return {};
}

}  // namespace

Status x25519_public(View private_key, Span public_key) { return derive_public("X25519", private_key, public_key); }
Status ed25519_public(View seed, Span public_key) { return derive_public("ED25519", seed, public_key); }

Status x25519(View private_key, View peer_public, Span shared) {
  const ErrorMark mark;
  const StackWipe stack;
  if (private_key.size != kKey)
    return fail(shared, Code::KEY_INVALID, wrong_size("an X25519 private key", kKey, private_key.size));
  if (peer_public.size != kKey)
    return fail(shared, Code::KEY_INVALID, wrong_size("an X25519 public key", kKey, peer_public.size));
  if (shared.size != kKey) return fail(shared, Code::INTERNAL, wrong_size("room for a shared secret", kKey, shared.size));
  if (auto s = check_process(); !s.ok()) return fail(shared, s.code, s.what);
  const Owned<EVP_PKEY> key = private_of("X25519", private_key);
  const Owned<EVP_PKEY> peer = public_of("X25519", peer_public);
  const Owned<EVP_PKEY_CTX> ctx(key ? EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr) : nullptr);
  if (!peer || !ctx || EVP_PKEY_derive_init(ctx.get()) != 1 || EVP_PKEY_derive_set_peer(ctx.get(), peer.get()) != 1)
    return fail(shared, Code::INTERNAL, "OpenSSL cannot set up X25519");

  // RFC 7748, 6.1 and RFC 9180, 7.1.4: a peer of small order gives zeros for every private key. OpenSSL refuses it too;
  // the check here does not depend on that.
  static const uint8_t zeros[kKey] = {};
  size_t size = kKey;
  const bool derived = EVP_PKEY_derive(ctx.get(), shared.data, &size) == 1 && size == kKey;
  if (!derived || crypto::equal(shared, zeros))
    return fail(shared, Code::KEY_INVALID, "the X25519 public key has small order, no secret can be shared with it");
  return {};
}

Status ed25519_sign(View seed, View message, Span signature) {  // RFC 8032, 5.1.6
  const ErrorMark mark;
  const StackWipe stack;
  if (seed.size != kKey) return fail(signature, Code::KEY_INVALID, wrong_size("an Ed25519 private key", kKey, seed.size));
  if (signature.size != kSignature)
    return fail(signature, Code::INTERNAL, wrong_size("room for a signature", kSignature, signature.size));
  if (auto s = check_process(); !s.ok()) return fail(signature, s.code, s.what);
  const Owned<EVP_PKEY> key = private_of("ED25519", seed);
  const Owned<EVP_MD_CTX> ctx(EVP_MD_CTX_new());
  size_t size = kSignature;
  if (!key || !ctx || EVP_DigestSignInit_ex(ctx.get(), nullptr, nullptr, nullptr, nullptr, key.get(), nullptr) != 1 ||
      EVP_DigestSign(ctx.get(), signature.data, &size, not_null(message), message.size) != 1 || size != kSignature) {
    return fail(signature, Code::INTERNAL, "OpenSSL cannot make an Ed25519 signature");
  }
  return {};
}

bool ed25519_verify(View public_key, View message, View signature) {  // RFC 8032, 5.1.7
  const ErrorMark mark;
  if (!check_ed25519_public(public_key).ok() || signature.size != kSignature) return false;
  const Owned<EVP_PKEY> key = public_of("ED25519", public_key);
  const Owned<EVP_MD_CTX> ctx(EVP_MD_CTX_new());
  return key && ctx && EVP_DigestVerifyInit_ex(ctx.get(), nullptr, nullptr, nullptr, nullptr, key.get(), nullptr) == 1 &&
         EVP_DigestVerify(ctx.get(), signature.data, signature.size, not_null(message), message.size) == 1;
}

}  // namespace mg::crypto
