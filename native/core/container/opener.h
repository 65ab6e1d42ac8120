// Opens a container, in the order of docs/format.md, section 9.
#pragma once
#include <memory>

#include "container/manifest.h"
#include "container/trust.h"
#include "memory/region.h"
#include "payload/payload.h"
#include "recipients/slots.h"

namespace mg::container {

struct LoadedFile {
  std::string path;
  uint64_t size;
  Region region;  // whole chunks, bytes past size are zero; of a memfd, size bytes
};

class OpenContainer {
 public:
  // `small`: header, prefix and the payload bytes that follow. Steps 1–7. `cancelled` ends the
  // search for a slot that opens, the only long part, and `max_derivations` bounds it (default: usual_derivations()).
  static Result<std::unique_ptr<OpenContainer>> open(View small, const recipients::Identities& identities, const Trust& trust,
                                                     const recipients::Cancelled* cancelled = nullptr,
                                                     std::optional<uint32_t> max_derivations = std::nullopt);

  const Header& header() const { return header_; }
  const crypto::Sha384& core_hash() const { return core_hash_; }
  View data_key() const { return data_key_.reveal(); }
  bool has_policy() const { return has_policy_; }  // the slot that opened carries a policy

  // Step 8: the whole model, each file into a region of its own. `payload` serves payload offsets. With publishers
  // in the Trust, nothing is returned before the digest is checked; where the root of `stored_tree`, untrusted `.tree` bytes, is
  // that digest, no batch is decrypted before it is checked. Where payload bytes from `big_offset` on came as a part of
  // their own, and none of its first chunks is authentic, the error is PARTS_MISMATCH. With Backing::memfd, each file is in a sealed
  // one of its own.
  Result<std::vector<LoadedFile>> load(payload::Source& payload, std::optional<uint64_t> big_offset, work::Pool& pool,
                                       const work::Control& control, View stored_tree = {},
                                       Backing backing = Backing::anonymous) const;

  // For a Reader, which reads the payload in another way than load().
  const payload::Keys& keys() const { return keys_; }
  View prefix() const { return View(prefix_); }
  bool trusts_publishers() const { return trusts_publishers_; }  // then nothing is released before check_digest()
  std::optional<payload::Tree> publishers_tree(View stored) const;
  Status check_digest(const payload::Tree& tree) const;
  Status check_length(uint64_t payload_size, std::optional<uint64_t> big_offset) const;
  // PARTS_MISMATCH if that is the cause of `failure`, otherwise `failure`.
  Status explain_failure(const Status& failure, payload::Source& payload, std::optional<uint64_t> big_offset,
                         work::Pool& pool) const;

 private:
  struct Contents;
  OpenContainer() = default;
  Result<Contents> prepare(payload::Source& payload, Backing backing, work::Pool& pool, const work::Control& control,
                           const payload::BatchChecks& checks) const;
  Status decrypt_signed(payload::Source& payload, Contents& contents, work::Pool& pool, const work::Control& control,
                        const payload::BatchChecks& checks) const;
  bool has_authentic_chunk(payload::Source& payload, uint64_t big_offset, work::Pool& pool) const;

  Header header_;
  crypto::Sha384 core_hash_{};
  Secret data_key_;
  payload::Keys keys_;
  uint8_t prefix_[payload::kPrefix];
  bool trusts_publishers_ = false, has_policy_ = false;
};

// New slots around the same data key; core, digest, publisher's signature and payload stay. POLICY_PRESENT if the slot that
// opened carries a policy. Returns the new small part: `small` with the new header.
struct LeaseTerms {
  recipients::Policy policy;
  std::shared_ptr<const keys::Key> signer;
};
Result<Bytes> rewrap(View small, const recipients::Identities& identities, const Trust& trust,
                     const std::vector<recipients::Recipient>& recipients, const std::optional<LeaseTerms>& lease = std::nullopt,
                     const recipients::Cancelled* cancelled = nullptr, std::optional<uint32_t> max_derivations = std::nullopt);

}  // namespace mg::container
