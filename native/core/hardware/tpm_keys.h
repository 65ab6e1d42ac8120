// The primary keys of a TPM: the storage key is the parent of our values, the endorsement key identifies the TPM.
#pragma once
#include "hardware/tpm_connection.h"

namespace mg::hardware::tpm {

struct Parent {
  TransientHandle transient;  // empty for a persistent key
  tss2::Handle handle;
  Bytes name;
};

// The persistent storage key, else a new one of TCG's template. With a name, the one of the two with that name, so that it does no harm if
// a key was made persistent after a value was sealed. HARDWARE_MISMATCH: neither has the name.
Result<Parent> find_parent(Connection& tpm, View wanted);

// The name of the endorsement key of TCG's template L-2.
Result<Bytes> name_endorsement_key(Connection& tpm);

// Convert between a public area and its bytes (TPM2B_PUBLIC, which starts with its size).
Status read_public(Connection& tpm, View wire, tss2::Public* out);
Result<Bytes> write_public(Connection& tpm, const tss2::Public& area);

}  // namespace mg::hardware::tpm
