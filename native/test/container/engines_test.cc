// Containers by every engine of SHA-256 and on any number of threads. If these fail, a model that one processor protects does not open on
// another, or a change goes unnoticed on some of them.
#include "container/container_support.h"
#include "support/sha256_engines.h"

using namespace container_test;

namespace {

// Three batches, the last one short, in one file.
constexpr size_t kSize = 2'200'000;
constexpr unsigned kThreads[] = {1, 2, 3, 8, 64};

struct World {
  std::shared_ptr<const keys::Key> master = new_key(keys::Type::master), publisher = new_key(keys::Type::signing);
  Bytes model = Bytes(kSize);
  Trust trust;

  World() {
    for (size_t i = 0; i < kSize; i++) model[i] = uint8_t(i * 31 + i / 1000);
    trust.publishers = {publisher->ed25519_public()};
  }
  ContainerParts sealed(work::Pool& pool) {
    return make({Input{"model", "", View(model)}}, SealOptions{{shared(master)}, publisher}, pool);
  }
  // OK only if every byte is right.
  Code load(const ContainerParts& made, View big, work::Pool& pool) {
    auto loaded = open(View(made.small), big, {master}, pool, trust);
    if (!loaded.ok()) return loaded.status().code;
    REQUIRE(loaded->size() == 1);
    return equal(View((*loaded)[0].region.data(), kSize), View(model)) ? Code::OK : Code::INTERNAL;
  }
};

}  // namespace

TEST_CASE("every engine of SHA-256 on any number of threads: what one seals all open, and each finds a change in any batch") {
  World w;
  work::Pool single(1);
  std::vector<ContainerParts> made;  // the first by OpenSSL on one thread
  mg::test::with_each_sha256_engine([&] {
    for (const unsigned threads : kThreads) {
      CAPTURE(threads);
      work::Pool pool(threads);
      made.push_back(w.sealed(pool));
      const ContainerParts& first = made.front();
      Bytes changed = first.big;
      for (size_t at = changed.size() / 6; at < changed.size(); at += changed.size() / 3) {
        changed[at] ^= 1;
        const Code code = w.load(first, View(changed), pool);
        CHECK((code == Code::DIGEST_MISMATCH || code == Code::INTEGRITY_FAILED));
        changed[at] ^= 1;
      }
      CHECK(w.load(first, View(changed), pool) == Code::OK);
    }
  });
  for (const ContainerParts& one : made) CHECK(w.load(one, View(one.big), single) == Code::OK);
}
