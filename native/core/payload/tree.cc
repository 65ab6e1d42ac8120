#include "payload/tree.h"

#include <algorithm>
#include <cstdlib>

namespace mg::payload {

namespace {

constexpr uint8_t kLeaf[1] = {0}, kInner[1] = {1};

// Pairs neighbours level by level; a lone last node rises unchanged. That is the split at the largest power of two below n
// of RFC 9162, and as 64 is a power of two it also combines the nodes of whole batches to the same root as their leaves.
bool fold(Node* nodes, size_t n) {
  for (; n > 1; n = n / 2 + n % 2) {
    const size_t pairs = n / 2;
    for (size_t done = 0; done < pairs; done += kBatchChunks) {
      const size_t count = std::min(pairs - done, size_t(kBatchChunks));
      crypto::Message children[kBatchChunks];
      Node parents[kBatchChunks];
      for (size_t i = 0; i < count; i++) children[i] = {View(kInner), View(nodes[2 * (done + i)].data(), 2 * sizeof(Node))};
      if (!crypto::sha256_many(children, count, parents)) return false;
      std::copy_n(parents, count, nodes + done);
    }
    if (n % 2 == 1) nodes[pairs] = nodes[n - 1];
  }
  return true;
}

}  // namespace

Tree::Tree(uint64_t plaintext_size) : count_(batch_count(plaintext_size)) {}

void Tree::set(uint64_t index, const Node& node) {
  std::lock_guard<std::mutex> lock(*growing_);
  if (index >= nodes_.size()) nodes_.resize(size_t(index) + 1);
  nodes_[size_t(index)] = node;
}

Result<Tree> Tree::parse(View stored, uint64_t plaintext_size) {
  if (plaintext_size > kMaxPlaintext || stored.size % sizeof(Node) != 0 ||
      stored.size / sizeof(Node) != batch_count(plaintext_size))
    return Status(Code::CONTAINER_MALFORMED, "the tree file does not have the length that fits the payload");
  Tree tree(plaintext_size);
  tree.nodes_.resize(stored.size / sizeof(Node));
  for (size_t i = 0; i < tree.nodes_.size(); i++)
    std::copy_n(stored.data + i * sizeof(Node), sizeof(Node), tree.nodes_[i].begin());
  return tree;
}

Result<Node> Tree::hash_batch(View prefix, View sealed_chunks) {
  const size_t count = (sealed_chunks.size + kSealedChunk - 1) / kSealedChunk;
  if (count == 0 || count > kBatchChunks) return Status(Code::INTERNAL, "a batch has 1 to 64 chunks");
  if (prefix.size > kPrefix) return Status(Code::INTERNAL, "the payload's prefix has 56 bytes");
  uint8_t first[sizeof kLeaf + kPrefix];
  std::copy(prefix.begin(), prefix.end(), std::copy(std::begin(kLeaf), std::end(kLeaf), first));
  crypto::Message leaves[kBatchChunks];
  for (size_t k = 0; k < count; k++) {
    const size_t from = k * size_t(kSealedChunk);
    leaves[k] = {View(kLeaf), sealed_chunks.sub(from, std::min(size_t(kSealedChunk), sealed_chunks.size - from))};
  }
  leaves[0].prefix = View(first, sizeof kLeaf + prefix.size);
  Node nodes[kBatchChunks];
  if (!crypto::sha256_many(leaves, count, nodes) || !fold(nodes, count)) return Status(Code::INTERNAL, "SHA-256 failed");
  return nodes[0];
}

Node Tree::root() const {
  std::vector<Node> nodes = nodes_;
  nodes.resize(size_t(count_));
  if (fold(nodes.data(), nodes.size())) return nodes[0];
  // SHA-256 failed (out of memory inside the library). A random value equals no digest, so every check of it fails.
  Node nothing;
  if (!crypto::random_bytes(Span(nothing.data(), nothing.size())).ok()) std::abort();
  return nothing;
}

Bytes Tree::stored() const {
  Bytes out;
  out.reserve(size_t(count_) * sizeof(Node));
  for (const Node& node : nodes_) append(out, View(node.data(), node.size()));
  out.resize(size_t(count_) * sizeof(Node));
  return out;
}

}  // namespace mg::payload
