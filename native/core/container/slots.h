// Wrapping the data key for a recipient, and getting it back with an identity (docs/format.md, section 6).
#pragma once
#include <memory>
#include <variant>
#include "container/header.h"
#include "hardware/binding.h"

namespace mg::container {

// Who a container is encrypted to: a public key, a machine, or a secret that both sides share (master key, passphrase).
struct Recipient {
  std::optional<keys::PublicKey> x25519;
  std::shared_ptr<const keys::Key> shared;
  std::shared_ptr<const hardware::Binding> machine = nullptr;
};

// Who opens one: a key, or this machine by what it is made of.
struct Identity {
  std::shared_ptr<const keys::Key> key;  // null: this machine
  std::optional<keys::KeyId> machine;    // this machine's slot has that key id; others need not be tried, which takes time
  Identity() = default;
  Identity(std::shared_ptr<const keys::Key> k) : key(std::move(k)) {}
};
using Identities = std::vector<Identity>;
using Cancelled = std::atomic<bool>;

Result<Slot> wrap(const Recipient& recipient, View data_key, const crypto::Sha384& core_hash,
                  const std::optional<Policy>& policy = std::nullopt);

// A slot for each of 1 to 32 recipients, at most one of them a passphrase.
Result<std::vector<Slot>> wrap_all(const std::vector<Recipient>& recipients, View data_key, const crypto::Sha384& core_hash,
                                   const std::optional<Policy>& policy = std::nullopt);

// Could this key open that slot? A hint from type and key id; unwrap() decides.
bool matches(const Slot& slot, const keys::Key& identity);
// Runs of scrypt that trying this slot takes at most, in units; 0 where it takes none.
uint32_t derivations_of(const Slot& slot);
// The data key. NO_MATCHING_IDENTITY; of a passphrase also DERIVATIONS_EXCEEDED, ABORT_ERR.
Result<Secret> unwrap(const Slot& slot, const keys::Key& identity, const crypto::Sha384& core_hash, crypto::Derivations& derivations);
// The data key of a hardware slot. NO_MATCHING_IDENTITY, and what hardware::open() says.
Result<Secret> unwrap(const Slot& slot, hardware::Stretched& machine, const crypto::Sha384& core_hash, const Cancelled* cancelled);
hardware::Helper helper_of(const Slot& slot);  // of a parsed hardware slot

}  // namespace mg::container
