#include "container/opener.h"

#include <algorithm>
#include <mutex>

#include "container/binding.h"
#include "container/find_key.h"
#include "container/listing.h"

namespace mg::container {
namespace {

constexpr unsigned kRereads = 16;  // of one load: a source that is damaged throughout fails soon

// Chunks [0, n) of a message side by side: the manifest.
class StagingTarget : public payload::Target {
 public:
  explicit StagingTarget(Region& region) : region_(region) {}
  uint8_t* at(uint64_t chunk) override { return region_.data() + chunk * payload::kChunk; }

 private:
  Region& region_;
};

// Reads the first batch of a payload once and keeps it: the manifest in it is read before the files around it.
class CachedStart : public payload::Source {
 public:
  explicit CachedStart(payload::Source& payload)
      : payload_(payload), end_(std::min(payload.size(), payload::chunk_offset(payload::kBatchChunks))) {}
  bool is_remote() const override { return payload_.is_remote(); }
  uint64_t size() const override { return payload_.size(); }
  Status read(uint64_t offset, Span out) override {
    if (offset < payload::kPrefix || offset + out.size > end_) return payload_.read(offset, out);
    std::lock_guard<std::mutex> lock(mutex_);
    if (start_.empty()) {
      Bytes start(size_t(end_ - payload::kPrefix));
      if (auto s = payload_.read(payload::kPrefix, Span(start)); !s.ok()) return s;
      start_ = std::move(start);
    }
    std::copy_n(start_.data() + (offset - payload::kPrefix), out.size, out.data);
    return {};
  }
  bool renew(uint64_t offset, uint64_t size) override {
    if (!payload_.renew(offset, size)) return false;
    std::lock_guard<std::mutex> lock(mutex_);
    if (offset < end_) start_.clear();
    return true;
  }

