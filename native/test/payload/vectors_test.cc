// C2SP chunked encryption: third-party vectors, every one of them against whole decryption and random access.
#include "support/vectors.h"

#include "payload/payload_support.h"

using namespace payload_test;
using test::Json;
using test::unhex;

namespace {

bool has_flag(const Json& vector, const char* flag) {
  for (const Json& item : vector["flags"].items)
    if (item == flag) return true;
  return false;
}

std::string sha512(const Bytes& bytes) {
  uint8_t digest[64];
  REQUIRE(crypto::digest(crypto::Hash::sha512, {View(bytes)}, Span(digest)).ok());
  return test::hex(View(digest));
}

enum class Stage { header, chunks, opened };  // how far a reader came

Stage open_vector(const Json& vector, work::Pool& pool) {
  work::Control control;
  const Bytes key = unhex(vector["key"]), context = unhex(vector["ctx"]), sealed = test::inflate(View(unhex(vector["ct"])));
  const View all(sealed);
  if (sealed.size() < kPrefix) return Stage::header;
  Result<Keys> keys = derive(View(key), all.sub(0, kSalt), View(context));
  CHECK(keys.ok() == (key.size() == 32));
  if (!keys.ok() || !crypto::equal(View(keys->commitment), all.sub(kSalt, kCommitment))) return Stage::header;
  REQUIRE(vector.has("aeadKey"));
  CHECK(equal(keys->key.reveal(), View(unhex(vector["aeadKey"]))));
  CHECK(equal(View(keys->base_nonce), View(unhex(vector["baseNonce"]))));

  uint64_t size;
  if (!plaintext_size(sealed.size(), &size)) return Stage::chunks;
  Opening opening = open_all(*keys, all, nullptr, pool, control);

  MemorySource source(all);
  Reader reader(*keys, all.sub(0, kPrefix), size, source, nullptr);
  Bytes end, whole(size);
  const bool end_ok = reader.read(size, Span(end), pool, control).ok();  // nothing but the check of the last chunk
  CHECK(end_ok == (opening.status.ok() || has_flag(vector, "ValidFinalChunk")));
  CHECK(reader.read(0, Span(whole), pool, control).ok() == opening.status.ok());

  if (!opening.status.ok()) {
    CHECK(opening.plain.empty());  // PartialPlaintext: not even what is authentic is released
    CHECK(whole == Bytes(size, 0));
    return Stage::chunks;
  }
  CHECK(whole == opening.plain);
  CHECK(opening.plain.size() == size_t(vector["msgLength"].integer()));
  CHECK(sha512(opening.plain) == vector["msgSha512"].text);

  Bytes again = all.sub(0, kPrefix).copy();
  again.resize(sealed.size());
  Tree tree(size);
  MemorySource from{View(opening.plain)};
  MemorySink to{Span(again)};
  CHECK(encrypt_range(*keys, all.sub(0, kPrefix), size, 0, batch_count(size), from, to, tree, pool, control).ok());
  CHECK(again == sealed);
  return Stage::opened;
}

}  // namespace

TEST_CASE("c2sp chunked encryption: third-party vectors") {
  const std::optional<Json> file = test::wycheproof("c2sp_chunked_encryption_aes_256_gcm_test");
  if (!file) return;
  work::Pool pool(2);
  size_t all = 0, good = 0;
  for (const Json& group : (*file)["testGroups"].items) {
    CHECK(group["aead"] == "AEAD_AES_256_GCM");
    CHECK(group["sha"] == "SHA-512");
    for (const Json& vector : group["tests"].items) {
      CAPTURE(vector["tcId"].integer());
      CAPTURE(vector["comment"].text);
      const bool valid = vector["result"] == "valid", header = has_flag(vector, "HeaderFailure");
      const Stage stage = open_vector(vector, pool);
      all++;
      const bool right = stage == (valid ? Stage::opened : header ? Stage::header : Stage::chunks);
      CHECK(right);
      if (right) good++;
    }
  }
  CHECK(all == 35);
  std::printf("c2sp chunked encryption: %zu of %zu\n", good, all);
}
