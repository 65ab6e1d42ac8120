// Seals the key of an archive, the fragment, on its way from the publisher over the server to a device (docs/server-protocol.md,
// section 5).
#pragma once
#include <optional>

#include "remote/primitives.h"

namespace mg::remote {

using KeyPtr = std::shared_ptr<const keys::Key>;

// `fragment` is a master key or a key string, `x25519` the server's key. KEY_TYPE_WRONG.
Result<Bytes> seal_fragment(const keys::Key& fragment, View x25519, View server_id, std::string_view name);

// Seals it again: to a device with its challenge, to another key of the server without one. `key` is the server's current key.
// INTEGRITY_FAILED if `sealed` was not sealed to `key` under this name, or holds no fragment.
Result<Bytes> reseal_fragment(const keys::Key& key, View sealed, View x25519, View server_id, std::string_view name,
                              const std::optional<View>& challenge);

// The master key or key string, on the device. INTEGRITY_FAILED.
Result<KeyPtr> open_fragment(const keys::Key& key, View sealed, View server_id, std::string_view name, View challenge);

}  // namespace mg::remote
