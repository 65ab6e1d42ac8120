// Signatures of devices and servers, and the proof that a device holds both halves of its key (docs/server-protocol.md, sections 2, 3).
#pragma once
#include <optional>

#include "remote/primitives.h"

namespace mg::remote {

enum class Purpose : uint8_t { enrolment, lease_request, statement, checkpoint };
std::optional<Purpose> purpose_of(std::string_view name);

using Signature = std::array<uint8_t, 64>;
// A device key signs `enrolment` and `lease_request`, a signing key all other purposes. KEY_TYPE_WRONG.
Result<Signature> sign(Purpose purpose, const keys::Key& key, View message);
// INVALID_ARGUMENT for a public key of another size, KEY_INVALID for one of small order or not canonical; a signature of another size does not verify.
Result<bool> verify(Purpose purpose, View public_key, View message, View signature);

// A random nonce, and the same nonce sealed to a device.
struct SealedNonce {
  std::array<uint8_t, 32> nonce;
  Bytes sealed;
};
Result<SealedNonce> seal_nonce(View x25519, View server_id, View challenge);
// Opens the nonce with the one private key and signs message || nonce with the other. INTEGRITY_FAILED for a nonce that was sealed to
// another key, by another server or for another challenge.
Result<Signature> prove_enrolment(const keys::Key& key, View server_id, View challenge, View sealed, View message);

}  // namespace mg::remote
