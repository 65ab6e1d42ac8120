// What a device keeps of a server, and what it tells of the machine that its key is sealed to (docs/server-protocol.md, sections 3, 4).
#pragma once
#include <optional>

#include "remote/wire.h"

namespace mg::remote {

constexpr size_t kMaxState = size_t(16) << 20;

// By and for one device key; another is KEY_TYPE_WRONG. INVALID_ARGUMENT for more than 16 MiB.
Result<Bytes> seal_state(const keys::Key& key, View server_id, View state);
// INTEGRITY_FAILED for what this device did not seal for this server.
Result<Region> open_state(const keys::Key& key, View server_id, View sealed);

// The same for every key that is sealed to the same binding, another for every server, and nothing about the hardware. None for a key
// that did not come from a sealed file.
using MachineIdentity = std::array<uint8_t, 32>;
Result<std::optional<MachineIdentity>> machine_identity(const keys::Key& key, View server_id);

}  // namespace mg::remote
