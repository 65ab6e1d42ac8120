// Loading with a stored tree, and from a source that can deliver damaged bytes again.
#include <map>
#include <mutex>
#include <set>

#include "container/container_support.h"
#include "payload/payload_support.h"

using namespace container_test;
using payload_test::FlatTarget;
using payload_test::noise;
using test::test_seed;

namespace {

// A remote big part: bytes may arrive damaged, and can be read again.
struct Far : payload::Source {
  View bytes;
  bool renewable = true;
  std::map<uint64_t, unsigned> damage;  // at which byte, in how many answers
  std::mutex mutex;
  uint64_t bytes_read = 0;
  unsigned reads = 0, renewals = 0;

  explicit Far(View b) : bytes(b) {}
  uint64_t size() const override { return bytes.size; }
  Status read(uint64_t offset, Span out) override {
    payload::MemorySource memory(bytes);
    auto s = memory.read(offset, out);
    std::lock_guard<std::mutex> lock(mutex);
    reads++;
    bytes_read += out.size;
    for (auto& [at, times] : damage) {
      if (times == 0 || at < offset || at >= offset + out.size) continue;
      out.data[at - offset] ^= 0x10;
      times--;
    }
    return s;
  }
  bool renew(uint64_t offset, uint64_t size) override {
    std::lock_guard<std::mutex> lock(mutex);
    CHECK(offset + size <= bytes.size);
    renewals += renewable;
    return renewable;
  }
};

enum class Trusting { none, publisher, publisher_with_tree };
const Trusting kEvery[] = {Trusting::none, Trusting::publisher, Trusting::publisher_with_tree};

struct World {
  work::Pool pool{2};
  std::shared_ptr<const keys::Key> master = new_key(keys::Type::master), publisher = new_key(keys::Type::signing);
  Bytes large, tail = noise(20000, 3);
  ContainerParts made;
  Bytes tree;

  explicit World(size_t size = 3'000'001, split::Rule rule = {}) : large(noise(size, test_seed())) {
    made = make({Input{"a", "", View(large)}, Input{"b", "", View(tail)}},
                SealOptions{{shared(master)}, publisher, "model", "1", rule}, pool);
    tree = tree_of(View(made.big));
  }
  View head() const { return View(made.small).from(made.header_size); }
  std::unique_ptr<OpenContainer> opened(bool publishers) {
    Trust trust;
    if (publishers) trust.publishers = {publisher->ed25519_public()};
    auto opened = OpenContainer::open(View(made.small), {master}, trust);
    REQUIRE(opened.ok());
    return std::move(*opened);
  }
  uint64_t plaintext() { return opened(false)->header().core.plaintext_size; }
  Bytes tree_of(View big) {
    payload::MemorySource first(head()), second(big);
    payload::JoinedSource joined(first, second);
    payload::Tree all(plaintext());
    REQUIRE(payload::hash_all(head().sub(0, payload::kPrefix), plaintext(), joined, all, pool, work::Control()).ok());
    return all.stored();
  }
  // OK only if every byte is right.
  Code load(payload::Source& big, bool publishers, View stored, const work::Control& control = {}) {
    payload::MemorySource first(head());
    payload::JoinedSource joined(first, big);
    auto loaded = opened(publishers)->load(joined, head().size, pool, control, stored);
    if (!loaded.ok()) return loaded.status().code;
    REQUIRE(loaded->size() == 2);
    REQUIRE(equal(View((*loaded)[0].region.data(), size_t((*loaded)[0].size)), View(large)));
    REQUIRE(equal(View((*loaded)[1].region.data(), size_t((*loaded)[1].size)), View(tail)));
    return Code::OK;
  }
  Code load(payload::Source& big, Trusting how, const work::Control& control = {}) {
    return load(big, how != Trusting::none, how == Trusting::publisher_with_tree ? View(tree) : View(), control);
  }
  uint64_t chunk_in_big(uint64_t chunk) const { return payload::chunk_offset(chunk) - head().size; }
  // Authentic under the data key, which every recipient has; not what the publisher signed.
  Bytes forged(uint64_t chunk) {
    auto from = opened(false);
    auto gcm = crypto::Gcm::create(from->keys().key.reveal());
    REQUIRE(gcm.ok());
    uint8_t nonce[12];
    payload::chunk_nonce(from->keys().base_nonce, chunk, nonce);
    const Bytes weights(size_t(payload::plain_length(plaintext(), chunk)), 'x');
    Bytes big = made.big;
    REQUIRE(gcm->seal(View(nonce), View(), View(weights), big.data() + chunk_in_big(chunk)));
    return big;
  }
};

}  // namespace

