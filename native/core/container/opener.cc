#include "container/opener.h"

#include <algorithm>

#include "container/binding.h"

namespace mg::container {
namespace {

bool verifies(const Header& header, Role role, const std::vector<keys::PublicKey>& keys, const crypto::Sha384& core_hash) {
  const Signature* signature = header.signature(role);
  if (!signature) return false;
  const Bytes preimage = header.signed_bytes(role, core_hash);
  if (preimage.empty()) return false;
  return std::any_of(keys.begin(), keys.end(), [&](const keys::PublicKey& key) {
    return keys::key_id(key) == signature->key_id &&
           crypto::ed25519_verify(View(key.data(), key.size()), preimage, View(signature->bytes.data(), 64));
  });
}

Status check_policy(const Slot& slot, bool lease_signed, uint64_t now) {
  if (!slot.policy) return {};
  if (!lease_signed) return Status(Code::LEASE_UNTRUSTED, "the lease is not signed by a server key that this machine trusts");
  if (now < slot.policy->not_before) return Status(Code::LEASE_NOT_YET_VALID, "the lease is not valid yet");
  if (now >= slot.policy->not_after) return Status(Code::LEASE_EXPIRED, "the lease has expired");
  return {};
}

bool all_zero(View bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t b) { return b == 0; });
}

// Chunks [0, n) of a message side by side: the manifest.
class StagingTarget : public payload::Target {
 public:
  explicit StagingTarget(Region& region) : region_(region) {}
  uint8_t* at(uint64_t chunk) override { return region_.data() + chunk * payload::kChunk; }

 private:
  Region& region_;
};

}  // namespace

Status check_origin(const Header& header, const Trust& trust, const crypto::Sha384& core_hash) {
  const std::string is = header.core.name + "@" + header.core.version;
  if ((trust.name && *trust.name != header.core.name) || (trust.version && *trust.version != header.core.version))
    return Status(Code::REFERENCE_MISMATCH, "this is " + is + ", not " + trust.name.value_or(header.core.name) + "@" +
                                                trust.version.value_or(header.core.version));
  if (trust.publishers.empty()) return {};
  if (!header.signature(Role::publisher)) return Status(Code::SIGNATURE_MISSING, is + " is not signed by any publisher");
  if (!verifies(header, Role::publisher, trust.publishers, core_hash))
    return Status(Code::SIGNATURE_INVALID, is + " is not signed by a publisher that was asked for");
  return {};
}

namespace {

// Of several reasons why nothing opened, the one that tells most.
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
    default: return 5;  // not a matter of this identity: ends the search
  }
}

// What this machine shows, read when the first hardware slot is tried.
Result<hardware::Machine> read_machine(const Header& header, const Cancelled* cancelled) {
  hardware::ReadOptions options{hardware::system_root(), false, cancelled};
  for (const Slot& slot : header.slots)
    options.tpm |= slot.type == uint16_t(SlotType::hardware) && helper_of(slot).counts(hardware::Kind::tpm);
  return hardware::read_machine(options);
}

}  // namespace

Status Opened::find_data_key(const Identities& identities, const Trust& trust, const Cancelled* cancelled) {
  const bool lease_signed = verifies(header_, Role::lease, trust.lease_keys, core_hash_);
  Status refused(Code::NO_MATCHING_IDENTITY, "none of the identities opens " + header_.core.name + "@" + header_.core.version);
  std::optional<hardware::Machine> machine;
  bool tpm_unavailable = false;
  for (const Identity& identity : identities) {
    for (const Slot& slot : header_.slots) {
      const bool machines = slot.type == uint16_t(SlotType::hardware) && identity.machine.value_or(slot.key_id) == slot.key_id;
      const bool fits = identity.key ? matches(slot, *identity.key) : machines;
      if (!fits || (tpm_unavailable && !identity.key && !helper_of(slot).tpm.empty())) continue;
      if (cancelled && cancelled->load()) return Status(Code::ABORT_ERR, "cancelled");
      if (auto s = check_policy(slot, lease_signed, trust.now); !s.ok()) {
        refused = s;
        continue;
      }
      if (!identity.key && !machine) {
        auto found = read_machine(header_, cancelled);
        if (!found.ok()) return found.status();
        machine = std::move(*found);
      }
      auto data_key = identity.key ? unwrap(slot, *identity.key, core_hash_) : unwrap(slot, *machine, core_hash_, cancelled);
      if (data_key.ok()) {
        data_key_ = std::move(*data_key);
        by_policy_ = slot.policy.has_value();
        return {};
      }
      const int rank_now = rank(data_key.status().code);
      tpm_unavailable |= data_key.status().code == Code::TPM_UNAVAILABLE;
      if (rank_now > 4) return data_key.status();
      if (rank_now > rank(refused.code)) refused = data_key.status();
    }
  }
  return refused;
}

