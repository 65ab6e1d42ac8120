#include "container/opener.h"

#include <algorithm>

#include "container/binding.h"
#include "container/find_key.h"

namespace mg::container {
namespace {

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
  auto found = find_data_key(opened->header_, *hash, identities, trust, cancelled);
  if (!found.ok()) return found.status();
  opened->data_key_ = std::move(found->data_key);
  opened->by_policy_ = found->by_policy;

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
