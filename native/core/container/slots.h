// Wrapping the data key for a recipient, and getting it back with an identity (docs/format.md, section 6).
#pragma once
#include <memory>
#include <variant>
#include "container/header.h"

namespace mg::container {

// Who a container is encrypted to: a public key, or a secret that both sides share (master key, passphrase).
struct Recipient {
  std::optional<keys::PublicKey> x25519;
  std::shared_ptr<const keys::Key> shared;
};

Result<Slot> wrap(const Recipient& recipient, View data_key, const crypto::Sha384& core_hash,
                  const std::optional<Policy>& policy = std::nullopt);

// A slot for each of 1 to 32 recipients, at most one of them a passphrase.
Result<std::vector<Slot>> wrap_all(const std::vector<Recipient>& recipients, View data_key, const crypto::Sha384& core_hash,
                                   const std::optional<Policy>& policy = std::nullopt);

// Could this identity open that slot? A hint from type and key id; unwrap() decides.
bool matches(const Slot& slot, const keys::Key& identity);
// The data key, or NO_MATCHING_IDENTITY.
Result<Secret> unwrap(const Slot& slot, const keys::Key& identity, const crypto::Sha384& core_hash);

}  // namespace mg::container
