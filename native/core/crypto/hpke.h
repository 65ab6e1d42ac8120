// HPKE (RFC 9180), base mode, single shot: DHKEM(X25519, HKDF-SHA256) 0x0020, HKDF-SHA256 0x0001, AES-GCM.
#pragma once
#include "crypto/crypto.h"

namespace mg::hpke {

enum class Aead : uint16_t { aes128gcm = 0x0001, aes256gcm = 0x0002 };  // containers use 0x0002; 0x0001 is there for the RFC's vectors
constexpr size_t kEnc = 32, kTag = 16;

// enc(32) || ciphertext || tag
Result<Bytes> seal(View recipient_public, View info, View aad, View plain, Aead aead = Aead::aes256gcm);
Result<Secret> open(View enc, View recipient_private, View info, View aad, View sealed, Aead aead = Aead::aes256gcm);

// RFC 9180, 7.1.3 DeriveKeyPair
Status derive_key_pair(View ikm, Span private_key, Span public_key);

// seal() with a given ephemeral key, for known-answer tests only
Result<Bytes> seal_with(View ephemeral_private, View recipient_public, View info, View aad, View plain, Aead aead);

}  // namespace mg::hpke
