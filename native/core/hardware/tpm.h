// A TPM 2.0 as the keeper of one 32-byte value, through the system's tss2 library, loaded at run time. Every call opens its own
// connection and closes it; one that gets no answer is given up after 30 seconds, or at once when `cancelled` is set. It then ends by
// itself after the command that the TPM is at, and leaves nothing in the TPM; exit() waits up to 5 seconds for that. Sessions are salted and encrypt what crosses the bus (TPM 2.0 Library, part 1, section 19).
#pragma once
#include <atomic>
#include <string>

#include "memory/secret.h"
#include "status.h"

namespace mg::hardware::tpm {

constexpr uint32_t kDefaultPcrs = 1u << 7;  // PCR 7 of the SHA-256 bank: the secure boot state
constexpr size_t kMaxBlob = 2048;

using Cancelled = std::atomic<bool>;

// Whether there is a device to talk to: MODEL_GUARD_TCTI is set ("device:PATH" of a character device below /dev, links resolved, or
// "tabrmd"; builds for tests take other transports of tss2 too), or /dev/tpmrm0 or /dev/tpm0 exists. Says nothing of whether it may be
// used.
bool present();

struct Sealed {
  Bytes blob;    // public: the sealed object, its policy, the name of its parent
  Secret value;  // 32 random bytes
};
// A new random value, sealed under the storage primary key with a policy over `pcrs` (bit i: PCR i), and unsealed once.
// INVALID_ARGUMENT (no PCR, or one above 23), TPM_UNAVAILABLE, TPM_LOCKED.
Result<Sealed> seal(uint32_t pcrs, const Cancelled* cancelled = nullptr);
// TPM_UNAVAILABLE, TPM_LOCKED, TPM_REFUSED (other PCR values), HARDWARE_MISMATCH (another TPM), KEY_INVALID (no such blob).
Result<Secret> unseal(View blob, const Cancelled* cancelled = nullptr);
bool is_blob(View blob);        // well-formed; contacts nothing
bool is_unmeasured(View blob);  // nothing had been measured into its PCRs, so that they do not depend on the boot state

// Waits at most 5 seconds until calls that were cancelled, or were given up, have left the TPM and their threads have ended.
void join_cancelled();

// The name (algorithm and SHA-256) of the endorsement key of TCG's default ECC P-256 template. TPM_UNAVAILABLE, TPM_LOCKED.
Result<Bytes> endorsement_name(const Cancelled* cancelled = nullptr);

}  // namespace mg::hardware::tpm
