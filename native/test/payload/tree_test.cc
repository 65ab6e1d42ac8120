#include "payload/payload_support.h"
#include "support/sha256_engines.h"

using namespace payload_test;

namespace {

// RFC 9162, section 2.1.1, word for word.
Node naive(const std::vector<Bytes>& leaves, size_t from, size_t n) {
  Node out;
  const uint8_t leaf[1] = {0}, inner[1] = {1};
  const Span to(out.data(), out.size());
  if (n == 1) {
    REQUIRE(crypto::digest(crypto::Hash::sha256, {View(leaf), View(leaves[from])}, to).ok());
    return out;
  }
  size_t k = 1;
  while (k * 2 < n) k *= 2;
  const Node left = naive(leaves, from, k), right = naive(leaves, from + k, n - k);
  REQUIRE(crypto::digest(crypto::Hash::sha256, {View(inner), View(left.data(), 32), View(right.data(), 32)}, to).ok());
  return out;
}

// The same over nodes, where each stands for 64 leaves.
Node naive(const std::vector<Node>& nodes, size_t from, size_t n) {
  if (n == 1) return nodes[from];
  size_t k = 1;
  while (k * 2 < n) k *= 2;
  const Node left = naive(nodes, from, k), right = naive(nodes, from + k, n - k);
  const uint8_t inner[1] = {1};
  Node out;
  REQUIRE(crypto::digest(crypto::Hash::sha256, {View(inner), View(left), View(right)}, Span(out.data(), out.size())).ok());
  return out;
}

// A tree over chunks of noise, and the leaves that it stands for.
struct Sample {
  Tree tree;
  std::vector<Bytes> leaves;
};

Sample sample(uint64_t n) {
  const uint64_t last = n % 3 * 1000, size = (n - 1) * kChunk + last;  // of the plaintext
  Sample out{Tree(size), {}};
  const Bytes prefix = noise(kPrefix, n);
  Bytes chunks(kBatchChunks * kSealedChunk, uint8_t(n));
  for (uint64_t k = 0; k < n; k += kBatchChunks) {
    const uint64_t count = std::min(kBatchChunks, n - k);
    uint64_t sealed = 0;
    for (uint64_t i = 0; i < count; i++) {
      uint8_t* chunk = chunks.data() + i * kSealedChunk;
      write_be<uint64_t>(chunk, n * 100'000 + k + i);
      const uint64_t length = plain_length(size, k + i) + kTag;
      Bytes leaf = k + i == 0 ? prefix : Bytes();
      append(leaf, View(chunk, length));
      out.leaves.push_back(std::move(leaf));
      sealed += length;
    }
    Result<Node> node = Tree::hash_batch(k == 0 ? View(prefix) : View(), View(chunks).sub(0, sealed));
    REQUIRE(node.ok());
    out.tree.set(k / kBatchChunks, *node);
  }
  return out;
}

}  // namespace

TEST_CASE("tree: the root is RFC 9162's for 1 to 200 leaves and 4097") {
  for (uint64_t n = 1; n <= 201; n++) {
    const uint64_t leaves = n == 201 ? 4097 : n;
    CAPTURE(leaves);
    Sample s = sample(leaves);
    REQUIRE(s.leaves.size() == leaves);
    REQUIRE(s.tree.root() == naive(s.leaves, 0, leaves));
    if (leaves <= kBatchChunks) REQUIRE(s.tree.root() == s.tree.node(0));
  }
}

TEST_CASE("tree: the root of many batches is RFC 9162's over their nodes") {
  for (size_t n : {1, 2, 127, 128, 129, 130, 131, 255, 256, 257, 400, 1000}) {
    CAPTURE(n);
    const Bytes bytes = noise(n * sizeof(Node), n);
    std::vector<Node> nodes(n);
    Tree tree(uint64_t(n) * kBatchChunks * kChunk - 1);
    for (size_t i = 0; i < n; i++) {
      std::copy_n(bytes.data() + i * sizeof(Node), sizeof(Node), nodes[i].begin());
      tree.set(i, nodes[i]);
    }
    CHECK(tree.root() == naive(nodes, 0, n));
  }
}

TEST_CASE("tree: stored nodes are those of 64 leaves each, and the length is all that parse looks at") {
  for (uint64_t n : {1, 63, 64, 65, 128, 130, 200}) {
    CAPTURE(n);
    Sample s = sample(n);
    const uint64_t size = (n - 1) * kChunk + n % 3 * 1000;
    const Bytes stored = s.tree.stored();
    REQUIRE(stored.size() == (n + 63) / 64 * 32);
    for (uint64_t i = 0; i * 64 < n; i++) {
      const Node expected = naive(s.leaves, i * 64, std::min<uint64_t>(64, n - i * 64));
      CHECK(equal(View(stored).sub(i * 32, 32), View(expected.data(), 32)));
    }
    Result<Tree> parsed = Tree::parse(View(stored), size);
    REQUIRE(parsed.ok());
    CHECK(parsed->root() == s.tree.root());
    for (size_t length : {size_t(0), stored.size() - 32, stored.size() - 1, stored.size() + 1, stored.size() + 32}) {
      Bytes other = stored;
      other.resize(length);
      CHECK(Tree::parse(View(other), size).status().code == Code::CONTAINER_MALFORMED);
    }
    CHECK(Tree::parse(View(stored), UINT64_MAX).status().code == Code::CONTAINER_MALFORMED);
    for (size_t at = 0; at < stored.size(); at += 7) {
      Bytes tampered = stored;
      tampered[at] ^= 1;
      CHECK(Tree::parse(View(tampered), size)->root() != s.tree.root());
    }
  }
}

TEST_CASE("tree: leaf and node hashes differ, the prefix is part of leaf 0 only") {
  const Bytes chunk = noise(kSealedChunk, 1), prefix = noise(kPrefix, 2);
  CHECK(*Tree::hash_batch(View(prefix), View(chunk)) != *Tree::hash_batch(View(), View(chunk)));
  const Bytes two = noise(2 * kSealedChunk, 3);
  std::vector<Bytes> leaves = {prefix, View(two).from(kSealedChunk).copy()};
  append(leaves[0], View(two).sub(0, kSealedChunk));
  CHECK(*Tree::hash_batch(View(prefix), View(two)) == naive(leaves, 0, 2));
  CHECK(Tree::hash_batch(View(prefix), View()).status().code == Code::INTERNAL);
  const Bytes many(kBatchChunks * kSealedChunk + 1);
  CHECK(Tree::hash_batch(View(), View(many)).status().code == Code::INTERNAL);
}

TEST_CASE("tree: a claimed size takes no memory before its batches come") {
  Tree tree(kMaxPlaintext);  // 128 GiB of nodes
  tree.set(0, Node{});
  CHECK(tree.node(0) == Node{});
}

TEST_CASE("tree: every engine of SHA-256 finds a flipped bit in any chunk of a batch") {
  const Bytes prefix = noise(kPrefix, 4);
  Bytes chunks = noise(kBatchChunks * kSealedChunk - 5000, 5);
  std::vector<Bytes> leaves;
  for (size_t from = 0; from < chunks.size(); from += kSealedChunk) {
    leaves.push_back(from == 0 ? prefix : Bytes());
    append(leaves.back(), View(chunks).sub(from, std::min<size_t>(kSealedChunk, chunks.size() - from)));
  }
  const Node right = naive(leaves, 0, kBatchChunks);
  test::with_each_sha256_engine([&] {
    REQUIRE(*Tree::hash_batch(View(prefix), View(chunks)) == right);
    for (size_t k = 0; k < kBatchChunks; k++) {
      CAPTURE(k);
      uint8_t& byte = chunks[k * kSealedChunk + k * 173];
      byte ^= 1;
      CHECK(*Tree::hash_batch(View(prefix), View(chunks)) != right);
      byte ^= 1;
    }
  });
}

TEST_CASE("tree: a payload that one engine of SHA-256 sealed opens with every other, and not where it was tampered with") {
  work::Pool pool(2);
  const work::Control control;
  const Bytes plain = noise(100 * kChunk + 77, 6);
  test::with_each_sha256_engine([&] {
    payload_test::Message sealed = seal(plain, pool, control);
    test::with_each_sha256_engine([&] {
      const auto open = [&] {
        FlatTarget target(plain.size());
        MemorySource from{View(sealed.sealed)};
        BatchChecks checks;
        checks.verified = &sealed.tree;
        return decrypt_range(sealed.keys, plain.size(), 0, chunk_count(plain.size()), from, target, nullptr, sealed.prefix(),
                             pool, control, checks);
      };
      CHECK(open().ok());
      for (size_t at : {kPrefix, kPrefix + 63 * kSealedChunk, kPrefix + 64 * kSealedChunk, uint64_t(sealed.sealed.size()) - 1}) {
        sealed.sealed[at] ^= 0x80;
        CHECK(open().code == Code::DIGEST_MISMATCH);
        sealed.sealed[at] ^= 0x80;
      }
    });
  });
}
