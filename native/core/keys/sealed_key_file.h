// A device key at rest, sealed to this machine (docs/format.md, section 11).
#pragma once
#include "hardware/binding.h"
#include "keys/keys.h"

namespace mg::keys {

constexpr std::string_view kSealedLine = "model-guard-key v1 device sealed";  // the file's first line

// The content that the file's second line encodes. `bound` must be new, and seal no other key.
Result<Bytes> seal_device_key(const Key& key, const hardware::NewBinding& bound);

// KEY_INVALID for bytes that were not sealed or were changed; HARDWARE_*, SALTS_MISMATCH, TPM_*, ABORT_ERR.
Result<std::shared_ptr<const Key>> unseal_device_key(View content, const Cancelled* cancelled);

// A new file (0600), whole or not at all. ALREADY_EXISTS, …
Status write_sealed_key_file(const Key& key, const hardware::NewBinding& bound, const std::string& path);

}  // namespace mg::keys
