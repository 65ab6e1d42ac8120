#include "container/find_key.h"

#include <algorithm>
#include <map>
#include <set>

#include "recipients/table.h"

namespace mg::container {
namespace {

using recipients::Identities, recipients::Identity, recipients::Kind, recipients::Slot;

constexpr int kEndsSearch = 5;

// Of several reasons why no slot opened, the one with the highest rank is returned.
int rank(Code code) {
  switch (code) {
    case Code::NO_MATCHING_IDENTITY: return 0;
    case Code::SALTS_MISMATCH: return 1;
    case Code::TPM_UNAVAILABLE: return 2;  // the slot may belong to another machine
    case Code::HARDWARE_MISMATCH: return 3;
    case Code::HARDWARE_UNREADABLE:
    case Code::TPM_LOCKED:
    case Code::TPM_REFUSED:
    case Code::LEASE_UNTRUSTED:
    case Code::LEASE_NOT_YET_VALID:
    case Code::LEASE_EXPIRED: return 4;
    default: return kEndsSearch;  // no other identity or slot would help
  }
}

// A slot, and an identity that may open it.
struct Candidate {
  const Kind* kind;
  const Slot* slot;
  const Identity* identity;
  uint32_t cost;

  // Slots without a cost come first, then slots that the identity names by key id, then all other slots.
  int order() const { return cost == 0 ? 0 : identity->machine ? 1 : 2; }
  bool operator<(const Candidate& other) const { return std::pair(order(), cost) < std::pair(other.order(), other.cost); }
};

// Sorted by cost, otherwise in the order of identities and slots. This machine tries a slot once, however many identities are this machine.
std::vector<Candidate> candidates(const Header& header, const Identities& identities) {
  std::vector<Candidate> all;
  for (const Identity& identity : identities) {
    for (const Slot& slot : header.slots) {
      const Kind* kind = recipients::find_kind(slot.type);
      if (kind && kind->matches(slot, identity)) all.push_back({kind, &slot, &identity, kind->cost(slot)});
    }
  }
  std::stable_sort(all.begin(), all.end());
  std::set<const Slot*> seen;
  const auto repeated = [&](const Candidate& each) { return !each.identity->key && !seen.insert(each.slot).second; };
  all.erase(std::remove_if(all.begin(), all.end(), repeated), all.end());
  return all;
}

}  // namespace

uint32_t usual_derivations(const Identities& identities) {
  uint32_t sum = 0;
  for (const Kind* kind : recipients::kinds()) sum += kind->max_cost(identities);
  return sum;
}

Result<FoundKey> find_data_key(const Header& header, const crypto::Sha384& core_hash, const Identities& identities,
                               const Trust& trust, crypto::Derivations& derivations, const recipients::Cancelled* cancelled) {
  const bool lease_verified = lease_verifies(header, trust, core_hash);
  const recipients::Search search{header.slots, core_hash, derivations, cancelled};
  std::map<const Kind*, recipients::Unwrap> unwrappers;
  const auto open = [&](const Candidate& candidate) -> Result<Secret> {
    if (auto s = check_policy(*candidate.slot, lease_verified, trust); !s.ok()) return s;
    recipients::Unwrap& unwrap = unwrappers[candidate.kind];
    if (!unwrap) unwrap = candidate.kind->unwrapper(search);
    return unwrap(*candidate.slot, *candidate.identity);
  };
  Status refused(Code::NO_MATCHING_IDENTITY, "none of the identities opens " + header.core.name + "@" + header.core.version);
  for (const Candidate& candidate : candidates(header, identities)) {
    if (cancelled && cancelled->load()) return Status(Code::ABORT_ERR, "cancelled");
    auto data_key = open(candidate);
    if (data_key.ok()) return FoundKey{std::move(*data_key), candidate.slot->policy.has_value()};
    const Status& reason = data_key.status();
    if (rank(reason.code) == kEndsSearch) return reason;
    if (rank(reason.code) > rank(refused.code)) refused = reason;
  }
  return refused;
}

}  // namespace mg::container
