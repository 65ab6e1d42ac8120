// passphrase: a passphrase that both sides know, stretched by scrypt. Body: salt(16) || logN(1) || ct(48). At most one in a container.
#pragma once
#include "recipients/kind.h"
#include "recipients/sealed_key.h"

namespace mg::recipients {

class Passphrase : public Kind {
 public:
  constexpr Passphrase() : Kind(3, "passphrase") {}
  size_t max_slots() const override { return 1; }
  std::optional<keys::Type> shared_key() const override { return keys::Type::passphrase; }

  Status wrap(Slot& slot, const Recipient& recipient, View data_key, View info) const override {
    std::array<uint8_t, kSalt> salt;
    if (auto s = crypto::random_bytes(Span(salt.data(), salt.size())); !s.ok()) return s;
    auto secret = stretch(*recipient.key, View(salt), kLogN);
    if (!secret.ok()) return secret.status();
    append(slot.body, View(salt));
    slot.body.push_back(kLogN);
    return seal_under_secret(slot, secret->reveal(), View(salt), data_key, info);
  }

  Status check_body(View body) const override {
    if (auto s = check_size(body, kSalt + 1 + kSealedUnderKey); !s.ok()) return s;
    if (body[kSalt] >= kMinLogN && body[kSalt] <= kMaxLogN) return {};
    return Status(Code::CONTAINER_MALFORMED, "has scrypt's logN " + std::to_string(body[kSalt]) + ", it must be 15 to 18");
  }

  bool matches(const Slot&, const Identity& identity) const override {
    return identity.key && identity.key->type() == keys::Type::passphrase;
  }

  uint32_t cost(const Slot& slot) const override { return crypto::derivations_of(slot.body[kSalt]); }

  // Each passphrase once, at the highest cost.
  uint32_t max_cost(const Identities& identities) const override {
    uint32_t passphrases = 0;
    for (const Identity& identity : identities) passphrases += identity.key && identity.key->type() == keys::Type::passphrase;
    return passphrases * crypto::derivations_of(kMaxLogN);
  }

  Unwrap unwrapper(const Search& search) const override {
    return [this, info = info(search.core_hash), &derivations = search.derivations](const Slot& slot,
                                                                                    const Identity& identity) -> Result<Secret> {
      if (auto s = derivations.begin(cost(slot)); !s.ok()) return s;
      const View salt = View(slot.body).sub(0, kSalt);
      auto secret = stretch(*identity.key, salt, slot.body[kSalt]);
      if (!secret.ok()) return secret.status();
      return open_under_secret(slot, secret->reveal(), salt, info);
    };
  }

 private:
  static constexpr size_t kSalt = 16;
  static constexpr uint8_t kMinLogN = 15, kMaxLogN = 18;  // accepted
  static constexpr uint8_t kLogN = 17;                    // written

  static Result<Secret> stretch(const keys::Key& key, View salt, unsigned log_n) {
    auto secret = Secret::allocate(32);
    if (!secret.ok()) return secret.status();
    if (auto s = crypto::scrypt(key.secret().reveal(), salt, log_n, 8, 1, secret->reveal_mut()); !s.ok()) return s;
    return secret;
  }
};

}  // namespace mg::recipients
