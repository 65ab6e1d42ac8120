// The header: strict to parse, and whatever parses encodes to the same bytes (docs/format.md, sections 1, 6, 7).
#pragma once
#include <array>
#include <optional>
#include <vector>
#include "container/core_fields.h"
#include "keys/keys.h"

namespace mg::container {

constexpr size_t kMaxHeader = 65536, kFixed = 26, kMac = 48, kMaxSlots = 32, kMaxSlotLength = 16384;
constexpr uint8_t kMinLogN = 15, kMaxLogN = 18;  // of a passphrase slot

enum class SlotType : uint16_t { x25519 = 1, master = 2, passphrase = 3, hardware = 4 };
const char* slot_name(uint16_t type);  // "unknown" where it has none
constexpr uint16_t kCritical = 1;
constexpr uint64_t kTimeEnd = uint64_t(1) << 53;  // times of a policy are below
constexpr size_t kHardwareTail = 48 + 32 + 48;  // box, enc, ct: what follows the helper data of a hardware slot

struct Policy {
  uint64_t not_before = 0, not_after = 0, offline_until = 0;  // seconds since 1970
  std::array<uint8_t, 16> lease_id{}, device_id{};
};

struct Slot {
  uint16_t type = 0, flags = 0;
  keys::KeyId key_id{};
  std::optional<Policy> policy;
  Bytes body;
  Bytes aad() const;  // every byte of the slot before its body
  Bytes encode() const;
};

enum class Role : uint8_t { publisher = 1, lease = 2 };
struct Signature {
  Role role;
  keys::KeyId key_id{};
  std::array<uint8_t, 64> bytes{};
};

struct Header {
  Core core;
  Bytes core_json;
  std::array<uint8_t, 32> digest{};
  uint64_t payload_length = 0;
  std::vector<Slot> slots;
  std::vector<Signature> signatures;
  std::array<uint8_t, kMac> mac{};

  size_t size() const;          // encoded, mac included
  Bytes slots_bytes() const;
  Bytes encode() const;         // mac included
  Bytes before_mac() const;     // what the mac covers
  // The preimage of section 7; empty where hashing failed: then sign and accept nothing.
  Bytes signed_bytes(Role role, const crypto::Sha384& core_hash) const;
  const Signature* signature(Role role) const;
};

// The header at the start of `bytes`, which may go on after it. Reads nothing beyond the header.
// NOT_A_CONTAINER, CONTAINER_TRUNCATED, VERSION_UNSUPPORTED, LIMIT_EXCEEDED, CRITICAL_UNSUPPORTED, CONTAINER_MALFORMED.
Result<Header> parse_header(View bytes);
// The header's length from its first 26 bytes, so that a reader of a file knows how much to fetch. Same errors.
Result<size_t> header_length(View bytes);

}  // namespace mg::container
