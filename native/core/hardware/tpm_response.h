// Classifies response codes of the TPM and of the library in front of it
// (TPM 2.0 Library, part 2, section 6.6; TSS 2.0 Overview, section 3.12).
#pragma once
#include <cstdint>
#include <string>

#include "status.h"

namespace mg::hardware::tpm {

enum class ResponseClass : uint8_t {
  success,
  retry,         // transient: the TPM is busy or limits its NV writes, or a PCR changed while the policy was checked
  locked,        // in lock-out, against guesses of passwords
  refused,       // the policy does not hold
  foreign,       // not an object of this TPM, or damaged
  unauthorized,  // a hierarchy or a key has a password
  unavailable,   // every other code
};
ResponseClass classify(uint32_t rc);

// The error for a response code other than success; `action` reads like "create the storage key".
Status refusal(uint32_t rc, const std::string& action);

}  // namespace mg::hardware::tpm
