// New slots around the same data key. The cost does not depend on the model's size: the payload stays.
#include "container/binding.h"
#include "container/opener.h"

namespace mg::container {
namespace {

// The policy that is written must parse again.
Status check_terms(const LeaseTerms& terms) {
  if (!terms.signer || terms.signer->type() != keys::Type::signing)
    return Status(Code::KEY_TYPE_WRONG, "a lease is signed with a signing key");
  const recipients::Policy& policy = terms.policy;
  if (policy.not_before >= policy.not_after)
    return Status(Code::INVALID_ARGUMENT, "a lease's not-before must be before its not-after");
  if (policy.offline_until > policy.not_after)
    return Status(Code::INVALID_ARGUMENT, "a lease's offline-until must not be after its not-after");
  if (policy.not_after >= recipients::kTimeEnd) return Status(Code::INVALID_ARGUMENT, "a lease's times must be below 2^53");
  return {};
}

}  // namespace

Result<Bytes> rewrap(View small, const recipients::Identities& identities, const Trust& trust,
                     const std::vector<recipients::Recipient>& recipients, const std::optional<LeaseTerms>& lease,
                     const recipients::Cancelled* cancelled, std::optional<uint32_t> max_derivations) {
  if (lease) {
    if (auto s = check_terms(*lease); !s.ok()) return s;
  }
  auto opened = OpenContainer::open(small, identities, trust, cancelled, max_derivations);
  if (!opened.ok()) return opened.status();
  if ((*opened)->has_policy())
    return Status(Code::POLICY_PRESENT,
                  "this small part is a lease; only the server that issued it may issue it to other devices");
  const View data_key = (*opened)->data_key();
  const crypto::Sha384& hash = (*opened)->core_hash();
  Header header = (*opened)->header();
  const size_t old_size = header.size();

  auto slots =
      recipients::wrap_all(recipients, data_key, hash, lease ? std::optional<recipients::Policy>(lease->policy) : std::nullopt);
  if (!slots.ok()) return slots.status();
  header.slots = std::move(*slots);
  const Signature* publisher = header.signature(Role::publisher);
  header.signatures = publisher ? std::vector<Signature>{*publisher} : std::vector<Signature>{};
  if (lease) {
    if (auto s = sign(header, Role::lease, *lease->signer, hash); !s.ok()) return s;
  }
  auto mac = header_mac(data_key, header);
  if (!mac.ok()) return mac.status();
  header.mac = *mac;
  if (header.size() > kMaxHeader) return Status(Code::LIMIT_EXCEEDED, "the header would be larger than 65,536 bytes");
  Bytes out = header.encode();
  append(out, small.from(old_size));
  return out;
}

}  // namespace mg::container
