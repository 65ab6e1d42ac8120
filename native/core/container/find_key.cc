#include "container/find_key.h"

namespace mg::container {
namespace {

constexpr int kEndsSearch = 5;

// Of several reasons why nothing opened, the highest tells most.
int rank(Code code) {
  switch (code) {
    case Code::NO_MATCHING_IDENTITY: return 0;
    case Code::SALTS_MISMATCH: return 1;
    case Code::TPM_UNAVAILABLE: return 2;  // a slot with a TPM may be another machine's
    case Code::HARDWARE_MISMATCH: return 3;
    case Code::HARDWARE_UNREADABLE:
    case Code::TPM_LOCKED:
    case Code::TPM_REFUSED:
    case Code::LEASE_UNTRUSTED:
    case Code::LEASE_NOT_YET_VALID:
    case Code::LEASE_EXPIRED: return 4;
    default: return kEndsSearch;  // not a matter of this identity
  }
}

bool is_hardware(const Slot& slot) { return slot.type == uint16_t(SlotType::hardware); }

// This machine, read when the first hardware slot is tried.
class ThisMachine {
 public:
  ThisMachine(const Header& header, const crypto::Sha384& core_hash, const Cancelled* cancelled)
      : header_(header), core_hash_(core_hash), cancelled_(cancelled) {}

  Result<Secret> unwrap(const Slot& slot) {
    // What the TPM did not do for one slot it will not do for the next.
    if (tpm_unavailable_.code != Code::OK && !helper_of(slot).tpm.empty()) return tpm_unavailable_;
    if (!machine_) {
      hardware::ReadOptions options{hardware::system_root(), false, cancelled_};
      for (const Slot& each : header_.slots) options.tpm |= is_hardware(each) && helper_of(each).counts(hardware::Kind::tpm);
      auto read = hardware::read_machine(options);
      if (!read.ok()) return read.status();
      machine_ = std::move(*read);
    }
    auto data_key = container::unwrap(slot, *machine_, core_hash_, cancelled_);
    if (!data_key.ok() && data_key.status().code == Code::TPM_UNAVAILABLE) tpm_unavailable_ = data_key.status();
    return data_key;
  }

 private:
  const Header& header_;
  const crypto::Sha384& core_hash_;
  const Cancelled* cancelled_;
  std::optional<hardware::Machine> machine_;
  Status tpm_unavailable_;
};

bool fits(const Identity& identity, const Slot& slot) {
  if (identity.key) return matches(slot, *identity.key);
  return is_hardware(slot) && identity.machine.value_or(slot.key_id) == slot.key_id;
}

}  // namespace

Result<FoundKey> find_data_key(const Header& header, const crypto::Sha384& core_hash, const Identities& identities, const Trust& trust,
                               const Cancelled* cancelled) {
  const bool lease_verified = lease_verifies(header, trust, core_hash);
  ThisMachine machine(header, core_hash, cancelled);
  Status refused(Code::NO_MATCHING_IDENTITY, "none of the identities opens " + header.core.name + "@" + header.core.version);
  const auto open = [&](const Identity& identity, const Slot& slot) -> Result<Secret> {
    if (auto s = check_policy(slot, lease_verified, trust); !s.ok()) return s;
    return identity.key ? unwrap(slot, *identity.key, core_hash) : machine.unwrap(slot);
  };
  for (const Identity& identity : identities) {
    for (const Slot& slot : header.slots) {
      if (!fits(identity, slot)) continue;
      if (cancelled && cancelled->load()) return Status(Code::ABORT_ERR, "cancelled");
      auto data_key = open(identity, slot);
      if (data_key.ok()) return FoundKey{std::move(*data_key), slot.policy.has_value()};
      const Status& reason = data_key.status();
      if (rank(reason.code) == kEndsSearch) return reason;
      if (rank(reason.code) > rank(refused.code)) refused = reason;
    }
  }
  return refused;
}

}  // namespace mg::container
