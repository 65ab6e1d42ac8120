// A device key at rest, sealed to this machine (docs/format.md, section 11).
#pragma once
#include "hardware/binding.h"
#include "keys/keys.h"

namespace mg::keys {

constexpr std::string_view kSealedLine = "model-guard-key v1 device sealed";  // the file's first line

// What the file's second line encodes. `bound` is new and seals nothing else.
Result<Bytes> seal_device_key(const Key& key, const hardware::Bound& bound);

// KEY_INVALID for what was never sealed or was changed; HARDWARE_*, SALTS_MISMATCH, TPM_*, ABORT_ERR.
Result<std::shared_ptr<const Key>> unseal_device_key(View content, const Cancelled* cancelled);

// A new file (0600), whole or not at all. ALREADY_EXISTS, …
Status write_sealed_key_file(const Key& key, const hardware::Bound& bound, const std::string& path);

}  // namespace mg::keys
