// Personal data in a server's database: sealed under a key for each subject, looked up by keyed hashes (docs/server-protocol.md,
// sections 6 and 7). Every function takes the server's field key, a master key, else KEY_TYPE_WRONG.
#pragma once
#include "remote/primitives.h"

namespace mg::remote {

constexpr size_t kSubject = 16, kWrappedKey = 32 + kGcmOverhead;

// A new K_s, wrapped for this subject. To erase the subject, destroy the wrapped key.
Result<Bytes> new_subject_key(const keys::Key& field_key, View subject);

// INTEGRITY_FAILED for a wrapped key or a box that belongs to another subject, was changed, or has an impossible length.
Result<Bytes> seal_box(const keys::Key& field_key, View wrapped, View subject, View aad, View plain);
Result<Region> open_box(const keys::Key& field_key, View wrapped, View subject, View aad, View box);

enum class MacUse : uint8_t { index, url };
Result<crypto::Sha256> field_mac(const keys::Key& field_key, MacUse use, View message);

}  // namespace mg::remote
