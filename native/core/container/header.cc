#include "container/header.h"
#include <algorithm>
#include "hardware/helper.h"
#include "payload/layout.h"

namespace mg::container {
namespace {

constexpr uint8_t kMagic[8] = {0x89, 'M', 'G', 'U', 'A', 'R', 'D', '\n'};
constexpr uint16_t kVersion = 1;
constexpr size_t kDigest = 32, kSignature = 73, kPolicy = 56;
constexpr size_t kOverhead = kFixed + kDigest + 8 + kMac;  // a header without core, slots and signatures
constexpr size_t kSlotStart = 8;                           // type, flags, length
constexpr size_t kSlotMin = 10;                            // the least its length counts: key id, policy length

Status malformed(std::string what) { return {Code::CONTAINER_MALFORMED, std::move(what)}; }
std::string str(uint64_t n) { return std::to_string(n); }

template <size_t N>
void copy_to(std::array<uint8_t, N>& out, const uint8_t* from) {
  std::copy_n(from, N, out.begin());
}
template <size_t N>
View view(const std::array<uint8_t, N>& a) {
  return View(a.data(), N);
}

struct Lengths {
  size_t header, core, slots, signatures;
};

// Everything of the first 26 bytes. What passes fits in 65,536 bytes, so that no later sum can overflow.
Result<Lengths> read_fixed(View bytes) {
  if (bytes.size == 0) return Status(Code::NOT_A_CONTAINER, "there are no bytes");
  size_t magic = std::min(bytes.size, sizeof(kMagic));
  if (!equal(bytes.sub(0, magic), View(kMagic).sub(0, magic))) {
    return Status(Code::NOT_A_CONTAINER, "the first 8 bytes are not those of a container");
  }
  if (bytes.size >= 10) {
    uint16_t version = read_be<uint16_t>(bytes.data + 8);
    if (version != kVersion) {
      return Status(Code::VERSION_UNSUPPORTED,
                    "the container has version " + str(version) + ", this release reads 1");
    }
  }
  if (bytes.size < kFixed) {
    return Status(Code::CONTAINER_TRUNCATED,
                  "the container ends after " + str(bytes.size) + " bytes, its lengths alone take " + str(kFixed));
  }
  uint64_t header = read_be<uint32_t>(bytes.data + 10), core = read_be<uint32_t>(bytes.data + 14);
  uint64_t slots = read_be<uint32_t>(bytes.data + 18), signatures = read_be<uint32_t>(bytes.data + 22);
  if (header > kMaxHeader) {
    return Status(Code::LIMIT_EXCEEDED,
                  "the header claims " + str(header) + " bytes, at most " + str(kMaxHeader) + " are allowed");
  }
  if (core < 1 || core > kMaxCore) {
    return malformed("the core claims " + str(core) + " bytes, it must have 1 to " + str(kMaxCore));
  }
  if (signatures % kSignature != 0 || signatures > 2 * kSignature) {
    return malformed("the signatures claim " + str(signatures) + " bytes, they must have 0, 73 or 146");
  }
  if (header != kOverhead + core + slots + signatures) {
    return malformed("the header claims " + str(header) + " bytes, its parts add up to " +
                     str(kOverhead + core + slots + signatures));
  }
  return Lengths{size_t(header), size_t(core), size_t(slots), size_t(signatures)};
}

Result<Policy> parse_policy(const uint8_t* p, const std::string& slot) {
  Policy policy;
  policy.not_before = read_be<uint64_t>(p);
  policy.not_after = read_be<uint64_t>(p + 8);
  policy.offline_until = read_be<uint64_t>(p + 16);
  copy_to(policy.lease_id, p + 24);
  copy_to(policy.device_id, p + 40);
  if (policy.not_after >= kTimeEnd) return malformed(slot + " has a policy with a time of 2^53 or later");
  if (policy.not_before >= policy.not_after) {
    return malformed(slot + " has a policy whose not-before, " + str(policy.not_before) +
                     ", is not before its not-after, " + str(policy.not_after));
  }
  if (policy.offline_until > policy.not_after) {
    return malformed(slot + " has a policy whose offline-until, " + str(policy.offline_until) +
                     ", is after its not-after, " + str(policy.not_after));
  }
  return policy;
}

// The one body whose length is not fixed.
Status check_hardware(const Slot& slot, const std::string& name) {
  size_t helper = 0;
  auto parsed = hardware::parse_helper(slot.body, &helper);
  if (!parsed.ok()) return malformed(name + " (hardware): " + parsed.status().what);
  if (slot.body.size() - helper == kHardwareTail) return {};
  return malformed(name + " (hardware) has " + str(slot.body.size() - helper) + " bytes behind its helper data, it must have " +
                   str(kHardwareTail));
}

// What the type demands beyond the slot's frame.
Status check_type(const Slot& slot, const std::string& name) {
  size_t body;
  switch (SlotType(slot.type)) {
    case SlotType::x25519:
    case SlotType::master: body = 80; break;
    case SlotType::passphrase: body = 65; break;
    case SlotType::hardware: return check_hardware(slot, name);
    default:
      if ((slot.flags & kCritical) == 0) return {};
      return {Code::CRITICAL_UNSUPPORTED, name + " has type " + str(slot.type) + " (" + slot_name(slot.type) +
                                              "), which this release cannot read, and is marked critical"};
  }
  if (slot.body.size() != body) {
    return malformed(name + " (" + slot_name(slot.type) + ") has a body of " + str(slot.body.size()) +
                     " bytes, it must have " + str(body));
  }
  if (slot.type != uint16_t(SlotType::x25519) && slot.key_id != keys::KeyId{}) {
    return malformed(name + " (" + slot_name(slot.type) + ") has a key id, which only a public key has");
  }
  if (slot.type == uint16_t(SlotType::passphrase) && (slot.body[16] < kMinLogN || slot.body[16] > kMaxLogN)) {
    return malformed(name + " has scrypt's logN " + str(slot.body[16]) + ", it must be 15 to 18");
  }
  return {};
}

Status parse_slots(View in, std::vector<Slot>* out) {
  bool passphrase = false;
  for (size_t at = 0; at < in.size;) {
    std::string name = "slot " + str(out->size() + 1);
    if (out->size() == kMaxSlots) {
      return {Code::LIMIT_EXCEEDED, "there are more than " + str(kMaxSlots) + " slots"};
    }
    View rest = in.from(at);
    if (rest.size < kSlotStart + kSlotMin) {
      return malformed(name + " has " + str(rest.size) + " bytes, it must have at least " +
                       str(kSlotStart + kSlotMin));
    }
    uint64_t length = read_be<uint32_t>(rest.data + 4);
    if (length < kSlotMin || length > kMaxSlotLength || length > rest.size - kSlotStart) {
      return malformed(name + " claims " + str(length) + " bytes, it must have " + str(kSlotMin) + " to " +
                       str(kMaxSlotLength) + ", and " + str(rest.size - kSlotStart) + " are left for it");
    }
    Slot slot;
    slot.type = read_be<uint16_t>(rest.data);
    slot.flags = read_be<uint16_t>(rest.data + 2);
    if ((slot.flags & ~unsigned(kCritical)) != 0) {
      return malformed(name + " has the flags " + str(slot.flags) + ", only 0 and 1 are allowed");
    }
    View content = rest.sub(kSlotStart, size_t(length));
    copy_to(slot.key_id, content.data);
    size_t policy = read_be<uint16_t>(content.data + 8);
    if (policy != 0 && policy != kPolicy) {
      return malformed(name + " claims a policy of " + str(policy) + " bytes, it must have 0 or " + str(kPolicy));
    }
    if (policy > content.size - kSlotMin) return malformed(name + " ends inside its policy");
    if (policy != 0) {
      Result<Policy> parsed = parse_policy(content.data + kSlotMin, name);
      if (!parsed.ok()) return parsed.status();
      slot.policy = *parsed;
    }
    slot.body = content.from(kSlotMin + policy).copy();
    if (Status s = check_type(slot, name); !s.ok()) return s;
    if (slot.type == uint16_t(SlotType::passphrase)) {
      if (passphrase) return malformed(name + " is a second passphrase slot, at most one is allowed");
      passphrase = true;
    }
    at += kSlotStart + content.size;
    out->push_back(std::move(slot));
  }
  if (out->empty()) return malformed("there is no slot, a container needs 1 to " + str(kMaxSlots));
  return {};
}

Status parse_signatures(View in, std::vector<Signature>* out) {
  for (size_t at = 0; at < in.size; at += kSignature) {
    const uint8_t* p = in.data + at;
    if (p[0] != uint8_t(Role::publisher) && p[0] != uint8_t(Role::lease)) {
      return malformed("a signature has the role " + str(p[0]) + ", it must be 1 or 2");
    }
    if (!out->empty() && p[0] <= uint8_t(out->back().role)) {
      return malformed("signatures must stand in ascending order of role, one of each");
    }
    Signature signature{Role(p[0]), {}, {}};
    copy_to(signature.key_id, p + 1);
    copy_to(signature.bytes, p + 9);
    out->push_back(signature);
  }
  return {};
}

size_t slot_size(const Slot& slot) {
  return kSlotStart + kSlotMin + (slot.policy ? kPolicy : 0) + slot.body.size();
}

}  // namespace

const char* slot_name(uint16_t type) {
  switch (SlotType(type)) {
    case SlotType::x25519: return "x25519";
    case SlotType::master: return "master";
    case SlotType::passphrase: return "passphrase";
    case SlotType::hardware: return "hardware";
  }
  return "unknown";
}

Bytes Slot::aad() const {
  Bytes out;
  append_be(out, type);
  append_be(out, flags);
  append_be(out, uint32_t(slot_size(*this) - kSlotStart));
  append(out, view(key_id));
  append_be(out, uint16_t(policy ? kPolicy : 0));
  if (policy) {
    append_be(out, policy->not_before);
    append_be(out, policy->not_after);
    append_be(out, policy->offline_until);
    append(out, view(policy->lease_id));
    append(out, view(policy->device_id));
  }
  return out;
}

Bytes Slot::encode() const {
  Bytes out = aad();
  append(out, body);
  return out;
}

size_t Header::size() const {
  size_t slots_size = 0;
  for (const Slot& slot : slots) slots_size += slot_size(slot);
  return kOverhead + core_json.size() + slots_size + signatures.size() * kSignature;
}

Bytes Header::slots_bytes() const {
  Bytes out;
  for (const Slot& slot : slots) append(out, slot.encode());
  return out;
}

Bytes Header::before_mac() const {
  Bytes out, slot_bytes = slots_bytes();
  out.reserve(size());
  append(out, View(kMagic));
  append_be(out, kVersion);
  append_be(out, uint32_t(size()));
  append_be(out, uint32_t(core_json.size()));
  append_be(out, uint32_t(slot_bytes.size()));
  append_be(out, uint32_t(signatures.size() * kSignature));
  append(out, core_json);
  append(out, view(digest));
  append_be(out, payload_length);
  append(out, slot_bytes);
  for (const Signature& s : signatures) {
    out.push_back(uint8_t(s.role));
    append(out, view(s.key_id));
    append(out, view(s.bytes));
  }
  return out;
}

Bytes Header::encode() const {
  Bytes out = before_mac();
  append(out, view(mac));
  return out;
}

Bytes Header::signed_bytes(Role role, const crypto::Sha384& core_hash) const {
  Bytes out;
  std::string_view label = role == Role::publisher ? "model-guard/v1/publisher" : "model-guard/v1/lease";
  append(out, View(label));
  out.push_back(0);
  append(out, view(core_hash));
  append(out, view(digest));
  append_be(out, payload_length);
  if (role == Role::lease) {
    crypto::Sha384 hash;
    if (!crypto::digest(crypto::Hash::sha384, {slots_bytes()}, Span(hash.data(), hash.size())).ok()) return {};
    append(out, view(hash));
  }
  return out;
}

const Signature* Header::signature(Role role) const {
  for (const Signature& s : signatures) {
    if (s.role == role) return &s;
  }
  return nullptr;
}

Result<size_t> header_length(View bytes) {
  Result<Lengths> lengths = read_fixed(bytes);
  if (!lengths.ok()) return lengths.status();
  return lengths->header;
}

Result<Header> parse_header(View bytes) {
  Result<Lengths> lengths = read_fixed(bytes);
  if (!lengths.ok()) return lengths.status();
  if (bytes.size < lengths->header) {
    return Status(Code::CONTAINER_TRUNCATED, "the container ends after " + str(bytes.size) +
                                                 " bytes, its header has " + str(lengths->header));
  }
  Header out;
  View core = bytes.sub(kFixed, lengths->core);
  Result<Core> parsed = parse_core(core);
  if (!parsed.ok()) return parsed.status();
  out.core = *parsed;
  out.core_json = core.copy();

  const uint8_t* p = core.end();
  copy_to(out.digest, p);
  out.payload_length = read_be<uint64_t>(p + kDigest);
  uint64_t expected = payload::payload_size(out.core.plaintext_size);
  if (out.payload_length != expected) {
    return malformed("the payload length is " + str(out.payload_length) + ", the core's plaintextSize makes it " +
                     str(expected));
  }
  View slots(p + kDigest + 8, lengths->slots), signatures(slots.end(), lengths->signatures);
  if (Status s = parse_slots(slots, &out.slots); !s.ok()) return s;
  if (Status s = parse_signatures(signatures, &out.signatures); !s.ok()) return s;
  copy_to(out.mac, signatures.end());
  return out;
}

}  // namespace mg::container
