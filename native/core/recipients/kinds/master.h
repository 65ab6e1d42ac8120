// master: a master key that both sides hold. Body: salt(32) || ct(48).
#pragma once
#include "recipients/kind.h"
#include "recipients/sealed_key.h"

namespace mg::recipients {

class Master : public Kind {
 public:
  constexpr Master() : Kind(2, "master") {}
  std::optional<keys::Type> shared_key() const override { return keys::Type::master; }

  Status wrap(Slot& slot, const Recipient& recipient, View data_key, View info) const override {
    std::array<uint8_t, kSalt> salt;
    if (auto s = crypto::random_bytes(Span(salt.data(), salt.size())); !s.ok()) return s;
    append(slot.body, View(salt));
    return seal_under_secret(slot, recipient.key->secret().reveal(), View(salt), data_key, info);
  }

  Status check_body(View body) const override { return check_size(body, kSalt + kSealedUnderKey); }

  bool matches(const Slot&, const Identity& identity) const override {
    return identity.key && identity.key->type() == keys::Type::master;
  }

  Unwrap unwrapper(const Search& search) const override {
    return [info = info(search.core_hash)](const Slot& slot, const Identity& identity) {
      return open_under_secret(slot, identity.key->secret().reveal(), View(slot.body).sub(0, kSalt), info);
    };
  }

 private:
  static constexpr size_t kSalt = 32;
};

}  // namespace mg::recipients
