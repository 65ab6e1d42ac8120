#include "payload/tree.h"

#include <algorithm>
#include <cstdlib>

namespace mg::payload {

namespace {

constexpr uint8_t kLeaf[1] = {0}, kInner[1] = {1};

// Pairs neighbours level by level; a lone last node rises unchanged. That is the split at the largest power of two below n
// of RFC 9162, and as 64 is a power of two it also combines the nodes of whole batches to the same root as their leaves.
bool fold(crypto::Sha256Hasher& hasher, Node* nodes, size_t n) {
  while (n > 1) {
    size_t pairs = n / 2;
    for (size_t i = 0; i < pairs; i++) {
      Node node;
      if (!hasher.hash({View(kInner), View(nodes[2 * i].data(), 32), View(nodes[2 * i + 1].data(), 32)}, node.data()))
        return false;
      nodes[i] = node;
    }
    if (n % 2 == 1) nodes[pairs] = nodes[n - 1];
    n = pairs + n % 2;
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
  size_t count = (sealed_chunks.size + kSealedChunk - 1) / kSealedChunk;
  if (count == 0 || count > kBatchChunks) return Status(Code::INTERNAL, "a batch has 1 to 64 chunks");
  crypto::Sha256Hasher hasher;
  Node nodes[kBatchChunks];
  for (size_t k = 0; k < count; k++) {
    size_t from = k * size_t(kSealedChunk);
    View chunk = sealed_chunks.sub(from, std::min(size_t(kSealedChunk), sealed_chunks.size - from));
    if (!hasher.hash({View(kLeaf), k == 0 ? prefix : View(), chunk}, nodes[k].data()))
      return Status(Code::INTERNAL, "SHA-256 failed");
  }
  if (!fold(hasher, nodes, count)) return Status(Code::INTERNAL, "SHA-256 failed");
  return nodes[0];
}

Node Tree::root() const {
  std::vector<Node> nodes = nodes_;
  nodes.resize(size_t(count_));
  crypto::Sha256Hasher hasher;
  if (fold(hasher, nodes.data(), nodes.size())) return nodes[0];
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