 private:
  payload::Source& payload_;
  const uint64_t end_;
  std::mutex mutex_;
  Bytes start_;
};

}  // namespace

Result<std::unique_ptr<OpenContainer>> OpenContainer::open(View small, const recipients::Identities& identities,
                                                           const Trust& trust, const recipients::Cancelled* cancelled,
                                                           std::optional<uint32_t> max_derivations) {
  auto header = parse_header(small);
  if (!header.ok()) return header.status();
  std::unique_ptr<OpenContainer> opened(new OpenContainer);
  opened->header_ = std::move(*header);
  const size_t at = opened->header_.size();
  auto hash = container::core_hash(opened->header_.core_json);
  if (!hash.ok()) return hash.status();
  opened->core_hash_ = *hash;
  if (auto s = check_origin(opened->header_, trust, *hash); !s.ok()) return s;
  opened->trusts_publishers_ = !trust.publishers.empty();
  if (small.size - at < payload::kPrefix)
    return Status(Code::CONTAINER_TRUNCATED, "the small part ends before its salt and commitment");
  if (small.size - at > opened->header_.payload_length)
    return Status(Code::CONTAINER_MALFORMED, "bytes stand behind the end of the payload");
  std::memcpy(opened->prefix_, small.data + at, payload::kPrefix);
  crypto::Derivations derivations(max_derivations.value_or(usual_derivations(identities)), cancelled);
  auto found = find_data_key(opened->header_, *hash, identities, trust, derivations, cancelled);
  if (!found.ok()) return found.status();
  opened->data_key_ = std::move(found->data_key);
  opened->has_policy_ = found->has_policy;

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

// The regions that the manifest asks for; also the Target that fills them.
struct OpenContainer::Contents : payload::Target {
  Listing listing;  // a second pass must give the same bytes
  Region staging;   // the second pass
  std::vector<LoadedFile> files;

  uint8_t* at(uint64_t chunk) override {
    if (chunk < listing.area_chunk) return staging.data() + chunk * payload::kChunk;
    const uint64_t offset = (chunk - listing.area_chunk) * payload::kChunk;
    // The last file that starts at or before this chunk, empty ones aside.
    size_t low = 0, high = files.size();
    while (high - low > 1) {
      const size_t middle = (low + high) / 2;
      (listing.files[middle].offset <= offset ? low : high) = middle;
    }
    return files[low].region.data() + (offset - listing.files[low].offset);
  }
};

// The stored tree, if it is the one that the publisher signed.
std::optional<payload::Tree> OpenContainer::publishers_tree(View stored) const {
  if (!trusts_publishers_) return std::nullopt;
  auto tree = payload::Tree::parse(stored, header_.core.plaintext_size);
  if (!tree.ok() || !check_digest(*tree).ok()) return std::nullopt;
  return std::move(*tree);
}

Result<OpenContainer::Contents> OpenContainer::prepare(payload::Source& payload, Backing backing, work::Pool& pool,
                                                       const work::Control& control, const payload::BatchChecks& checks) const {
  const uint64_t plaintext = header_.core.plaintext_size;
  auto listing = read_listing(plaintext, [&](uint64_t first, uint64_t count, Region& into) {
    StagingTarget target(into);
    return payload::decrypt_range(keys_, plaintext, first, count, payload, target, nullptr, prefix(), pool, control, checks);
  });
  if (!listing.ok()) return listing.status();
  Contents contents;
  contents.listing = std::move(*listing);
  // Empty files share their offset with the next one and own no chunk: they must not be found by at().
  // For slow sources, ordinary pages: the time that the kernel spends on huge pages would not be regained.
  const Pages pages = payload.is_remote() ? Pages::ordinary : Pages::huge;
  for (const File& file : contents.listing.files) {
    auto region = Region::allocate(size_t(payload::round_up(file.size)), pages, backing);
    if (!region.ok()) return region.status();
    contents.files.push_back(LoadedFile{file.path, file.size, std::move(*region)});
  }
  return contents;
}

// Whether any of the first chunks that lie wholly in the big part is authentic.
bool OpenContainer::has_authentic_chunk(payload::Source& payload, uint64_t big_offset, work::Pool& pool) const {
  const uint64_t plaintext = header_.core.plaintext_size, chunks = payload::chunk_count(plaintext);
  uint64_t k =
      big_offset <= payload::kPrefix ? 0 : (big_offset - payload::kPrefix + payload::kSealedChunk - 1) / payload::kSealedChunk;
  auto scratch = Region::allocate(payload::kChunk);
  if (!scratch.ok() || k >= chunks) return true;
  struct One : payload::Target {
    Region& region;
    explicit One(Region& r) : region(r) {}
    uint8_t* at(uint64_t) override { return region.data(); }
  } target(*scratch);
  const work::Control control;
  for (const uint64_t end = std::min(chunks, k + payload::kBatchChunks); k < end; k++) {
    const Status status = payload::decrypt_range(keys_, plaintext, k, 1, payload, target, nullptr, prefix(), pool, control);
    // Bytes that cannot be read do not show to which container they belong.
    if (status.code != Code::INTEGRITY_FAILED) return true;
  }
  return false;
}

Status OpenContainer::check_length(uint64_t size, std::optional<uint64_t> big_offset) const {
  if (size == header_.payload_length) return {};
  const std::string what =
      "the payload has " + std::to_string(size) + " bytes, the header says " + std::to_string(header_.payload_length);
  if (big_offset) return Status(Code::PARTS_MISMATCH, what);
  return Status(size < header_.payload_length ? Code::CONTAINER_TRUNCATED : Code::CONTAINER_MALFORMED, what);
}

Status OpenContainer::check_digest(const payload::Tree& tree) const {
  const payload::Node root = tree.root();
  if (equal(View(root), View(header_.digest))) return {};
  return Status(Code::DIGEST_MISMATCH, "the payload is not the one that its publisher signed");
}

Status OpenContainer::explain_failure(const Status& failure, payload::Source& payload, std::optional<uint64_t> big_offset,
                                      work::Pool& pool) const {
  const bool damaged = failure.code == Code::INTEGRITY_FAILED || failure.code == Code::DIGEST_MISMATCH;
  if (damaged && big_offset && !has_authentic_chunk(payload, *big_offset, pool))
    return Status(Code::PARTS_MISMATCH, "the big part does not belong to this small part, or was changed throughout");
  return failure;
}

// The whole payload in one pass, hashed as it is decrypted. The manifest was acted upon before its leaves were checked, so its
// bytes must come out the same.
Status OpenContainer::decrypt_signed(payload::Source& payload, Contents& contents, work::Pool& pool, const work::Control& control,
                                     const payload::BatchChecks& checks) const {
  const uint64_t plaintext = header_.core.plaintext_size;
  const Region& listed = contents.listing.chunks;
  auto staging = Region::allocate(listed.size());
  if (!staging.ok()) return staging.status();
  contents.staging = std::move(*staging);
  payload::Tree tree(plaintext);
  auto s = payload::decrypt_range(keys_, plaintext, 0, payload::chunk_count(plaintext), payload, contents, &tree, prefix(), pool,
                                  control, checks);
  if (s.ok()) s = check_digest(tree);
  if (!s.ok()) return s;
  if (!crypto::equal(View(contents.staging.data(), listed.size()), View(listed.data(), listed.size())))
    return Status(Code::INTEGRITY_FAILED, "the payload changed while it was read");
  return {};
}

Result<std::vector<LoadedFile>> OpenContainer::load(payload::Source& source, std::optional<uint64_t> big_offset, work::Pool& pool,
                                                    const work::Control& control, View stored_tree, Backing backing) const {
  const uint64_t plaintext = header_.core.plaintext_size, chunks = payload::chunk_count(plaintext);
  if (auto s = check_length(source.size(), big_offset); !s.ok()) return s;
  CachedStart payload(source);
  const auto tree = publishers_tree(stored_tree);
  payload::RereadBudget rereads(kRereads);
  const payload::BatchChecks checks{tree ? &*tree : nullptr, &rereads};
  const auto failed = [&](const Status& why) {
    const Status blamed = explain_failure(why, payload, big_offset, pool);
    // A cancelled load reports only that it was cancelled.
    return control.cancelled ? Status(Code::ABORT_ERR, "cancelled") : blamed;
  };
  auto contents = prepare(payload, backing, pool, control, checks);
  if (!contents.ok()) return failed(contents.status());
  Status s;
  if (trusts_publishers_ && !tree) {
    s = decrypt_signed(payload, *contents, pool, control, checks);
  } else {
    const uint64_t first = contents->listing.area_chunk;
    s = payload::decrypt_range(keys_, plaintext, first, chunks - first, payload, *contents, nullptr, prefix(), pool, control,
                               checks);
  }
  if (!s.ok()) return failed(s);
  for (LoadedFile& file : contents->files) {
    s = check_padding(View(file.region.data() + file.size, file.region.size() - size_t(file.size)), file.path);
    if (s.ok() && backing == Backing::memfd) s = file.region.seal(size_t(file.size));
    if (!s.ok()) return s;
  }
  return std::move(contents->files);
}

}  // namespace mg::container
