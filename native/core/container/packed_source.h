// The plaintext message as one Source: manifest, padding, then each file at the place that the manifest gives (docs/format.md, section 4).
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "container/manifest.h"
#include "payload/io.h"
#include "payload/layout.h"

namespace mg::container {

// One file of the model to be sealed: a source, a path on disk, or memory that outlives the Sealer.
struct Input {
  std::string path;                           // in the manifest
  std::string on_disk;                        // where it lies, or empty
  View memory;                                // used when on_disk is empty
  std::shared_ptr<payload::Source> source{};  // used instead of both when set
};

class PackedSource : public payload::Source {
 public:
  // Opens every file once; one that is another later, or has changed, is SOURCE_CHANGED.
  static Result<std::unique_ptr<PackedSource>> create(std::vector<Input> inputs);

  uint64_t size() const override { return size_; }
  Status read(uint64_t offset, Span out) override;
  Status check_unchanged() override;

 private:
  struct Item {
    std::shared_ptr<payload::Source> source;
    uint64_t start = 0;  // in the message
    uint64_t end() const { return start + source->size(); }
  };

  Bytes head_;               // u32 manifest length || manifest
  std::vector<Item> items_;  // in the manifest's order
  uint64_t size_ = 0;
};

}  // namespace mg::container
