#include "recipients/sealed_key.h"

#include <algorithm>

#include "crypto/crypto.h"
#include "crypto/hpke.h"

namespace mg::recipients {
namespace {

constexpr uint8_t kZeroNonce[12] = {};
constexpr size_t kDataKey = 32;

Status refused() { return Status(Code::NO_MATCHING_IDENTITY, "the identity does not open this slot"); }

Result<crypto::Gcm> cipher(View secret, View salt, View info) {
  auto key = Secret::allocate(32);
  if (!key.ok()) return key.status();
  if (auto s = crypto::hkdf(crypto::Hash::sha384, secret, salt, info, key->reveal_mut()); !s.ok()) return s;
  return crypto::Gcm::create(key->reveal());
}

}  // namespace

Status seal_to_public(Slot& slot, const keys::PublicKey& key, View data_key, View info) {
  slot.key_id = keys::key_id(key);
  const size_t at = slot.body.size();
  slot.body.resize(at + kSealedToPublic);  // aad() carries the length
  auto sealed = hpke::seal(View(key), info, slot.aad(), data_key);
  if (!sealed.ok()) return sealed.status();
  std::copy(sealed->begin(), sealed->end(), slot.body.begin() + std::ptrdiff_t(at));
  return {};
}

Result<Secret> open_with_private(const Slot& slot, View private_key, View info) {
  const View sealed = View(slot.body).from(slot.body.size() - kSealedToPublic);
  auto data_key = hpke::open(sealed.sub(0, hpke::kEnc), private_key, info, slot.aad(), sealed.from(hpke::kEnc));
  if (!data_key.ok() || data_key->size() != kDataKey) return refused();
  return data_key;
}

Status seal_under_secret(Slot& slot, View secret, View salt, View data_key, View info) {
  auto gcm = cipher(secret, salt, info);
  if (!gcm.ok()) return gcm.status();
  const size_t at = slot.body.size();
  slot.body.resize(at + kSealedUnderKey);  // aad() carries the length
  if (!gcm->seal(View(kZeroNonce), slot.aad(), data_key, slot.body.data() + at))
    return Status(Code::INTERNAL, "the data key could not be wrapped");
  return {};
}

Result<Secret> open_under_secret(const Slot& slot, View secret, View salt, View info) {
  auto gcm = cipher(secret, salt, info);
  if (!gcm.ok()) return gcm.status();
  auto data_key = Secret::allocate(kDataKey);
  if (!data_key.ok()) return data_key.status();
  const View sealed = View(slot.body).from(slot.body.size() - kSealedUnderKey);
  if (!gcm->open(View(kZeroNonce), slot.aad(), sealed, data_key->reveal_mut().data)) return refused();
  return data_key;
}

}  // namespace mg::recipients
