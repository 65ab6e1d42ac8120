// Personal data in a server's database: sealed under a key for each subject, looked up by keyed hashes (docs/server-protocol.md,
// sections 6 and 7). Every function takes the server's field key, a master key; another is KEY_TYPE_WRONG.
#pragma once
#include "remote/wire.h"

namespace mg::remote {

constexpr size_t kSubject = 16, kWrappedKey = 32 + kGcmOverhead;

// A new K_s, wrapped for this subject. Whoever destroys it erases the subject.
Result<Bytes> new_subject_key(const keys::Key& field_key, View subject);

// INTEGRITY_FAILED for a wrapped key or a box that is another's, was changed or has a length that it cannot have.
Result<Bytes> seal_box(const keys::Key& field_key, View wrapped, View subject, View aad, View plain);
Result<Region> open_box(const keys::Key& field_key, View wrapped, View subject, View aad, View box);

enum class MacUse : uint8_t { index, url };
Result<crypto::Sha256> field_mac(const keys::Key& field_key, MacUse use, View message);

}  // namespace mg::remote
