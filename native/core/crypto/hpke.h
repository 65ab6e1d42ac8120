// HPKE (RFC 9180), base mode, single shot: DHKEM(X25519, HKDF-SHA256) 0x0020, HKDF-SHA256 0x0001, AES-GCM.
#pragma once
#include "crypto/crypto.h"

namespace mg::hpke {

// Containers use 0x0002; 0x0001 is there for the RFC's vectors.
enum class Aead : uint16_t { aes128gcm = 0x0001, aes256gcm = 0x0002 };
constexpr size_t kEnc = 32, kTag = 16;

// enc(32) || ciphertext || tag. KEY_INVALID for a public key that is refused.
Result<Bytes> seal(View recipient_public, View info, View aad, View plain, Aead aead = Aead::aes256gcm);
// KEY_INVALID for a private key of a wrong size; INTEGRITY_FAILED for every other mismatch.
Result<Secret> open(View enc, View recipient_private, View info, View aad, View sealed, Aead aead = Aead::aes256gcm);

// RFC 9180, 7.1.3 DeriveKeyPair; ikm of 32 bytes or more
Status derive_key_pair(View ikm, Span private_key, Span public_key);

// seal() with a given ephemeral key, for known-answer tests only
Result<Bytes> seal_with(View ephemeral_private, View recipient_public, View info, View aad, View plain, Aead aead);

}  // namespace mg::hpke