TEST_CASE("a load reads every byte once, with a tree or without, and reports progress") {
  for (const size_t size : {size_t(1000), size_t(3'000'001), size_t(64 * payload::kChunk)}) {
    World w(size);
    for (const Trusting how : kEvery) {
      for (const unsigned threads : {1u, 3u}) {
        Far far(View(w.made.big));
        work::Control control;
        control.threads = threads;
        uint64_t done = 0;
        control.progress = [&](uint64_t d) { done = d; };
        CHECK(w.load(far, how, control) == Code::OK);
        CHECK(far.bytes_read == w.made.big.size());
        CHECK(far.renewals == 0);
        CHECK(done <= w.plaintext());
        CHECK(done >= size);
      }
    }
  }
}

TEST_CASE("a tree with any byte changed, of another length or of another model is as good as none") {
  World w;
  World other;
  REQUIRE(w.tree.size() == 3 * 32);
  std::vector<Bytes> trees = {Bytes(), Bytes(w.tree.size()), other.tree, w.tree_of(View(other.made.big)),
                              View(w.tree).from(32).copy()};
  for (size_t at = 0; at < w.tree.size(); at++) {
    trees.push_back(w.tree);
    trees.back()[at] ^= uint8_t(1 << at % 8);
  }
  for (const size_t length : {w.tree.size() - 1, w.tree.size() + 1, w.tree.size() + 32}) {
    trees.push_back(w.tree);
    trees.back().resize(length);
  }
  trees.push_back(w.tree);
  std::swap_ranges(trees.back().begin(), trees.back().begin() + 32, trees.back().begin() + 32);
  const Bytes forged = w.forged(70);
  for (const Bytes& tree : trees) {
    payload::MemorySource right(View(w.made.big)), wrong{View(forged)};
    CHECK(w.load(right, true, View(tree)) == Code::OK);
    CHECK(w.load(right, false, View(tree)) == Code::OK);
    CHECK(w.load(wrong, true, View(tree)) == Code::DIGEST_MISMATCH);
  }
}

TEST_CASE("chunks that were forged with the data key are refused with every tree") {
  World w;
  const uint64_t chunks = payload::chunk_count(w.plaintext());
  for (const uint64_t chunk : {uint64_t(1), uint64_t(2), uint64_t(63), uint64_t(64), chunks - 1}) {
    CAPTURE(chunk);
    const Bytes big = w.forged(chunk), their_tree = w.tree_of(View(big));
    Far far{View(big)};
    CHECK(w.load(far, true, View()) == Code::DIGEST_MISMATCH);
    CHECK(far.renewals == 0);  // it all arrived as it was sent
    CHECK(w.load(far, true, View(their_tree)) == Code::DIGEST_MISMATCH);
    Far checked{View(big)};
    work::Control one;
    one.threads = 1;
    CHECK(w.load(checked, true, View(w.tree), one) == Code::DIGEST_MISMATCH);
    CHECK(checked.renewals == 1);
    CHECK(checked.reads == chunk / payload::kBatchChunks + 2);  // no batch after the forged one
  }
}

