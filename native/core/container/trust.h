// Whom a reader trusts, and what needs no key of its own to be checked (docs/format.md, sections 7 and 9, steps 2 to 4).
#pragma once
#include <optional>
#include <string>
#include <vector>
#include "container/header.h"

namespace mg::container {

struct Trust {
  std::optional<std::string> name, version;    // the reference asked for
  std::vector<keys::PublicKey> publishers;     // empty: origin not checked (the caller has accepted that)
  std::vector<keys::PublicKey> lease_keys;
  uint64_t now = 0;                            // seconds since 1970, for policies
  bool renewed = false;                        // the server gave this lease for this opening; counts only while the lease is new
};

// Reference and publisher. `header` must already be parsed.
Status check_origin(const Header& header, const Trust& trust, const crypto::Sha384& core_hash);
bool lease_verifies(const Header& header, const Trust& trust, const crypto::Sha384& core_hash);
// A lease is new for this long after its not-before: servers date that two minutes back, clocks may differ by two, one is for the way.
constexpr uint64_t kNewSeconds = 300;
// LEASE_UNTRUSTED, LEASE_NOT_YET_VALID, LEASE_EXPIRED; a slot without a policy always holds.
Status check_policy(const Slot& slot, bool lease_verified, const Trust& trust);

}  // namespace mg::container
