#include "recipients/slots.h"

#include <algorithm>

namespace mg::recipients {
namespace {

Status malformed(std::string what) { return {Code::CONTAINER_MALFORMED, std::move(what)}; }
std::string str(uint64_t n) { return std::to_string(n); }

Status check_recipients(const std::vector<Recipient>& recipients) {
  if (recipients.empty()) return Status(Code::INVALID_ARGUMENT, "a container needs at least one recipient");
  if (recipients.size() > kMaxSlots) return Status(Code::LIMIT_EXCEEDED, "a container has at most 32 recipients");
  for (const Kind* kind : kinds()) {
    const auto count = std::count_if(recipients.begin(), recipients.end(), [&](const Recipient& r) { return r.kind == kind; });
    if (size_t(count) > kind->max_slots())
      return Status(Code::INVALID_ARGUMENT,
                    "a container has at most " + str(kind->max_slots()) + " recipient of type " + kind->name);
  }
  return {};
}

// The rules of the slot's kind.
Status check_slot(const Slot& slot, const std::string& name) {
  const std::string named = name + " (" + kind_name(slot.type) + ") ";
  const Kind* kind = find_kind(slot.type);
  if (!kind) {
    if ((slot.flags & kCritical) == 0) return {};
    return {Code::CRITICAL_UNSUPPORTED,
            named + "has type " + str(slot.type) + ", which this release cannot read, and is marked critical"};
  }
  if (auto s = kind->check_body(slot.body); !s.ok()) return malformed(named + s.what);
  if (!kind->has_key_id() && slot.key_id != keys::KeyId{}) return malformed(named + "has a key id, which only a public key has");
  return {};
}

}  // namespace

Result<Recipient> public_recipient(const Kind& kind, View public_part) {
  if (auto s = kind.check_public_part(public_part); !s.ok()) return s;
  return Recipient{&kind, public_part.copy(), nullptr};
}

Result<Recipient> shared_recipient(std::shared_ptr<const keys::Key> key) {
  for (const Kind* kind : kinds()) {
    if (kind->shared_key() == key->type()) return Recipient{kind, {}, std::move(key)};
  }
  return Status(Code::KEY_TYPE_WRONG, std::string("a ") + keys::type_name(key->type()) + " key is no recipient");
}

Result<std::vector<Slot>> wrap_all(const std::vector<Recipient>& recipients, View data_key, const crypto::Sha384& core_hash,
                                   const std::optional<Policy>& policy) {
  if (auto s = check_recipients(recipients); !s.ok()) return s;
  std::vector<Slot> slots;
  for (const Recipient& recipient : recipients) {
    Slot slot;
    slot.type = recipient.kind->number;
    slot.policy = policy;
    if (auto s = recipient.kind->wrap(slot, recipient, data_key, recipient.kind->info(core_hash)); !s.ok()) return s;
    slots.push_back(std::move(slot));
  }
  return slots;
}

Result<std::vector<Slot>> parse_slots(View bytes) {
  std::vector<Slot> slots;
  for (size_t at = 0; at < bytes.size;) {
    const std::string name = "slot " + str(slots.size() + 1);
    if (slots.size() == kMaxSlots) return Status(Code::LIMIT_EXCEEDED, "there are more than " + str(kMaxSlots) + " slots");
    auto slot = parse_slot(bytes.from(at), name);
    if (!slot.ok()) return slot.status();
    if (auto s = check_slot(*slot, name); !s.ok()) return s;
    at += slot->size();
    slots.push_back(std::move(*slot));
    const auto count = std::count_if(slots.begin(), slots.end(), [&](const Slot& s) { return s.type == slots.back().type; });
    const Kind* kind = find_kind(slots.back().type);
    if (kind && size_t(count) > kind->max_slots())
      return malformed(name + " is " + kind->name + " slot " + str(size_t(count)) + ", at most " + str(kind->max_slots()) +
                       " is allowed");
  }
  if (slots.empty()) return malformed("there is no slot, a container needs 1 to " + str(kMaxSlots));
  return slots;
}

}  // namespace mg::recipients
