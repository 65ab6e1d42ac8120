// The header. Strict to parse: bytes that parse encode to the same bytes (docs/format.md, sections 1, 6, 7).
#pragma once
#include <array>
#include <vector>

#include "container/core_fields.h"
#include "recipients/slot.h"

namespace mg::container {

constexpr size_t kMaxHeader = 65536, kFixed = 26, kMac = 48;

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
  std::vector<recipients::Slot> slots;
  std::vector<Signature> signatures;
  std::array<uint8_t, kMac> mac{};

  size_t size() const;  // encoded, mac included
  Bytes slots_bytes() const;
  Bytes encode() const;      // mac included
  Bytes before_mac() const;  // what the mac covers
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
