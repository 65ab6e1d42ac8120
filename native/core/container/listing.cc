#include "container/listing.h"

#include <algorithm>

namespace mg::container {
namespace {

bool all_zero(View bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t b) { return b == 0; });
}

}  // namespace

Result<Listing> read_listing(uint64_t plaintext_size, const ReadChunks& read) {
  auto first = Region::allocate(payload::kChunk);
  if (!first.ok()) return first.status();
  if (auto s = read(0, 1, *first); !s.ok()) return s;

  const uint64_t length = read_be<uint32_t>(first->data()), area = payload::round_up(4 + length);
  if (length > kMaxManifest || area > plaintext_size)
    return Status(Code::MANIFEST_INVALID, "the manifest claims " + std::to_string(length) + " bytes");
  Listing listing;
  listing.area_chunk = area / payload::kChunk;
  auto all = Region::allocate(size_t(area));
  if (!all.ok()) return all.status();
  if (auto s = read(0, listing.area_chunk, *all); !s.ok()) return s;
  listing.chunks = std::move(*all);

  const View message(listing.chunks.data(), size_t(area));
  if (read_be<uint32_t>(message.data) != length) return Status(Code::INTEGRITY_FAILED, "the payload changed while it was read");
  auto manifest = parse_manifest(message.sub(4, size_t(length)), plaintext_size);
  if (!manifest.ok()) return manifest.status();
  if (!all_zero(message.from(size_t(4 + length))))
    return Status(Code::MANIFEST_INVALID, "the padding behind the manifest is not zero");
  listing.files = std::move(manifest->files);
  return listing;
}

Status check_padding(View padding, const std::string& path) {
  if (all_zero(padding)) return {};
  return Status(Code::MANIFEST_INVALID, "the padding behind '" + path + "' is not zero");
}

}  // namespace mg::container
