#include "crypto/hpke.h"

#include "crypto/secret_buffer.h"

namespace mg::hpke {
namespace {

using crypto::Gcm;
using crypto::Hash;
using crypto::SecretBuffer;
using std::string_view;

constexpr size_t kKey = 32;    // Nsk, Npk, Nenc, Ndh, Nsecret of KEM 0x0020
constexpr size_t kHash = 32;   // Nh of KDF 0x0001
constexpr size_t kNonce = 12;  // Nn
constexpr string_view kVersion = "HPKE-v1";

#define MG_TRY(expression) \
  if (Status status_ = (expression); !status_.ok()) return status_

// RFC 9180, 4: the labels of the KEM and those of the rest are kept apart by their suite_id.
Bytes kem_suite() {
  Bytes id = View(string_view("KEM")).copy();
  append_be(id, uint16_t(0x0020));
  return id;
}
Bytes hpke_suite(Aead aead) {
  Bytes id = View(string_view("HPKE")).copy();
  append_be(id, uint16_t(0x0020));
  append_be(id, uint16_t(0x0001));
  append_be(id, uint16_t(aead));
  return id;
}
size_t key_size(Aead aead) { return aead == Aead::aes128gcm ? 16 : 32; }

// RFC 9180, 4. The parts of labeled_ikm go into the HMAC one by one: joined they would be one more copy of a secret.
Status labeled_extract(View suite, View salt, string_view label, View ikm, Span out) {
  return crypto::hmac(Hash::sha256, salt, {View(kVersion), suite, View(label), ikm}, out);
}
Status labeled_expand(View suite, View prk, string_view label, View info, Span out) {
  Bytes labeled_info;  // all of it is public
  append_be(labeled_info, uint16_t(out.size));
  for (View part : {View(kVersion), suite, View(label), info}) append(labeled_info, part);
  return crypto::hkdf_expand(Hash::sha256, prk, labeled_info, out);
}

// RFC 9180, 4.1, the common end of Encap and Decap: ExtractAndExpand(dh, enc || pkRm).
Status kem_secret(View private_key, View peer, View enc, View recipient_public, Span out) {
  SecretBuffer<kKey> dh;
  SecretBuffer<kHash> eae_prk;
  MG_TRY(crypto::x25519(private_key, peer, dh.span()));
  Bytes kem_context = enc.copy();
  append(kem_context, recipient_public);
  const Bytes suite = kem_suite();
  MG_TRY(labeled_extract(suite, View(), "eae_prk", dh.view(), eae_prk.span()));
  return labeled_expand(suite, eae_prk.view(), "shared_secret", kem_context, out);
}

// RFC 9180, 5.1, mode_base. The single message has sequence number 0, so its nonce is base_nonce itself (5.2).
Status key_schedule(View shared_secret, View info, Aead aead, Span key, Span nonce) {
  const Bytes suite = hpke_suite(aead);
  uint8_t context[1 + 2 * kHash] = {0};  // mode || psk_id_hash || info_hash
  MG_TRY(labeled_extract(suite, View(), "psk_id_hash", View(), Span(context + 1, kHash)));
  MG_TRY(labeled_extract(suite, View(), "info_hash", info, Span(context + 1 + kHash, kHash)));
  SecretBuffer<kHash> secret;
  MG_TRY(labeled_extract(suite, shared_secret, "secret", View(), secret.span()));
  MG_TRY(labeled_expand(suite, secret.view(), "key", context, key));
  return labeled_expand(suite, secret.view(), "base_nonce", context, nonce);
}

Status need(const char* thing, View key) {
  if (key.size == kKey) return {};
  return Status(Code::KEY_INVALID, std::string(thing) + " must be 32 bytes, not " + std::to_string(key.size));
}

}  // namespace

Result<Bytes> seal_with(View ephemeral_private, View recipient_public, View info, View aad, View plain, Aead aead) {
  MG_TRY(need("an ephemeral X25519 key", ephemeral_private));
  MG_TRY(need("an X25519 public key", recipient_public));
  Bytes out(kEnc + plain.size + kTag);
  const Span enc(out.data(), kEnc);
  MG_TRY(crypto::x25519_public(ephemeral_private, enc));
  SecretBuffer<kKey> shared, key;
  SecretBuffer<kNonce> nonce;
  MG_TRY(kem_secret(ephemeral_private, recipient_public, enc, recipient_public, shared.span()));
  MG_TRY(key_schedule(shared.view(), info, aead, key.span(key_size(aead)), nonce.span()));
  auto gcm = Gcm::create(key.view(key_size(aead)));
  if (!gcm.ok()) return gcm.status();
  if (!gcm->seal(nonce.view(), aad, plain, out.data() + kEnc))
    return Status(Code::INTERNAL, "OpenSSL cannot encrypt with AES-GCM");
  return out;
}

Result<Bytes> seal(View recipient_public, View info, View aad, View plain, Aead aead) {
  MG_TRY(crypto::check_x25519_public(recipient_public));
  SecretBuffer<kKey> ephemeral;
  MG_TRY(crypto::random_bytes(ephemeral.span()));
  return seal_with(ephemeral.view(), recipient_public, info, aad, plain, aead);
}

Result<Secret> open(View enc, View recipient_private, View info, View aad, View sealed, Aead aead) {
  const auto refused = [] { return Status(Code::INTEGRITY_FAILED, "the HPKE message is not one for this key"); };
  MG_TRY(need("an X25519 private key", recipient_private));
  if (enc.size != kEnc || sealed.size < kTag) return refused();
  uint8_t recipient_public[kKey];
  MG_TRY(crypto::x25519_public(recipient_private, recipient_public));
  SecretBuffer<kKey> shared, key;
  SecretBuffer<kNonce> nonce;
  if (Status status = kem_secret(recipient_private, enc, enc, recipient_public, shared.span()); !status.ok()) {
    // Here the peer's key is part of the message, so a bad one is a bad message.
    return status.code == Code::KEY_INVALID ? refused() : status;
  }
  MG_TRY(key_schedule(shared.view(), info, aead, key.span(key_size(aead)), nonce.span()));
  auto gcm = Gcm::create(key.view(key_size(aead)));
  if (!gcm.ok()) return gcm.status();

  if (sealed.size == kTag) {  // an empty plaintext; there is no empty page to put it on
    uint8_t nothing[1];
    return gcm->open(nonce.view(), aad, sealed, nothing) ? Result<Secret>(Secret()) : Result<Secret>(refused());
  }
  auto plain = Secret::allocate(sealed.size - kTag);
  if (plain.ok() && !gcm->open(nonce.view(), aad, sealed, plain->reveal_mut().data)) return refused();
  return plain;
}

Status derive_key_pair(View ikm, Span private_key, Span public_key) {
  if (ikm.size < kKey)
    return Status(Code::KEY_INVALID, "a key pair is derived from 32 bytes or more, not " + std::to_string(ikm.size));
  if (private_key.size != kKey || public_key.size != kKey)
    return Status(Code::INTERNAL, "room for an X25519 key must be 32 bytes");
  SecretBuffer<kHash> dkp_prk;
  const Bytes suite = kem_suite();
  MG_TRY(labeled_extract(suite, View(), "dkp_prk", ikm, dkp_prk.span()));
  MG_TRY(labeled_expand(suite, dkp_prk.view(), "sk", View(), private_key));
  Status status = crypto::x25519_public(private_key, public_key);
  if (!status.ok()) crypto::wipe(private_key);
  return status;
}

}  // namespace mg::hpke
