// The sealed state that a device keeps for a server, and the identity of the machine that its key is sealed to (docs/server-protocol.md,
// sections 3 and 4).
#pragma once
#include <optional>

#include "remote/primitives.h"

namespace mg::remote {

constexpr size_t kMaxState = size_t(16) << 20;

// `key` is a device key, else KEY_TYPE_WRONG. INVALID_ARGUMENT for more than 16 MiB.
Result<Bytes> seal_state(const keys::Key& key, View server_id, View state);
// INTEGRITY_FAILED unless this device sealed it for this server.
Result<Region> open_state(const keys::Key& key, View server_id, View sealed);

// The same value for every key that is sealed to the same binding, a different one for each server. It reveals nothing about the hardware.
// None for a key that was not read from a sealed file.
using MachineIdentity = std::array<uint8_t, 32>;
Result<std::optional<MachineIdentity>> machine_identity(const keys::Key& key, View server_id);

}  // namespace mg::remote
