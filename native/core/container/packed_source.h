// The plaintext message as one Source: manifest, padding, then each file where the manifest says (docs/format.md, section 4).
#pragma once
#include <sys/types.h>

#include <string>
#include <vector>

#include "container/manifest.h"
#include "payload/io.h"
#include "payload/layout.h"

namespace mg::container {

// One file of the model to be sealed: a path on disk, or memory that outlives the Sealer.
struct Input {
  std::string path;     // in the manifest
  std::string on_disk;  // where it lies, or empty
  View memory;          // used when on_disk is empty
};

class PackedSource : public payload::Source {
 public:
  // Opens every input once and notes what it is; a file that is another one later, or has changed, is SOURCE_CHANGED.
  static Result<std::unique_ptr<PackedSource>> create(std::vector<Input> inputs);

  uint64_t size() const override { return size_; }
  Status read(uint64_t offset, Span out) override;
  Status check_unchanged() const;

 private:
  struct Identity {
    dev_t device;
    ino_t inode;
    uint64_t size;
    int64_t modified, changed;  // nanoseconds
    bool operator==(const Identity& o) const;
  };
  struct Item {
    Input input;
    Identity identity;
    uint64_t start = 0, size = 0;  // in the message
  };
  static Result<int> open_input(const Input& input, Identity* identity);
  Status read_item(const Item& item, uint64_t offset, Span out) const;

  Bytes head_;  // u32 manifest length || manifest
  std::vector<Item> items_;  // in the manifest's order
  uint64_t size_ = 0;
};

}  // namespace mg::container
