#include "container/find_key.h"

#include <algorithm>
#include <set>

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
  ThisMachine(const Header& header, const crypto::Sha384& core_hash, const Cancelled* cancelled, crypto::Derivations& derivations)
      : header_(header), core_hash_(core_hash), cancelled_(cancelled), derivations_(derivations) {}

  Result<Secret> unwrap(const Slot& slot) {
    // What the TPM did not do for one slot it will not do for the next.
    if (tpm_unavailable_.code != Code::OK && !helper_of(slot).tpm.empty()) return tpm_unavailable_;
    if (!machine_) {
      hardware::ReadOptions options{hardware::system_root(), false, cancelled_};
      for (const Slot& each : header_.slots) options.tpm |= is_hardware(each) && helper_of(each).counts(hardware::Kind::tpm);
      auto read = hardware::read_machine(options);
      if (!read.ok()) return read.status();
      machine_ = std::move(*read);
      stretched_.emplace(*machine_, derivations_);
    }
    auto data_key = container::unwrap(slot, *stretched_, core_hash_, cancelled_);
    if (!data_key.ok() && data_key.status().code == Code::TPM_UNAVAILABLE) tpm_unavailable_ = data_key.status();
    return data_key;
  }

 private:
  const Header& header_;
  const crypto::Sha384& core_hash_;
  const Cancelled* cancelled_;
  crypto::Derivations& derivations_;
  std::optional<hardware::Machine> machine_;
  std::optional<hardware::Stretched> stretched_;
  Status tpm_unavailable_;
};

bool fits(const Identity& identity, const Slot& slot) {
  if (identity.key) return matches(slot, *identity.key);
  return is_hardware(slot) && identity.machine.value_or(slot.key_id) == slot.key_id;
}

// A slot, and the identity that may open it.
struct Candidate {
  const Identity* identity;
  const Slot* slot;
  uint32_t derivations;

  // Free ones come first, then slots that name this machine, then the others.
  int order() const { return derivations == 0 ? 0 : identity->machine ? 1 : 2; }
  bool operator<(const Candidate& other) const {
    return std::pair(order(), derivations) < std::pair(other.order(), other.derivations);
  }
};

// The cheapest first, else as they were given. A hardware slot is tried once, however many identities are this machine.
std::vector<Candidate> candidates(const Header& header, const Identities& identities) {
  std::vector<Candidate> all;
  for (const Identity& identity : identities)
    for (const Slot& slot : header.slots)
      if (fits(identity, slot)) all.push_back({&identity, &slot, derivations_of(slot)});
  std::stable_sort(all.begin(), all.end());
  std::set<const Slot*> seen;
  const auto tried = [&](const Candidate& each) { return !each.identity->key && !seen.insert(each.slot).second; };
  all.erase(std::remove_if(all.begin(), all.end(), tried), all.end());
  return all;
}

}  // namespace

uint32_t usual_derivations(const Identities& identities) {
  constexpr uint32_t kPassphrase = crypto::derivations_of(kMaxLogN), kMachine = hardware::kMaxFactors;
  uint32_t passphrases = 0;
  std::set<keys::KeyId> named;
  bool any_machine = false;
  for (const Identity& identity : identities) {
    if (identity.machine) named.insert(*identity.machine);
    else if (!identity.key) any_machine = true;
    else if (identity.key->type() == keys::Type::passphrase) passphrases++;
  }
  const size_t machines = any_machine ? kMaxSlots : std::min(named.size(), kMaxSlots);
  return passphrases * kPassphrase + uint32_t(machines) * kMachine;
}

Result<FoundKey> find_data_key(const Header& header, const crypto::Sha384& core_hash, const Identities& identities, const Trust& trust,
                               crypto::Derivations& derivations, const Cancelled* cancelled) {
  const bool lease_verified = lease_verifies(header, trust, core_hash);
  ThisMachine machine(header, core_hash, cancelled, derivations);
  Status refused(Code::NO_MATCHING_IDENTITY, "none of the identities opens " + header.core.name + "@" + header.core.version);
  const auto open = [&](const Identity& identity, const Slot& slot) -> Result<Secret> {
    if (auto s = check_policy(slot, lease_verified, trust); !s.ok()) return s;
    return identity.key ? unwrap(slot, *identity.key, core_hash, derivations) : machine.unwrap(slot);
  };
  for (const Candidate& candidate : candidates(header, identities)) {
    if (cancelled && cancelled->load()) return Status(Code::ABORT_ERR, "cancelled");
    auto data_key = open(*candidate.identity, *candidate.slot);
    if (data_key.ok()) return FoundKey{std::move(*data_key), candidate.slot->policy.has_value()};
    const Status& reason = data_key.status();
    if (rank(reason.code) == kEndsSearch) return reason;
    if (rank(reason.code) > rank(refused.code)) refused = reason;
  }
  return refused;
}

}  // namespace mg::container