TEST_CASE("a batch is compared with the tree before any of it is decrypted") {
  work::Pool pool(1);
  const work::Control control;
  auto message = payload_test::seal(noise(130 * payload::kChunk + 5, 1), pool, control);
  const uint64_t size = message.plain.size();
  message.tree.set(1, payload::Node{});
  struct Places : FlatTarget {
    std::set<uint64_t> asked;
    using FlatTarget::FlatTarget;
    uint8_t* at(uint64_t chunk) override { return asked.insert(chunk), FlatTarget::at(chunk); }
  } target(size);
  payload::MemorySource sealed{View(message.sealed)};
  const auto code = [&](uint64_t first, uint64_t count, View prefix) {
    target.asked.clear();
    const payload::BatchChecks checks{&message.tree, nullptr};
    return payload::decrypt_range(message.keys, size, first, count, sealed, target, nullptr, prefix, pool, control, checks).code;
  };
  CHECK(code(70, 1, message.prefix()) == Code::DIGEST_MISMATCH);
  CHECK(target.asked.empty());
  CHECK(target.bytes == Bytes(size, 0xee));
  CHECK(code(63, 2, message.prefix()) == Code::DIGEST_MISMATCH);
  CHECK(target.asked == std::set<uint64_t>{63});
  CHECK(code(1, 2, message.prefix()) == Code::OK);  // parts of a batch are as good
  CHECK(code(128, 3, message.prefix()) == Code::OK);
  CHECK(equal(View(target.bytes).from(128 * payload::kChunk), View(message.plain).from(128 * payload::kChunk)));
  CHECK(code(1, 2, View()) == Code::INVALID_ARGUMENT);
  const Bytes other(payload::kPrefix);
  CHECK(code(1, 2, View(other)) == Code::DIGEST_MISMATCH);  // salt and commitment are part of leaf 0
}

