// hardware: a machine, by the key pair that enough of its factors give (docs/format.md, section 12). Body: helper || box(48) || enc(32) ||
// ct(48); the helper data state their own length. Public part: a binding, as hardware::encode_binding() writes it.
#pragma once
#include <algorithm>
#include <set>

#include "crypto/hpke.h"
#include "crypto/secret_buffer.h"
#include "hardware/binding.h"
#include "recipients/kind.h"
#include "recipients/sealed_key.h"
#include "salts/salts.h"

namespace mg::recipients {

class Hardware : public Kind {
 public:
  constexpr Hardware() : Kind(kNumber, "hardware") {}
  bool has_key_id() const override { return true; }
  Status check_public_part(View public_part) const override { return hardware::parse_binding(public_part).status(); }

  Status wrap(Slot& slot, const Recipient& recipient, View data_key, View info) const override {
    auto binding = hardware::parse_binding(recipient.public_part);
    if (!binding.ok()) return binding.status();
    append(slot.body, binding->helper.encode());
    append(slot.body, View(binding->box));
    return seal_to_public(slot, binding->public_key, data_key, info);
  }

  Status check_body(View body) const override {
    size_t helper = 0;
    if (auto parsed = hardware::parse_helper(body, &helper); !parsed.ok())
      return Status(Code::CONTAINER_MALFORMED, "has wrong helper data: " + parsed.status().what);
    return check_size(body, helper + kTail);
  }

  bool matches(const Slot& slot, const Identity& identity) const override {
    return !identity.key && identity.machine.value_or(slot.key_id) == slot.key_id;
  }

  // Each factor once. A slot of a build with other salts is refused before any derivation.
  uint32_t cost(const Slot& slot) const override {
    const hardware::Helper helper = helper_of(slot);
    return helper.salts_id == salts::id() ? uint32_t(helper.factors.size()) : 0;
  }

  // Every factor of every slot, or of the slots that the identities name (docs/decisions/0022).
  uint32_t max_cost(const Identities& identities) const override {
    std::set<keys::KeyId> named;
    bool any_slot = false;
    for (const Identity& identity : identities) {
      if (identity.machine) named.insert(*identity.machine);
      else any_slot |= !identity.key;
    }
    const size_t slots = any_slot ? kMaxSlots : std::min(named.size(), kMaxSlots);
    return uint32_t(slots * hardware::kMaxFactors);
  }

  Unwrap unwrapper(const Search& search) const override {
    return [machine = std::make_shared<ThisMachine>(search, info(search.core_hash))](const Slot& slot, const Identity&) {
      return machine->unwrap(slot);
    };
  }

  std::optional<hardware::Helper> machine(const Slot& slot) const override { return helper_of(slot); }

 private:
  static constexpr uint16_t kNumber = 4;
  static constexpr size_t kTail = hardware::kBox + kSealedToPublic;  // of a body, after the helper data

  // The helper data of a parsed slot.
  static hardware::Helper helper_of(const Slot& slot) {
    size_t used = 0;
    auto helper = hardware::parse_helper(slot.body, &used);
    return helper.ok() ? std::move(*helper) : hardware::Helper();
  }

  // Unwraps slots with this machine. Reads the machine at the first slot.
  class ThisMachine {
   public:
    ThisMachine(const Search& search, Bytes info) : search_(search), info_(std::move(info)) {}

    Result<Secret> unwrap(const Slot& slot) {
      const hardware::Helper helper = helper_of(slot);
      // A TPM that was unavailable for one slot is not tried for the next.
      if (!tpm_unavailable_.ok() && !helper.tpm.empty()) return tpm_unavailable_;
      if (auto s = read_machine(); !s.ok()) return s;
      const View box = View(slot.body).sub(slot.body.size() - kTail, hardware::kBox);
      auto secret = hardware::open(helper, box, *stretched_, search_.cancelled);
      if (!secret.ok()) {
        if (secret.status().code == Code::TPM_UNAVAILABLE) tpm_unavailable_ = secret.status();
        return secret.status();
      }
      crypto::SecretBuffer<32> private_key;
      keys::PublicKey public_key;
      if (auto s = hpke::derive_key_pair(secret->reveal(), private_key.span(), Span(public_key.data(), public_key.size()));
          !s.ok())
        return s;
      if (keys::key_id(public_key) != slot.key_id)
        return Status(Code::NO_MATCHING_IDENTITY, "the machine does not open this slot");
      return open_with_private(slot, private_key.view(), info_);
    }

   private:
    Status read_machine() {
      if (machine_) return {};
      hardware::ReadOptions options{hardware::system_root(), false, search_.cancelled};
      for (const Slot& slot : search_.slots) options.tpm |= slot.type == kNumber && helper_of(slot).counts(hardware::Kind::tpm);
      auto machine = hardware::read_machine(options);
      if (!machine.ok()) return machine.status();
      machine_ = std::move(*machine);
      stretched_.emplace(*machine_, search_.derivations);
      return {};
    }

    const Search search_;
    const Bytes info_;
    std::optional<hardware::Machine> machine_;
    std::optional<hardware::StretchedFactors> stretched_;
    Status tpm_unavailable_;
  };
};

}  // namespace mg::recipients