Result<std::unique_ptr<Opened>> Opened::open(View small, const Identities& identities, const Trust& trust, const Cancelled* cancelled) {
  auto header = parse_header(small);
  if (!header.ok()) return header.status();
  std::unique_ptr<Opened> opened(new Opened);
  opened->header_ = std::move(*header);
  const size_t at = opened->header_.size();
  auto hash = container::core_hash(opened->header_.core_json);
  if (!hash.ok()) return hash.status();
  opened->core_hash_ = *hash;
  if (auto s = check_origin(opened->header_, trust, *hash); !s.ok()) return s;
  opened->check_digest_ = !trust.publishers.empty();
  if (small.size - at < payload::kPrefix)
    return Status(Code::CONTAINER_TRUNCATED, "the small part ends before its salt and commitment");
  if (small.size - at > opened->header_.payload_length)
    return Status(Code::CONTAINER_MALFORMED, "bytes stand behind the end of the payload");
  std::memcpy(opened->prefix_, small.data + at, payload::kPrefix);
  if (auto s = opened->find_data_key(identities, trust, cancelled); !s.ok()) return s;

  auto mac = header_mac(opened->data_key(), opened->header_);
  if (!mac.ok()) return mac.status();
  if (!crypto::equal(View(mac->data(), kMac), View(opened->header_.mac.data(), kMac)))
    return Status(Code::INTEGRITY_FAILED, "the header or one of its slots was changed");
  auto keys = payload_keys(opened->data_key(), opened->prefix().sub(0, payload::kSalt), *hash);
  if (!keys.ok()) return keys.status();
  opened->keys_ = std::move(*keys);
  if (!crypto::equal(View(opened->keys_.commitment), opened->prefix().from(payload::kSalt)))
    return Status(Code::INTEGRITY_FAILED, "the payload was not made for this header");
  return opened;
}

// The manifest and the regions it asks for; also the Target that fills them.
struct Opened::Contents : payload::Target {
  Region manifest_chunks;  // as authenticated first; a second pass must give the same bytes
  Region staging;          // the second pass
  uint64_t manifest_length = 0, area_chunk = 0;
  std::vector<File> layout;
  std::vector<LoadedFile> files;

  uint8_t* at(uint64_t chunk) override {
    if (chunk < area_chunk) return staging.data() + chunk * payload::kChunk;
    const uint64_t offset = (chunk - area_chunk) * payload::kChunk;
    // The last file that starts at or before this chunk, empty ones aside.
    size_t low = 0, high = layout.size();
    while (high - low > 1) {
      const size_t middle = (low + high) / 2;
      (layout[middle].offset <= offset ? low : high) = middle;
    }
    return files[low].region.data() + (offset - layout[low].offset);
  }
};

Result<Opened::Contents> Opened::read_manifest(payload::Source& payload, payload::Pool& pool, const payload::Control& control) const {
  const uint64_t plaintext = header_.core.plaintext_size;
  auto decrypt = [&](Region& into, uint64_t first, uint64_t count) {
    StagingTarget target(into);
    return payload::decrypt_range(keys_, plaintext, first, count, payload, target, nullptr, prefix(), pool, control);
  };
  auto first = Region::allocate(payload::kChunk);
  if (!first.ok()) return first.status();
  if (auto s = decrypt(*first, 0, 1); !s.ok()) return s;

  Contents contents;
  contents.manifest_length = read_be<uint32_t>(first->data());
  const uint64_t area = payload::round_up(4 + contents.manifest_length);
  if (contents.manifest_length > kMaxManifest || area > plaintext)
    return Status(Code::MANIFEST_INVALID, "the manifest claims " + std::to_string(contents.manifest_length) + " bytes");
  contents.area_chunk = area / payload::kChunk;
  auto all = Region::allocate(size_t(area));
  if (!all.ok()) return all.status();
  if (auto s = decrypt(*all, 0, contents.area_chunk); !s.ok()) return s;
  contents.manifest_chunks = std::move(*all);

  const View message(contents.manifest_chunks.data(), size_t(area));
  if (read_be<uint32_t>(message.data) != contents.manifest_length)
    return Status(Code::INTEGRITY_FAILED, "the payload changed while it was read");
  auto manifest = parse_manifest(message.sub(4, contents.manifest_length), plaintext);
  if (!manifest.ok()) return manifest.status();
  if (!all_zero(message.from(4 + contents.manifest_length)))
    return Status(Code::MANIFEST_INVALID, "the padding behind the manifest is not zero");
  contents.layout = std::move(manifest->files);
  // Empty files share their offset with the next one and own no chunk: they must not be found by at().
  for (const File& file : contents.layout) {
    auto region = Region::allocate(size_t(payload::round_up(file.size)));
    if (!region.ok()) return region.status();
    contents.files.push_back(LoadedFile{file.path, file.size, std::move(*region)});
  }
  return contents;
}

