// Which identity opens which slot (docs/format.md, section 9, steps 4 and 5).
#pragma once
#include "container/slots.h"
#include "container/trust.h"

namespace mg::container {

struct FoundKey {
  Secret data_key;
  bool by_policy;  // the slot that opened carries a policy
};
// Derivations that these identities can need of a container that this release made: each passphrase once at its highest cost, and of
// this machine every factor of every slot, or of the slots that it is named by (docs/decisions/0022).
uint32_t usual_derivations(const Identities& identities);
// Slots that cost no derivation are tried first, then the cheapest. The first slot that opens is final. Where none does, the reason that
// tells most: DERIVATIONS_EXCEEDED, NO_MATCHING_IDENTITY, SALTS_MISMATCH, TPM_*, HARDWARE_*, LEASE_*. `cancelled` is polled before each
// slot; `derivations` polls its own between two runs of scrypt.
Result<FoundKey> find_data_key(const Header& header, const crypto::Sha384& core_hash, const Identities& identities, const Trust& trust,
                               crypto::Derivations& derivations, const Cancelled* cancelled);

}  // namespace mg::container
