// The primary keys of a TPM: the storage key is the parent of our values, the endorsement key identifies the TPM.
#pragma once
#include "hardware/tpm_connection.h"

namespace mg::hardware::tpm {

struct Parent {
  TransientHandle transient;  // the key that we made, if we did
  tss2::Handle handle;
  Bytes name;
};

// The persistent storage key, else the one of TCG's template. With a name, only the key of that name (HARDWARE_MISMATCH): a
// key made persistent, or evicted, after a value was sealed does no harm.
Result<Parent> find_parent(Connection& tpm, View wanted);

// The name of the endorsement key of TCG's template L-2.
Result<Bytes> name_endorsement_key(Connection& tpm);

// Between a public area and its bytes (TPM2B_PUBLIC, its size in front).
Status read_public(Connection& tpm, View wire, tss2::Public* out);
Result<Bytes> write_public(Connection& tpm, const tss2::Public& area);

}  // namespace mg::hardware::tpm