// Whether any of the first chunks that lie wholly in the big part is authentic.
bool Opened::belongs(payload::Source& payload, uint64_t big_offset, payload::Pool& pool) const {
  const uint64_t plaintext = header_.core.plaintext_size, chunks = payload::chunk_count(plaintext);
  uint64_t k = big_offset <= payload::kPrefix ? 0 : (big_offset - payload::kPrefix + payload::kSealedChunk - 1) / payload::kSealedChunk;
  auto scratch = Region::allocate(payload::kChunk);
  if (!scratch.ok() || k >= chunks) return true;
  struct One : payload::Target {
    Region& region;
    explicit One(Region& r) : region(r) {}
    uint8_t* at(uint64_t) override { return region.data(); }
  } target(*scratch);
  const payload::Control control;
  for (const uint64_t end = std::min(chunks, k + payload::kBatchChunks); k < end; k++) {
    if (payload::decrypt_range(keys_, plaintext, k, 1, payload, target, nullptr, prefix(), pool, control).ok()) return true;
  }
  return false;
}

Result<std::vector<LoadedFile>> Opened::load(payload::Source& payload, std::optional<uint64_t> big_offset, payload::Pool& pool,
                                             const payload::Control& control) const {
  const uint64_t plaintext = header_.core.plaintext_size;
  if (payload.size() != header_.payload_length) {
    const std::string what = "the payload has " + std::to_string(payload.size()) + " bytes, the header says " +
                             std::to_string(header_.payload_length);
    if (big_offset) return Status(Code::PARTS_MISMATCH, what);
    return Status(payload.size() < header_.payload_length ? Code::CONTAINER_TRUNCATED : Code::CONTAINER_MALFORMED, what);
  }
  auto fail = [&](const Status& s) {
    if (s.code == Code::INTEGRITY_FAILED && big_offset && !belongs(payload, *big_offset, pool))
      return Status(Code::PARTS_MISMATCH, "the big part does not belong to this small part, or was changed throughout");
    return s;
  };
  auto contents = read_manifest(payload, pool, control);
  if (!contents.ok()) return fail(contents.status());

  const uint64_t chunks = payload::chunk_count(plaintext);
  if (check_digest_) {
    // The whole payload in one pass, hashed as it is decrypted. The manifest was acted upon before its leaves were checked,
    // so its bytes must come out the same.
    auto staging = Region::allocate(contents->manifest_chunks.size());
    if (!staging.ok()) return staging.status();
    contents->staging = std::move(*staging);
    payload::Tree tree(plaintext);
    auto s = payload::decrypt_range(keys_, plaintext, 0, chunks, payload, *contents, &tree, prefix(), pool, control);
    if (!s.ok()) return fail(s);
    const payload::Node root = tree.root();
    if (!equal(View(root.data(), root.size()), View(header_.digest.data(), header_.digest.size())))
      return Status(Code::DIGEST_MISMATCH, "the payload is not the one that its publisher signed");
    if (!crypto::equal(View(contents->staging.data(), contents->staging.size()),
                       View(contents->manifest_chunks.data(), contents->manifest_chunks.size())))
      return Status(Code::INTEGRITY_FAILED, "the payload changed while it was read");
  } else {
    const uint64_t first = contents->area_chunk;
    auto s = payload::decrypt_range(keys_, plaintext, first, chunks - first, payload, *contents, nullptr, prefix(), pool, control);
    if (!s.ok()) return fail(s);
  }
  for (const LoadedFile& file : contents->files) {
    if (!all_zero(View(file.region.data() + file.size, file.region.size() - size_t(file.size))))
      return Status(Code::MANIFEST_INVALID, "the padding behind '" + file.path + "' is not zero");
  }
  return std::move(contents->files);
}

}  // namespace mg::container
