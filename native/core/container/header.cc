#include "container/header.h"

#include <algorithm>

#include "payload/layout.h"
#include "recipients/slots.h"

namespace mg::container {
namespace {

constexpr uint8_t kMagic[8] = {0x89, 'M', 'G', 'U', 'A', 'R', 'D', '\n'};
constexpr uint16_t kVersion = 1;
constexpr size_t kDigest = 32, kSignature = 73;
constexpr size_t kOverhead = kFixed + kDigest + 8 + kMac;  // a header without core, slots and signatures

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

// Checks the first 26 bytes. Lengths that pass fit in 65,536 bytes, so that no later sum can overflow.
Result<Lengths> read_fixed(View bytes) {
  if (bytes.size == 0) return Status(Code::NOT_A_CONTAINER, "there are no bytes");
  size_t magic = std::min(bytes.size, sizeof(kMagic));
  if (!equal(bytes.sub(0, magic), View(kMagic).sub(0, magic))) {
    return Status(Code::NOT_A_CONTAINER, "the first 8 bytes are not those of a container");
  }
  if (bytes.size >= 10) {
    uint16_t version = read_be<uint16_t>(bytes.data + 8);
    if (version != kVersion) {
      return Status(Code::VERSION_UNSUPPORTED, "the container has version " + str(version) + ", this release reads 1");
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

}  // namespace

size_t Header::size() const {
  size_t slots_size = 0;
  for (const recipients::Slot& slot : slots) slots_size += slot.size();
  return kOverhead + core_json.size() + slots_size + signatures.size() * kSignature;
}

Bytes Header::slots_bytes() const {
  Bytes out;
  for (const recipients::Slot& slot : slots) append(out, slot.encode());
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
    return Status(Code::CONTAINER_TRUNCATED,
                  "the container ends after " + str(bytes.size) + " bytes, its header has " + str(lengths->header));
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
    return malformed("the payload length is " + str(out.payload_length) + ", the core's plaintextSize makes it " + str(expected));
  }
  View slots(p + kDigest + 8, lengths->slots), signatures(slots.end(), lengths->signatures);
  auto parsed_slots = recipients::parse_slots(slots);
  if (!parsed_slots.ok()) return parsed_slots.status();
  out.slots = std::move(*parsed_slots);
  if (Status s = parse_signatures(signatures, &out.signatures); !s.ok()) return s;
  copy_to(out.mac, signatures.end());
  return out;
}

}  // namespace mg::container
