// The publishers and lease keys that a reader trusts, and the checks that need no identity (docs/format.md, sections 7 and 9, steps 2 to 4).
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "container/header.h"

namespace mg::container {

struct Trust {
  std::optional<std::string> name, version;  // the reference asked for
  std::vector<keys::PublicKey> publishers;   // empty: origin not checked (the caller has accepted that)
  std::vector<keys::PublicKey> lease_keys;
  uint64_t now = 0;      // seconds since 1970, for policies
  bool renewed = false;  // the server issued this lease for this opening; ignored once the lease is no longer new
};

// Reference and publisher. `header` must already be parsed.
Status check_origin(const Header& header, const Trust& trust, const crypto::Sha384& core_hash);
bool lease_verifies(const Header& header, const Trust& trust, const crypto::Sha384& core_hash);
// A lease is new for this long after its not-before: servers date it back by two minutes, clocks may differ by two, and one is for transport.
constexpr uint64_t kNewSeconds = 300;
// LEASE_UNTRUSTED, LEASE_NOT_YET_VALID, LEASE_EXPIRED; a slot without a policy always passes.
Status check_policy(const recipients::Slot& slot, bool lease_verified, const Trust& trust);

}  // namespace mg::container
