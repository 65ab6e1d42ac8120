// RFC 9162 Merkle tree over sealed chunks (docs/format.md, section 5). Keeps one node per batch of 64 leaves: 32 bytes a MiB.
#pragma once
#include <memory>
#include <mutex>
#include <vector>

#include "crypto/crypto.h"
#include "payload/layout.h"

namespace mg::payload {

using Node = crypto::Sha256;

class Tree {
 public:
  explicit Tree(uint64_t plaintext_size);
  // Stored `.tree` bytes; CONTAINER_MALFORMED if their length does not fit. Untrusted until root() was compared.
  static Result<Tree> parse(View stored, uint64_t plaintext_size);

  // The node of batch `index` from its sealed chunks; `prefix` (56 bytes) only for batch 0. Thread-safe for different batches.
  static Result<Node> hash_batch(View prefix, View sealed_chunks);
  void set(uint64_t index, const Node& node);                       // thread-safe
  const Node& node(uint64_t index) const { return nodes_[index]; }  // of a complete tree
  Node root() const;
  Bytes stored() const;

 private:
  uint64_t count_;
  // Grows as batches come: a claimed size costs nothing before its bytes exist.
  std::vector<Node> nodes_;
  std::unique_ptr<std::mutex> growing_ = std::make_unique<std::mutex>();
};

}  // namespace mg::payload
