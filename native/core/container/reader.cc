#include "container/reader.h"

#include <algorithm>
#include <cstring>

namespace mg::container {

Result<std::unique_ptr<Reader>> Reader::create(std::shared_ptr<const OpenContainer> opened,
                                               std::shared_ptr<payload::Source> payload, std::optional<uint64_t> big_offset,
                                               work::Pool& pool, const work::Control& control, View stored_tree) {
  if (auto s = opened->check_length(payload->size(), big_offset); !s.ok()) return s;
  std::unique_ptr<Reader> reader(new Reader(std::move(opened), std::move(payload)));
  if (auto s = with_source_change(*reader->payload_, reader->prepare(pool, control, stored_tree)); !s.ok())
    return reader->opened_->explain_failure(s, *reader->payload_, big_offset, pool);
  return reader;
}

Status Reader::prepare(work::Pool& pool, const work::Control& control, View stored_tree) {
  const uint64_t plaintext = opened_->header().core.plaintext_size;
  // A read of nothing authenticates the last chunk: so that a truncated or foreign payload is distinguished at once from one that its publisher did not sign.
  payload::Reader unverified(opened_->keys(), opened_->prefix(), plaintext, *payload_, nullptr);
  if (auto s = unverified.read(0, Span(), pool, control); !s.ok()) return s;
  tree_ = opened_->publishers_tree(stored_tree);
  if (opened_->trusts_publishers() && !tree_) {
    payload::Tree tree(plaintext);
    if (auto s = payload::hash_all(opened_->prefix(), plaintext, *payload_, tree, pool, control); !s.ok()) return s;
    if (auto s = opened_->check_digest(tree); !s.ok()) return s;
    tree_ = std::move(tree);
  }
  plain_.emplace(opened_->keys(), opened_->prefix(), plaintext, *payload_, tree_ ? &*tree_ : nullptr);
  auto listing = read_listing(plaintext, [&](uint64_t first, uint64_t count, Region& into) {
    const uint64_t offset = first * payload::kChunk, size = std::min(count * payload::kChunk, plaintext - offset);
    return plain_->read(offset, Span(into.data(), size_t(size)), pool, control);
  });
  if (!listing.ok()) return listing.status();
  files_ = std::move(listing->files);
  area_ = listing->area();
  return {};
}

Region Reader::Piece::take() {
  if (size_ && skip_) std::memmove(chunks_.data(), chunks_.data() + skip_, size_);
  return std::move(chunks_);
}

// A change of the file is the cause of the failures that follow from it, so it is reported first.
Status Reader::with_source_change(payload::Source& payload, const Status& status) {
  if (status.code == Code::ABORT_ERR) return status;
  auto changed = payload.check_unchanged();
  return changed.ok() ? status : changed;
}

Result<Reader::Piece> Reader::read(uint64_t index, uint64_t offset, uint64_t length, work::Pool& pool,
                                   const work::Control& control, const Options& options) {
  if (index >= files_.size()) return Status(Code::INVALID_ARGUMENT, "the container has no such file");
  const File& file = files_[size_t(index)];
  if (offset > file.size || length > file.size - offset)
    return Status(Code::INVALID_ARGUMENT, std::to_string(length) + " bytes from " + std::to_string(offset) + " on are not in '" +
                                              file.path + "', which has " + std::to_string(file.size));
  if (length > options.most)
    return Status(Code::LIMIT_EXCEEDED, "a read has at most " + std::to_string(options.most >> 20) + " MiB");
  const uint64_t from = offset / payload::kChunk * payload::kChunk, to = length ? payload::round_up(offset + length) : from;
  auto chunks = Region::allocate(size_t(to - from));
  if (!chunks.ok()) return chunks.status();
  // The last file has no padding.
  const uint64_t start = area_ + file.offset + from, left = opened_->header().core.plaintext_size - start;
  auto s = plain_->read(start, Span(chunks->data(), size_t(std::min(to - from, left))), pool, control, options.from);
  if (s.ok() && to > file.size) {
    const size_t padding = size_t(to - file.size);
    s = check_padding(View(chunks->data() + chunks->size() - padding, padding), file.path);
  }
  if (s = with_source_change(options.from ? *options.from : *payload_, s); !s.ok()) return s;
  return Piece(std::move(*chunks), size_t(offset - from), size_t(length));
}

}  // namespace mg::container
