#include "container/trust.h"

#include <algorithm>

namespace mg::container {
namespace {

bool verifies(const Header& header, Role role, const std::vector<keys::PublicKey>& keys, const crypto::Sha384& core_hash) {
  const Signature* signature = header.signature(role);
  if (!signature) return false;
  const Bytes preimage = header.signed_bytes(role, core_hash);
  if (preimage.empty()) return false;
  return std::any_of(keys.begin(), keys.end(), [&](const keys::PublicKey& key) {
    return keys::key_id(key) == signature->key_id &&
           crypto::ed25519_verify(View(key.data(), key.size()), preimage, View(signature->bytes.data(), 64));
  });
}

}  // namespace

Status check_origin(const Header& header, const Trust& trust, const crypto::Sha384& core_hash) {
  const std::string is = header.core.name + "@" + header.core.version;
  if ((trust.name && *trust.name != header.core.name) || (trust.version && *trust.version != header.core.version))
    return Status(Code::REFERENCE_MISMATCH, "this is " + is + ", not " + trust.name.value_or(header.core.name) + "@" +
                                                trust.version.value_or(header.core.version));
  if (trust.publishers.empty()) return {};
  if (!header.signature(Role::publisher)) return Status(Code::SIGNATURE_MISSING, is + " is not signed by any publisher");
  if (!verifies(header, Role::publisher, trust.publishers, core_hash))
    return Status(Code::SIGNATURE_INVALID, is + " is not signed by an accepted publisher");
  return {};
}

bool lease_verifies(const Header& header, const Trust& trust, const crypto::Sha384& core_hash) {
  return verifies(header, Role::lease, trust.lease_keys, core_hash);
}

Status check_policy(const recipients::Slot& slot, bool lease_verified, const Trust& trust) {
  if (!slot.policy) return {};
  const recipients::Policy& policy = *slot.policy;
  if (!lease_verified) return Status(Code::LEASE_UNTRUSTED, "the lease is not signed by a server key that this machine trusts");
  if (trust.now < policy.not_before) return Status(Code::LEASE_NOT_YET_VALID, "the lease is not valid yet");
  if (trust.now >= policy.not_after) return Status(Code::LEASE_EXPIRED, "the lease has expired");
  // The caller's claim is not enough: the not-before that the server signed must confirm it.
  const bool renewed = trust.renewed && trust.now - policy.not_before <= kNewSeconds;
  if (!renewed && trust.now > policy.offline_until)
    return Status(Code::LEASE_EXPIRED, "the lease was good without its server until its offline-until, which has passed");
  return {};
}

}  // namespace mg::container