TEST_CASE("a batch that arrives damaged once is read again, twice is refused, and counts once in the progress") {
  for (const uint64_t max_bytes :
       {uint64_t(0), uint64_t(3072), uint64_t(1'100'000)}) {  // a small part beyond the first batch, too
    World w(3'000'001, split::Rule{max_bytes, 0.9});
    const uint64_t size = w.made.big.size(), second = w.head().size < 1'000'000 ? w.chunk_in_big(64) : size / 2;
    // The batch across the boundary of the parts, which may hold the manifest; batch boundaries; a tag; the last chunk.
    for (const uint64_t at : {uint64_t(0), uint64_t(20'000), second - 1, second, second + payload::kSealedChunk - 1, size - 1}) {
      for (const Trusting how : kEvery) {
        CAPTURE(max_bytes);
        CAPTURE(at);
        CAPTURE(int(how));
        Far once(View(w.made.big)), twice(View(w.made.big)), final(View(w.made.big));
        work::Control control, undamaged;
        uint64_t done = 0, usual = 0;
        control.progress = [&](uint64_t d) { done = d; };
        undamaged.progress = [&](uint64_t d) { usual = d; };
        REQUIRE(w.load(final, how, undamaged) == Code::OK);
        once.damage[at] = 1;
        CHECK(w.load(once, how, control) == Code::OK);
        CHECK(once.renewals == 1);
        CHECK(done == usual);
        twice.damage[at] = 2;
        const Code code = how == Trusting::publisher_with_tree ? Code::DIGEST_MISMATCH : Code::INTEGRITY_FAILED;
        CHECK(w.load(twice, how) == code);
        CHECK(twice.renewals == 1);
        final.renewable = false;
        final.damage[at] = 1;
        CHECK(w.load(final, how) == code);
      }
    }
  }
}

TEST_CASE("sixteen damaged batches are read again, not more") {
  World w(20 * payload::kBatchChunks * payload::kChunk);
  for (const Trusting how : kEvery) {
    for (const unsigned damaged : {16u, 17u}) {
      Far far(View(w.made.big));
      for (unsigned i = 0; i < damaged; i++) far.damage[w.chunk_in_big(i * payload::kBatchChunks + 7)] = 1;
      CHECK((w.load(far, how) == Code::OK) == (damaged == 16));
      CHECK(far.renewals == 16);
    }
    Far broken(View(w.made.big));
    for (uint64_t at = 0; at < broken.bytes.size; at += 10'000) broken.damage[at] = 1000;
    CHECK(w.load(broken, how) == Code::PARTS_MISMATCH);
    CHECK(broken.renewals == 1);
  }
}

TEST_CASE("the big part of another container is distinguished from a damaged one, with a tree too") {
  World w, other;
  REQUIRE(w.made.big.size() == other.made.big.size());
  for (const Trusting how : kEvery) {
    Far far(View(other.made.big));
    CHECK(w.load(far, how) == Code::PARTS_MISMATCH);
    payload::MemorySource near(View(other.made.big));
    CHECK(w.load(near, how) == Code::PARTS_MISMATCH);
    Far cut(View(w.made.big).sub(0, w.made.big.size() - 1));
    CHECK(w.load(cut, how) == Code::PARTS_MISMATCH);
    CHECK(cut.reads == 0);
  }
}

TEST_CASE("a source that fails is not read again: at the start, half-way, or after damage") {
  struct Failing : Far {
    unsigned fail_at;
    Failing(View b, unsigned n) : Far(b), fail_at(n) {}
    Status read(uint64_t offset, Span out) override {
      auto s = Far::read(offset, out);
      return reads == fail_at ? Status(Code::IO_FAILED, "gone") : s;
    }
  };
  World w;
  work::Control one;
  one.threads = 1;
  for (const Trusting how : kEvery) {
    for (const unsigned at : {1u, 2u, 3u}) {
      Failing failing(View(w.made.big), at);
      CHECK(w.load(failing, how, one) == Code::IO_FAILED);
      CHECK(failing.reads == at);
      CHECK(failing.renewals == 0);
    }
    Failing failing(View(w.made.big), 2);
    failing.damage[0] = 1;
    CHECK(w.load(failing, how, one) == Code::IO_FAILED);
    CHECK(failing.reads == 2);
  }
}

TEST_CASE("nothing of two damaged attempts stays in the target") {
  work::Pool pool(1);
  const work::Control control;
  auto message = payload_test::seal(noise(3 * payload::kChunk + 5, 2), pool, control);
  const uint64_t size = message.plain.size();
  Far far{View(message.sealed)};
  far.damage[payload::chunk_offset(1)] = 2;
  FlatTarget target(size);
  payload::RereadBudget rereads(1);
  const payload::BatchChecks checks{nullptr, &rereads};
  const auto code = [&] {
    return payload::decrypt_range(message.keys, size, 0, 4, far, target, nullptr, View(), pool, control, checks).code;
  };
  CHECK(code() == Code::INTEGRITY_FAILED);
  CHECK(far.reads == 2);
  CHECK(equal(View(target.bytes).sub(payload::kChunk, payload::kChunk), View(Bytes(payload::kChunk))));
  far.damage[payload::chunk_offset(1)] = 1;
  CHECK(code() == Code::INTEGRITY_FAILED);  // none is left
  CHECK(far.reads == 3);
  CHECK(code() == Code::OK);
  CHECK(target.bytes == message.plain);
}

TEST_CASE("of two joined sources the one that holds the range is renewed") {
  const Bytes bytes(100);
  Far first(View(bytes).sub(0, 60)), second(View(bytes).sub(0, 40));
  payload::JoinedSource joined(first, second);
  const auto renewed = [&](uint64_t offset, uint64_t size) {
    first.renewals = second.renewals = 0;
    const bool hope = joined.renew(offset, size);
    CHECK(hope == (first.renewals + second.renewals > 0));
    return std::make_pair(first.renewals, second.renewals);
  };
  const auto both = std::make_pair(1u, 1u), left = std::make_pair(1u, 0u), right = std::make_pair(0u, 1u),
             none = std::make_pair(0u, 0u);
  CHECK(renewed(0, 60) == left);
  CHECK(renewed(59, 2) == both);
  CHECK(renewed(0, 100) == both);
  CHECK(renewed(60, 40) == right);
  first.renewable = false;
  CHECK(renewed(59, 2) == right);
  CHECK(renewed(0, 60) == none);
  second.renewable = false;
  CHECK(renewed(0, 100) == none);
  payload::MemorySource memory{View(bytes)};
  CHECK(!memory.renew(0, 100));
}
