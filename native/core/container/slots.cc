#include "container/slots.h"

#include <algorithm>

#include "crypto/hpke.h"
#include "crypto/wiped.h"
#include "salts/salts.h"

namespace mg::container {
namespace {

constexpr uint8_t kLogN = 17;
constexpr uint8_t kZeroNonce[12] = {};
constexpr size_t kMasterSalt = 32, kPassphraseSalt = 16, kDataKey = 32, kSealed = hpke::kEnc + kDataKey + hpke::kTag;

Bytes slot_info(SlotType type, const crypto::Sha384& core_hash) {
  Bytes info;
  append(info, View("model-guard/v1/slot/"));
  append(info, View(slot_name(uint16_t(type))));
  info.push_back(0);
  append(info, View(core_hash.data(), core_hash.size()));
  return info;
}

// The key of a master or passphrase slot. One encryption each, because its salt is random: hence the zero nonce.
Result<Secret> slot_key(const keys::Key& key, SlotType type, View salt, unsigned log_n, const crypto::Sha384& core_hash) {
  Secret stretched;
  View ikm = key.secret().reveal();
  if (type == SlotType::passphrase) {
    auto secret = Secret::allocate(32);
    if (!secret.ok()) return secret.status();
    stretched = std::move(*secret);
    if (auto s = crypto::scrypt(ikm, salt, log_n, 8, 1, stretched.reveal_mut()); !s.ok()) return s;
    ikm = stretched.reveal();
  }
  auto derived = Secret::allocate(32);
  if (!derived.ok()) return derived.status();
  const Bytes info = slot_info(type, core_hash);
  if (auto s = crypto::hkdf(crypto::Hash::sha384, ikm, salt, info, derived->reveal_mut()); !s.ok()) return s;
  return derived;
}

Status wrap_shared(Slot& slot, const keys::Key& key, View data_key, const crypto::Sha384& core_hash) {
  const auto type = SlotType(slot.type);
  Bytes salt(type == SlotType::master ? kMasterSalt : kPassphraseSalt);
  if (auto s = crypto::random_bytes(salt); !s.ok()) return s;
  auto derived = slot_key(key, type, salt, kLogN, core_hash);
  if (!derived.ok()) return derived.status();
  auto gcm = crypto::Gcm::create(derived->reveal());
  if (!gcm.ok()) return gcm.status();
  slot.body = salt;
  if (type == SlotType::passphrase) slot.body.push_back(kLogN);
  const size_t at = slot.body.size();
  slot.body.resize(at + kDataKey + 16);
  if (!gcm->seal(View(kZeroNonce), slot.aad(), data_key, slot.body.data() + at))
    return Status(Code::INTERNAL, "the data key could not be wrapped");
  return {};
}

// HPKE to a public key; what the body holds before enc and ct stays.
Status wrap_public(Slot& slot, const keys::PublicKey& key, View data_key, const crypto::Sha384& core_hash) {
  slot.key_id = keys::key_id(key);
  const size_t at = slot.body.size();
  slot.body.resize(at + kSealed);  // aad() carries the length
  auto sealed = hpke::seal(View(key), slot_info(SlotType(slot.type), core_hash), slot.aad(), data_key);
  if (!sealed.ok()) return sealed.status();
  std::copy(sealed->begin(), sealed->end(), slot.body.begin() + std::ptrdiff_t(at));
  return {};
}

Status check_recipients(const std::vector<Recipient>& recipients) {
  if (recipients.empty()) return Status(Code::INVALID_ARGUMENT, "a container needs at least one recipient");
  if (recipients.size() > kMaxSlots) return Status(Code::LIMIT_EXCEEDED, "a container has at most 32 recipients");
  const auto passphrases = std::count_if(recipients.begin(), recipients.end(), [](const Recipient& r) {
    return r.shared && r.shared->type() == keys::Type::passphrase;
  });
  if (passphrases > 1) return Status(Code::INVALID_ARGUMENT, "a container has at most one passphrase");
  return {};
}

}  // namespace

Result<Slot> wrap(const Recipient& recipient, View data_key, const crypto::Sha384& core_hash,
                  const std::optional<Policy>& policy) {
  Slot slot;
  slot.policy = policy;
  if (recipient.x25519 || recipient.machine) {
    slot.type = uint16_t(recipient.x25519 ? SlotType::x25519 : SlotType::hardware);
    if (recipient.machine) {
      slot.body = recipient.machine->helper.encode();
      append(slot.body, View(recipient.machine->box));
    }
    const keys::PublicKey& key = recipient.x25519 ? *recipient.x25519 : recipient.machine->public_key;
    if (auto s = wrap_public(slot, key, data_key, core_hash); !s.ok()) return s;
    return slot;
  }
  if (!recipient.shared) return Status(Code::INVALID_ARGUMENT, "a recipient has no key");
  switch (recipient.shared->type()) {
    case keys::Type::master:
      slot.type = uint16_t(SlotType::master);
      slot.body.resize(80);
      break;
    case keys::Type::passphrase:
      slot.type = uint16_t(SlotType::passphrase);
      slot.body.resize(65);
      break;
    default:
      return Status(Code::KEY_TYPE_WRONG, std::string("a ") + keys::type_name(recipient.shared->type()) + " key is no recipient");
  }
  if (auto s = wrap_shared(slot, *recipient.shared, data_key, core_hash); !s.ok()) return s;
  return slot;
}

Result<std::vector<Slot>> wrap_all(const std::vector<Recipient>& recipients, View data_key, const crypto::Sha384& core_hash,
                                   const std::optional<Policy>& policy) {
  if (auto s = check_recipients(recipients); !s.ok()) return s;
  std::vector<Slot> slots;
  for (const Recipient& recipient : recipients) {
    auto slot = wrap(recipient, data_key, core_hash, policy);
    if (!slot.ok()) return slot.status();
    slots.push_back(std::move(*slot));
  }
  return slots;
}

bool matches(const Slot& slot, const keys::Key& identity) {
  switch (identity.type()) {
    case keys::Type::master: return slot.type == uint16_t(SlotType::master);
    case keys::Type::passphrase: return slot.type == uint16_t(SlotType::passphrase);
    case keys::Type::device:
      return slot.type == uint16_t(SlotType::x25519) && slot.key_id == keys::key_id(identity.x25519_public());
    case keys::Type::signing:
    case keys::Type::legacy: return false;
  }
  return false;
}

uint32_t derivations_of(const Slot& slot) {
  if (slot.type == uint16_t(SlotType::passphrase)) return crypto::derivations_of(slot.body[kPassphraseSalt]);
  if (slot.type != uint16_t(SlotType::hardware)) return 0;
  const hardware::Helper helper = helper_of(slot);
  // One of another build is refused before anything is derived.
  return helper.salts_id == salts::id() ? uint32_t(helper.factors.size()) : 0;
}

Result<Secret> unwrap(const Slot& slot, const keys::Key& identity, const crypto::Sha384& core_hash, crypto::Derivations& derivations) {
  const Status refused(Code::NO_MATCHING_IDENTITY, "the identity does not open this slot");
  if (!matches(slot, identity)) return refused;
  const View body(slot.body);
  if (identity.type() == keys::Type::device) {
    auto opened = hpke::open(body.sub(0, 32), identity.x25519_private(), slot_info(SlotType::x25519, core_hash), slot.aad(), body.from(32));
    if (!opened.ok() || opened->size() != kDataKey) return refused;
    return opened;
  }
  const bool master = identity.type() == keys::Type::master;
  const size_t salt = master ? kMasterSalt : kPassphraseSalt, head = master ? salt : salt + 1;
  if (!master) {
    if (auto s = derivations.begin(derivations_of(slot)); !s.ok()) return s;
  }
  auto derived = slot_key(identity, SlotType(slot.type), body.sub(0, salt), master ? 0 : body[salt], core_hash);
  if (!derived.ok()) return derived.status();
  auto gcm = crypto::Gcm::create(derived->reveal());
  if (!gcm.ok()) return gcm.status();
  auto data_key = Secret::allocate(kDataKey);
  if (!data_key.ok()) return data_key.status();
  if (!gcm->open(View(kZeroNonce), slot.aad(), body.from(head), data_key->reveal_mut().data)) return refused;
  return data_key;
}

hardware::Helper helper_of(const Slot& slot) {
  size_t used = 0;
  auto helper = hardware::parse_helper(slot.body, &used);
  return helper.ok() ? std::move(*helper) : hardware::Helper();
}

Result<Secret> unwrap(const Slot& slot, hardware::Stretched& machine, const crypto::Sha384& core_hash, const Cancelled* cancelled) {
  const Status refused(Code::NO_MATCHING_IDENTITY, "the machine does not open this slot");
  if (slot.type != uint16_t(SlotType::hardware)) return refused;
  const View tail = View(slot.body).from(slot.body.size() - kHardwareTail);
  auto secret = hardware::open(helper_of(slot), tail.sub(0, hardware::kBox), machine, cancelled);
  if (!secret.ok()) return secret.status();
  crypto::Wiped<32> private_key;
  keys::PublicKey public_key;
  if (auto s = hpke::derive_key_pair(secret->reveal(), private_key.span(), Span(public_key.data(), public_key.size())); !s.ok()) return s;
  if (keys::key_id(public_key) != slot.key_id) return refused;
  const View sealed = tail.from(hardware::kBox);
  auto opened = hpke::open(sealed.sub(0, hpke::kEnc), private_key.view(), slot_info(SlotType::hardware, core_hash), slot.aad(),
                           sealed.from(hpke::kEnc));
  if (!opened.ok() || opened->size() != kDataKey) return refused;
  return opened;
}

}  // namespace mg::container
