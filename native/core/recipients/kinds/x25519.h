// x25519: the public key of a device. Body: enc(32) || ct(48). Public part: the 32 bytes of the key.
#pragma once
#include <algorithm>

#include "recipients/kind.h"
#include "recipients/sealed_key.h"

namespace mg::recipients {

class X25519 : public Kind {
 public:
  constexpr X25519() : Kind(1, "x25519") {}
  bool has_key_id() const override { return true; }
  Status check_public_part(View public_part) const override { return crypto::check_x25519_public(public_part); }

  Status wrap(Slot& slot, const Recipient& recipient, View data_key, View info) const override {
    keys::PublicKey key;
    std::copy_n(recipient.public_part.begin(), key.size(), key.begin());
    return seal_to_public(slot, key, data_key, info);
  }

  Status check_body(View body) const override { return check_size(body, kSealedToPublic); }

  bool matches(const Slot& slot, const Identity& identity) const override {
    return identity.key && identity.key->type() == keys::Type::device &&
           slot.key_id == keys::key_id(identity.key->x25519_public());
  }

  Unwrap unwrapper(const Search& search) const override {
    return [info = info(search.core_hash)](const Slot& slot, const Identity& identity) {
      return open_with_private(slot, identity.key->x25519_private(), info);
    };
  }
};

}  // namespace mg::recipients
