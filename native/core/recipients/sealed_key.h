// The two ways in which kinds seal the data key at the end of a slot's body (docs/format.md, section 6). Both authenticate every byte of
// the slot before its body.
#pragma once
#include "recipients/slot.h"

namespace mg::recipients {

constexpr size_t kSealedToPublic = 80;  // enc(32) || ct(48)
constexpr size_t kSealedUnderKey = 48;  // ct

// HPKE to an X25519 key. Appends enc || ct to the body and sets the key id. KEY_INVALID.
Status seal_to_public(Slot& slot, const keys::PublicKey& key, View data_key, View info);
// Opens the last kSealedToPublic bytes of the body. NO_MATCHING_IDENTITY.
Result<Secret> open_with_private(const Slot& slot, View private_key, View info);

// AES-256-GCM under HKDF-SHA-384(secret, salt, info), with a nonce of zeros: `salt` is random, so that each key encrypts once.
// Appends ct to the body.
Status seal_under_secret(Slot& slot, View secret, View salt, View data_key, View info);
// Opens the last kSealedUnderKey bytes of the body. NO_MATCHING_IDENTITY.
Result<Secret> open_under_secret(const Slot& slot, View secret, View salt, View info);

}  // namespace mg::recipients
