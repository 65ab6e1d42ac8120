// Finds an identity and a slot that it opens (docs/format.md, section 9, steps 4 and 5).
#pragma once
#include "container/trust.h"
#include "recipients/kind.h"

namespace mg::container {

struct FoundKey {
  Secret data_key;
  bool has_policy;  // the slot that opened carries a policy
};
// Derivations that these identities can need of a container that this release made.
uint32_t usual_derivations(const recipients::Identities& identities);
// Slots that cost no derivation are tried first, then the cheapest. The first slot that opens is final. Where none does, the most
// specific reason: DERIVATIONS_EXCEEDED, NO_MATCHING_IDENTITY, SALTS_MISMATCH, TPM_*, HARDWARE_*, LEASE_*. `cancelled` is polled before
// each slot; `derivations` polls its own between two runs of scrypt.
Result<FoundKey> find_data_key(const Header& header, const crypto::Sha384& core_hash, const recipients::Identities& identities,
                               const Trust& trust, crypto::Derivations& derivations, const recipients::Cancelled* cancelled);

}  // namespace mg::container
