// Reads pieces of a container: the files of its manifest at any offset (docs/format.md, sections 4, 5, 9).
#pragma once
#include <memory>
#include <optional>

#include "container/listing.h"
#include "container/opener.h"

namespace mg::container {

class Reader {
 public:
  static constexpr uint64_t kMaxRead = uint64_t(64) << 20;

  // Bytes of a file, in the chunks that hold them.
  class Piece {
   public:
    Piece(Region chunks, size_t skip, size_t size) : chunks_(std::move(chunks)), skip_(skip), size_(size) {}
    View bytes() const { return size_ ? View(chunks_.data() + skip_, size_) : View(); }
    Region take();  // begins with the bytes

   private:
    Region chunks_;
    size_t skip_, size_;
  };

  // Checks length, last chunk, then, where publishers are trusted, the digest, then the manifest. Where the root of `stored_tree` is not that
  // digest, all of `payload` is read for it. `payload`, `big_offset` and `stored_tree` as in OpenContainer::load(). SOURCE_CHANGED.
  static Result<std::unique_ptr<Reader>> create(std::shared_ptr<const OpenContainer> opened,
                                                std::shared_ptr<payload::Source> payload, std::optional<uint64_t> big_offset,
                                                work::Pool& pool, const work::Control& control, View stored_tree = {});

  const std::vector<File>& files() const { return files_; }

  struct Options {
    payload::Source* from = nullptr;  // where the payload is read this time, instead of the one given to create()
    uint64_t most = kMaxRead;
  };
  // Any thread. Where publishers are trusted, every batch is compared with the digest again. INVALID_ARGUMENT for a range outside of the file,
  // LIMIT_EXCEEDED for more than `most`, SOURCE_CHANGED.
  Result<Piece> read(uint64_t index, uint64_t offset, uint64_t length, work::Pool& pool, const work::Control& control,
                     const Options& options);
  Result<Piece> read(uint64_t index, uint64_t offset, uint64_t length, work::Pool& pool, const work::Control& control) {
    return read(index, offset, length, pool, control, Options());
  }

 private:
  Reader(std::shared_ptr<const OpenContainer> opened, std::shared_ptr<payload::Source> payload)
      : opened_(std::move(opened)), payload_(std::move(payload)) {}
  Status prepare(work::Pool& pool, const work::Control& control, View stored_tree);
  static Status with_source_change(payload::Source& payload, const Status& status);

  std::shared_ptr<const OpenContainer> opened_;
  std::shared_ptr<payload::Source> payload_;
  std::optional<payload::Tree> tree_;  // verified
  std::optional<payload::Reader> plain_;
  std::vector<File> files_;
  uint64_t area_ = 0;
};

}  // namespace mg::container
