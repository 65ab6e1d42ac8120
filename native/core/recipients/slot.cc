#include "recipients/slot.h"

#include <algorithm>

namespace mg::recipients {
namespace {

constexpr size_t kPolicy = 56;
constexpr size_t kStart = 8;  // type, flags, length
constexpr size_t kMin = 10;   // the smallest length: key id, policy length

Status malformed(std::string what) { return {Code::CONTAINER_MALFORMED, std::move(what)}; }
std::string str(uint64_t n) { return std::to_string(n); }

Result<Policy> parse_policy(const uint8_t* p, const std::string& slot) {
  Policy policy;
  policy.not_before = read_be<uint64_t>(p);
  policy.not_after = read_be<uint64_t>(p + 8);
  policy.offline_until = read_be<uint64_t>(p + 16);
  std::copy_n(p + 24, policy.lease_id.size(), policy.lease_id.begin());
  std::copy_n(p + 40, policy.device_id.size(), policy.device_id.begin());
  if (policy.not_after >= kTimeEnd) return malformed(slot + " has a policy with a time of 2^53 or later");
  if (policy.not_before >= policy.not_after) {
    return malformed(slot + " has a policy whose not-before, " + str(policy.not_before) + ", is not before its not-after, " +
                     str(policy.not_after));
  }
  if (policy.offline_until > policy.not_after) {
    return malformed(slot + " has a policy whose offline-until, " + str(policy.offline_until) + ", is after its not-after, " +
                     str(policy.not_after));
  }
  return policy;
}

}  // namespace

size_t Slot::size() const { return kStart + kMin + (policy ? kPolicy : 0) + body.size(); }

Bytes Slot::aad() const {
  Bytes out;
  append_be(out, type);
  append_be(out, flags);
  append_be(out, uint32_t(size() - kStart));
  append(out, View(key_id));
  append_be(out, uint16_t(policy ? kPolicy : 0));
  if (policy) {
    append_be(out, policy->not_before);
    append_be(out, policy->not_after);
    append_be(out, policy->offline_until);
    append(out, View(policy->lease_id));
    append(out, View(policy->device_id));
  }
  return out;
}

Bytes Slot::encode() const {
  Bytes out = aad();
  append(out, body);
  return out;
}

Result<Slot> parse_slot(View bytes, const std::string& name) {
  if (bytes.size < kStart + kMin)
    return malformed(name + " has " + str(bytes.size) + " bytes, it must have at least " + str(kStart + kMin));
  const uint64_t length = read_be<uint32_t>(bytes.data + 4);
  if (length < kMin || length > kMaxSlotLength || length > bytes.size - kStart) {
    return malformed(name + " claims " + str(length) + " bytes, it must have " + str(kMin) + " to " + str(kMaxSlotLength) +
                     ", and " + str(bytes.size - kStart) + " are left for it");
  }
  Slot slot;
  slot.type = read_be<uint16_t>(bytes.data);
  slot.flags = read_be<uint16_t>(bytes.data + 2);
  if ((slot.flags & ~unsigned(kCritical)) != 0)
    return malformed(name + " has the flags " + str(slot.flags) + ", only 0 and 1 are allowed");
  const View content = bytes.sub(kStart, size_t(length));
  std::copy_n(content.data, slot.key_id.size(), slot.key_id.begin());
  const size_t policy = read_be<uint16_t>(content.data + 8);
  if (policy != 0 && policy != kPolicy)
    return malformed(name + " claims a policy of " + str(policy) + " bytes, it must have 0 or " + str(kPolicy));
  if (policy > content.size - kMin) return malformed(name + " ends inside its policy");
  if (policy != 0) {
    auto parsed = parse_policy(content.data + kMin, name);
    if (!parsed.ok()) return parsed.status();
    slot.policy = *parsed;
  }
  slot.body = content.from(kMin + policy).copy();
  return slot;
}

}  // namespace mg::recipients
