// Primitives of the server protocol: sizes, labels, and the two ways to seal (docs/server-protocol.md).
#pragma once
#include <string_view>

#include "crypto/crypto.h"
#include "keys/keys.h"
#include "memory/region.h"

namespace mg::remote {

constexpr size_t kServerId = 16, kChallenge = 32, kPublicKey = 32;
constexpr size_t kGcmOverhead = 12 + 16;  // nonce in front, tag behind

// label || 0x00 || parts: the context of signatures, HPKE and derivations.
Bytes with_label(std::string_view label, std::initializer_list<View> parts);

Status check_size(const char* what, View bytes, size_t size);  // INVALID_ARGUMENT
Status check_type(const keys::Key& key, keys::Type type);      // KEY_TYPE_WRONG

// HPKE (docs/format.md, section 6) as enc || ct.
Result<Bytes> seal_to(View x25519, View info, View aad, View plain);
// `key` is a device key. INTEGRITY_FAILED also where the plaintext would not have `least` to `most` bytes.
Result<Secret> open_with(const keys::Key& key, View info, View aad, View sealed, size_t least, size_t most);

// AES-256-GCM as nonce || ct under a random nonce. At most 2^32 messages under one key.
Result<Bytes> seal_under(View key, View aad, View plain);
Status open_under(View key, View aad, View sealed, Span plain);  // plain.size == sealed.size - kGcmOverhead. INTEGRITY_FAILED

}  // namespace mg::remote
