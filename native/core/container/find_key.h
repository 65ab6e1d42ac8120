// Which identity opens which slot (docs/format.md, section 9, steps 4 and 5).
#pragma once
#include "container/slots.h"
#include "container/trust.h"

namespace mg::container {

struct FoundKey {
  Secret data_key;
  bool by_policy;  // the slot that opened carries a policy
};
// The first slot that opens is final. Where none does, the reason that tells most: NO_MATCHING_IDENTITY, SALTS_MISMATCH, TPM_*, HARDWARE_*,
// LEASE_*. `cancelled` is polled before each slot, and between two stretchings of a machine's factors.
Result<FoundKey> find_data_key(const Header& header, const crypto::Sha384& core_hash, const Identities& identities, const Trust& trust,
                               const Cancelled* cancelled);

}  // namespace mg::container
