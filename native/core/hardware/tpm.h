// Seals 32-byte values in a TPM 2.0, through the system's tss2 library, which is loaded at run time. Each call opens its own connection and
// closes it. Sessions are salted and encrypt what crosses the bus (TPM 2.0 Library, part 1, section 19).
//
// A call waits at most 70 seconds for earlier calls of this process, then at most 35 seconds for other programs with the device, and then
// at most 30 seconds for the TPM's answer; it returns at once when `cancelled` is set. Its thread ends after the command that the TPM is at, and leaves nothing
// in the TPM. exit() waits up to 5 seconds for that.
#pragma once
#include <atomic>
#include <string>

#include "memory/secret.h"
#include "status.h"

namespace mg::hardware::tpm {

constexpr uint32_t kDefaultPcrs = 1u << 7;  // PCR 7 of the SHA-256 bank: the secure boot state
constexpr size_t kMaxBlob = 2048;

using Cancelled = std::atomic<bool>;

// Whether there may be a TPM: MODEL_GUARD_TCTI is set ("device:PATH" of a character device below /dev, links resolved, or "tabrmd"; builds
// for tests take other transports of tss2 too), or /dev/tpmrm0 or /dev/tpm0 exists. It may still be out of this user's reach.
bool present();
bool needs_root();  // root alone may use that device

struct Sealed {
  Bytes blob;               // public: the sealed object, its policy, the name of its parent
  Secret value;             // 32 random bytes
  uint32_t unmeasured = 0;  // of its PCRs, those that hold no measurement: they do not depend on how the machine was started
};
// A new random value, sealed under the storage primary key with a policy over `pcrs` (bit i: PCR i), and unsealed once.
// INVALID_ARGUMENT (no PCR, or one above 23), TPM_UNAVAILABLE, TPM_LOCKED.
Result<Sealed> seal(uint32_t pcrs, const Cancelled* cancelled = nullptr);
// TPM_UNAVAILABLE, TPM_LOCKED, TPM_REFUSED (other PCR values), HARDWARE_MISMATCH (another TPM), KEY_INVALID (no such blob).
Result<Secret> unseal(View blob, const Cancelled* cancelled = nullptr);
bool is_blob(View blob);  // well-formed; contacts nothing

// Waits at most 5 seconds until abandoned calls (cancelled, or without an answer in time) have left the TPM and their threads have ended.
void join_cancelled();

// The name (algorithm and SHA-256) of the endorsement key of TCG's default ECC P-256 template. TPM_UNAVAILABLE, TPM_LOCKED.
Result<Bytes> endorsement_name(const Cancelled* cancelled = nullptr);

}  // namespace mg::hardware::tpm
