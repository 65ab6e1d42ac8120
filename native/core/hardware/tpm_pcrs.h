// The PCRs of a policy: whether the TPM has them, and whether anything was measured into them. Bit i of `pcrs` is PCR i of the SHA-256 bank.
#pragma once
#include "hardware/tpm_connection.h"

namespace mg::hardware::tpm {

tss2::PcrSelections select_pcrs(uint32_t pcrs);

// A TPM leaves PCRs that it does not have out of a policy, without an error. TPM_UNAVAILABLE.
Status check_bank(Connection& tpm, uint32_t pcrs);

// Of `pcrs`, those that hold no measurement: all bits are 0, or all are 1. The values read must give `policy`.
Result<uint32_t> find_unmeasured(Connection& tpm, uint32_t pcrs, View policy);

}  // namespace mg::hardware::tpm
