// A slot: the data key wrapped for one recipient, in the frame that all kinds share (docs/format.md, section 6).
#pragma once
#include <array>
#include <optional>
#include <string>

#include "bytes.h"
#include "keys/keys.h"

namespace mg::recipients {

constexpr size_t kMaxSlots = 32, kMaxSlotLength = 16384;
constexpr uint16_t kCritical = 1;                 // the only flag
constexpr uint64_t kTimeEnd = uint64_t(1) << 53;  // times of a policy are below

struct Policy {
  uint64_t not_before = 0, not_after = 0, offline_until = 0;  // seconds since 1970
  std::array<uint8_t, 16> lease_id{}, device_id{};
};

struct Slot {
  uint16_t type = 0, flags = 0;  // type: the number of a kind
  keys::KeyId key_id{};          // zeros for kinds without a public key
  std::optional<Policy> policy;
  Bytes body;

  size_t size() const;  // encoded
  Bytes aad() const;    // every byte of the slot before its body
  Bytes encode() const;
};

// The slot at the start of `bytes`, called `name` in messages. Checks the frame and the policy, not the body. CONTAINER_MALFORMED.
Result<Slot> parse_slot(View bytes, const std::string& name);

}  // namespace mg::recipients
