// The legacy profile: derivations, artifacts of every size, and how failures look.
#include "legacy/legacy.h"

#include "payload/payload_support.h"
#include "support/memory_scan.h"
#include "support/vectors.h"

using namespace mg;
using namespace mg::legacy;
using payload::MemorySink;
using payload::MemorySource;
using payload_test::noise;
using test::test_seed;
using test::unhex;
using work::Control;
using work::Pool;

namespace {

KeyString key_of(std::string_view text) {
  auto key = key_string(View(text));
  REQUIRE(key.ok());
  return *key;
}

std::string text_of(const Result<KeyString>& key) {
  REQUIRE_MESSAGE(key.ok(), key.status().what);
  CHECK((*key)->type() == keys::Type::legacy);
  return std::string((*key)->secret().reveal().text());
}

Bytes sealed(View plain, const KeyString& key, const work::Control& control = {}) {
  MemorySource from(plain);
  Bytes out(size_t(sealed_size(plain.size)));
  MemorySink to{Span(out)};
  const Status status = encrypt(from, to, key, control);
  REQUIRE_MESSAGE(status.ok(), status.what);
  return out;
}

Result<std::unique_ptr<Decrypted>> open(View artifact, const KeyString& key) {
  return Decrypted::open(std::make_shared<MemorySource>(artifact), key);
}

Bytes opened(View artifact, const KeyString& key) {
  auto from = open(artifact, key);
  REQUIRE_MESSAGE(from.ok(), from.status().what);
  Bytes out(size_t((*from)->size()));
  REQUIRE((*from)->read(0, Span(out)).ok());
  return out;
}

// Block-wise XOR into the plaintext of the last block: an attack by write access to the artifact.
Bytes with_last_block(const Bytes& artifact, const Bytes& was, const Bytes& wanted) {
  Bytes out = artifact;
  for (size_t i = 0; i < kBlock; i++) out[artifact.size() - 2 * kBlock + i] ^= uint8_t(was[i] ^ wanted[i]);
  return out;
}

}  // namespace

TEST_CASE("legacy derivations: known answers (Python's hashlib)") {
  const View resource("a resource salt"), hardware("a hardware salt"), download("a download salt");
  const View fingerprint("CPU: Intel(R) Core(TM) i7-8550U. GPU: GeForce MX150. Memory: 16262132. DriveSerial: S3X9NF0K");
  CHECK(text_of(resource_key(resource, Encoding::base64)) == "BMf77//q4mMO7cDkfWtGqIJZwqzGwWUeVhlLIVuhSBX+bWR5Xn6brlT8kATFMh/m");
  CHECK(text_of(resource_key(resource, Encoding::hex)) ==
        "04c7fbefffeae2630eedc0e47d6b46a88259c2acc6c1651e56194b215ba14815fe6d64795e7e9bae54fc9004c5321fe6");
  const std::string base64 = text_of(hardware_hash(fingerprint, hardware, Encoding::base64));
  const std::string hex = text_of(hardware_hash(fingerprint, hardware, Encoding::hex));
  CHECK(base64 == "2WCxFjrEtbDzOY+6k36JOotjEjO9yio2oHx1iKpX3Ef6gDhaWccrldJb4Fg1mAd4");
  CHECK(hex == "d960b1163ac4b5b0f3398fba937e893a8b631233bdca2a36a07c7588aa57dc47fa80385a59c72b95d25be05835980778");
  const View email("user@example.com"), password("p\xc3\xa4ssword");
  CHECK(text_of(download_key(email, password, base64, download, Encoding::base64)) ==
        "8rTNhd4T1IanMGMMUVLUV3Mb8qL6stTwEChnSP6UCEiylybC1/N3M4v6kPz/0iLh");
  CHECK(text_of(download_key(email, password, hex, download, Encoding::hex)) ==
        "776861ed8b6f6c19f5c774f183ab94bc73d147b9e4e7364aa1eab24e5e1fa1f28767b376006b774e72f7dd6bb30050da");
}

TEST_CASE("legacy key strings are taken as they are, 1 to 4,096 bytes") {
  CHECK(text_of(key_string(View(" key\n"))) == " key\n");
  CHECK(text_of(key_string(View(std::string(4096, 'k')))).size() == 4096);
  const uint8_t binary[] = {0, 255, 10};
  CHECK(text_of(key_string(View(binary))).size() == 3);
  CHECK(key_string(View()).status().code == Code::KEY_INVALID);
  CHECK(key_string(View(std::string(4097, 'k'))).status().code == Code::KEY_INVALID);
}

TEST_CASE("legacy fingerprint text: what is absent leaves its place empty, nothing at all is an error") {
  hardware::Machine machine;
  for (auto kind : hardware::kKinds) machine.factors[size_t(kind) - 1].kind = kind;
  const auto set = [&](hardware::Kind kind, const char* value) {
    auto& factor = machine.factors[size_t(kind) - 1];
    factor.quality = hardware::Quality::strong;
    factor.value = std::move(*Secret::copy(View(value)));
  };
  const auto text = [&] { return std::string(fingerprint_text(machine)->reveal().text()); };
  set(hardware::Kind::uuid, "not a part of it");
  CHECK(fingerprint_text(machine).status().code == Code::HARDWARE_UNREADABLE);
  set(hardware::Kind::drive, "S3X9NF0K");
  CHECK(text() == "CPU: . GPU: . Memory: . DriveSerial: S3X9NF0K");
  set(hardware::Kind::cpu, "Some CPU @ 2.00GHz");
  set(hardware::Kind::gpu, "10de:1d10/1043:1a00");
  set(hardware::Kind::memory, "16384 MiB");
  CHECK(text() == "CPU: Some CPU @ 2.00GHz. GPU: 10de:1d10/1043:1a00. Memory: 16384 MiB. DriveSerial: S3X9NF0K");
}

TEST_CASE("legacy artifact: known answer (openssl enc -aes-256-cbc)") {
  const Bytes expected =
      unhex("000102030405060708090a0b0c0d0e0f413100e747ce6700c12f017c23464799331947287d9850790d9ddebce9f3b49a");
  const Bytes aes = unhex("f72124420ab11302f676389fa9ed6d4bcea5319edc42c7d5b3ed3951a2d66784");  // SHA-256("key string")
  MemorySource plain{View("hello legacy world")};
  Bytes out(expected.size());
  MemorySink sink{Span(out)};
  REQUIRE(encrypt_with(View(aes), View(expected).sub(0, kIv), plain, sink, work::Control()).ok());
  CHECK(out == expected);
  CHECK(equal(View(opened(View(expected), key_of("key string"))), View("hello legacy world")));
  CHECK(encrypt_with(View(aes), View(expected).sub(0, 12), plain, sink, work::Control()).code == Code::INTERNAL);
}

TEST_CASE("legacy artifact: SHA-256 of the plaintext, piece by piece") {
  const KeyString key = key_of("key string");
  const auto hashed = [&](View plain, const work::Control& control = {}) {
    const Bytes artifact = sealed(plain, key);
    auto from = open(View(artifact), key);
    REQUIRE(from.ok());
    return sha256(**from, control);
  };
  CHECK(equal(View(*hashed(View("hello legacy world"))),
              View(unhex("959cc084acfcfbcf7f4c752ca17f2ada4d882f7afc0ab156343c472cd152cf84"))));
  for (const size_t size : {size_t(0), size_t(1 << 20), size_t((2 << 20) + 5)}) {
    CAPTURE(size);
    const Bytes plain = noise(size, test_seed());
    crypto::Sha256 at_once;
    REQUIRE(crypto::digest(crypto::Hash::sha256, {View(plain)}, Span(at_once.data(), at_once.size())).ok());
    work::Control control;
    uint64_t done = 0;
    control.progress = [&](uint64_t bytes) { done = bytes; };
    CHECK(*hashed(View(plain), control) == at_once);
    CHECK(done == size);
  }
  work::Control cancelled;
  cancelled.cancelled = true;
  CHECK(hashed(View("hello legacy world"), cancelled).status().code == Code::ABORT_ERR);
}

TEST_CASE("legacy artifact: round trip at every size to 100 and around 1 MiB, under a new IV each time") {
  const KeyString key = key_of("a key string");
  std::vector<size_t> sizes;
  for (size_t size = 0; size <= 100; size++) sizes.push_back(size);
  for (size_t mib : {1, 2, 3})
    for (int off : {-17, -16, -15, -1, 0, 1, 15, 16, 17}) sizes.push_back((mib << 20) + off);
  work::Pool pool(2);
  for (size_t size : sizes) {
    CAPTURE(size);
    const Bytes plain = noise(size, test_seed());
    std::vector<uint64_t> seen;
    work::Control control;
    control.progress = [&](uint64_t done) { seen.push_back(done); };
    const Bytes artifact = sealed(View(plain), key, control);
    REQUIRE(artifact.size() == 16 + (size / 16 + 1) * 16);
    REQUIRE(!seen.empty());
    CHECK(std::is_sorted(seen.begin(), seen.end()));
    CHECK(seen.back() == size);
    CHECK(!equal(View(artifact).sub(0, kIv), View(sealed(View(plain), key)).sub(0, kIv)));
    auto from = open(View(artifact), key);
    REQUIRE_MESSAGE(from.ok(), from.status().what);
    REQUIRE((*from)->size() == size);
    Bytes all(size), loaded(size);
    REQUIRE((*from)->read(0, Span(all)).ok());
    CHECK(all == plain);
    seen.clear();
    REQUIRE(load(**from, Span(loaded), pool, control).ok());
    CHECK(loaded == plain);
    if (size > 0) CHECK(seen.back() == size);
  }
}

TEST_CASE("legacy artifact: reading anywhere gives what reading from the start gives") {
  const KeyString key = key_of("a key string");
  const Bytes plain = noise(100'003, test_seed()), artifact = sealed(View(plain), key);
  auto from = open(View(artifact), key);
  REQUIRE(from.ok());
  std::mt19937_64 random(test_seed());
  for (int i = 0; i < 3000; i++) {
    const uint64_t offset = random() % (plain.size() + 1), most = plain.size() - offset;
    const uint64_t length = i % 2 ? std::min<uint64_t>(most, random() % 70) : random() % (most + 1);
    CAPTURE(offset);
    CAPTURE(length);
    Bytes out(length + 1, 0xaa);
    REQUIRE((*from)->read(offset, Span(out).sub(0, length)).ok());
    REQUIRE(equal(View(out).sub(0, length), View(plain).sub(offset, length)));
    REQUIRE(out[length] == 0xaa);
  }
  Bytes out(2);
  CHECK((*from)->read(plain.size() - 1, Span(out)).code == Code::CONTAINER_TRUNCATED);  // never the padding
  CHECK((*from)->read(UINT64_MAX, Span(out)).code == Code::CONTAINER_TRUNCATED);
}

TEST_CASE("legacy artifact in two parts: reads over any seam") {
  const KeyString key = key_of("a key string");
  const Bytes plain = noise(200, test_seed()), artifact = sealed(View(plain), key);
  for (size_t cut = 0; cut <= artifact.size(); cut++) {
    CAPTURE(cut);
    MemorySource small(View(artifact).sub(0, cut)), big(View(artifact).from(cut));
    auto from = Decrypted::open(std::make_shared<payload::JoinedSource>(small, big), key);
    REQUIRE(from.ok());
    Bytes out(plain.size());
    REQUIRE((*from)->read(0, Span(out)).ok());
    CHECK(out == plain);
  }
}

TEST_CASE("legacy artifact: lengths that no artifact has are LEGACY_FAILED, always in the same words") {
  const KeyString key = key_of("a key string");
  const Bytes artifact = sealed(View(Bytes(64, 1)), key);
  std::string words;
  for (size_t length = 0; length < artifact.size(); length++) {
    if (length >= 32 && length % 16 == 0) continue;  // a cut at a block may go unnoticed
    CAPTURE(length);
    const Status status = open(View(artifact).sub(0, length), key).status();
    CHECK(status.code == Code::LEGACY_FAILED);
    if (words.empty()) words = status.what;
    CHECK(status.what == words);
  }
  Bytes longer = artifact;
  longer.push_back(0);
  CHECK(open(View(longer), key).status().what == words);
}

TEST_CASE("legacy artifact: every last block but those of PKCS7 is refused, in the same words") {
  const KeyString key = key_of("a key string");
  const Bytes was(16, 16), artifact = sealed(View(Bytes(32, 1)), key);  // ends in a block of padding only
  const std::string words = open(View(), key).status().what;
  size_t refusals = 0;
  const auto expect = [&](const Bytes& last, bool good, size_t size) {
    const Bytes changed = with_last_block(artifact, was, last);
    auto from = open(View(changed), key);
    REQUIRE(from.ok() == good);
    if (good) {
      CHECK((*from)->size() == size);
      return;
    }
    refusals++;
    CHECK(from.status().code == Code::LEGACY_FAILED);
    CHECK(from.status().what == words);
  };
  for (int n = 0; n < 256; n++) {
    const bool possible = n >= 1 && n <= 16;
    Bytes last(16, 0xee);
    for (int i = 0; i < (possible ? n : 16); i++) last[15 - i] = uint8_t(n);
    CAPTURE(n);
    expect(last, possible, 48 - size_t(n));
    if (!possible) continue;
    for (int i = 1; i < n; i++) {  // each byte of the padding counts
      for (int bit = 0; bit < 8; bit++) {
        Bytes wrong = last;
        wrong[15 - i] ^= uint8_t(1 << bit);
        expect(wrong, false, 0);
      }
    }
  }
  CHECK(refusals == 240 + 120 * 8);
}

TEST_CASE("legacy artifact: about 1 in 256 wrong keys goes undetected") {
  // Artifact and keys are fixed, so that the count is the same every time.
  MemorySource plain{View("some plaintext")};
  Bytes fixed(32);
  MemorySink sink{Span(fixed)};
  REQUIRE(encrypt_with(View(Bytes(32, 1)), View(Bytes(16, 2)), plain, sink, work::Control()).ok());
  constexpr int kKeys = 20'000;
  const std::string words = open(View(), key_of("any")).status().what;
  int accepted = 0;
  for (int i = 0; i < kKeys; i++) {
    const auto from = open(View(fixed), key_of("wrong " + std::to_string(i)));
    accepted += from.ok();
    if (!from.ok()) REQUIRE((from.status().code == Code::LEGACY_FAILED && from.status().what == words));
  }
  std::printf("legacy profile: %d of %d wrong keys undetected, 1 in %.0f\n", accepted, kKeys, double(kKeys) / accepted);
  CHECK(accepted > kKeys / 400);
  CHECK(accepted < kKeys / 180);
}

TEST_CASE("legacy profile: keys of other types are KEY_TYPE_WRONG") {
  for (auto type : {keys::Type::master, keys::Type::device, keys::Type::signing}) {
    auto key = keys::Key::generate(type);
    REQUIRE(key.ok());
    MemorySource plain{View("x")};
    Bytes out(32);
    MemorySink sink{Span(out)};
    CHECK(encrypt(plain, sink, *key, work::Control()).code == Code::KEY_TYPE_WRONG);
    CHECK(open(View(out), *key).status().code == Code::KEY_TYPE_WRONG);
  }
}

TEST_CASE("legacy artifact: failures of source and sink stay what they are") {
  struct Failing : payload::Source {
    MemorySource inner;
    uint64_t from, to;  // reads that touch these bytes fail
    bool changed = false;
    Failing(View bytes, uint64_t f, uint64_t t) : inner(bytes), from(f), to(t) {}
    uint64_t size() const override { return inner.size(); }
    Status read(uint64_t offset, Span out) override {
      if (offset < to && offset + out.size > from) return Status(Code::IO_FAILED, "broken");
      return inner.read(offset, out);
    }
    Status check_unchanged() override { return changed ? Status(Code::SOURCE_CHANGED, "changed") : Status(); }
  };
  const KeyString key = key_of("a key string");
  work::Pool pool(2);
  const Bytes plain = noise(3 << 20, 1), artifact = sealed(View(plain), key);
  Bytes out(plain.size()), other(artifact.size());
  MemorySink sink{Span(other)};
  const work::Control control;
  auto no_end = std::make_shared<Failing>(View(artifact), artifact.size() - 1, artifact.size());
  CHECK(Decrypted::open(no_end, key).status().code == Code::IO_FAILED);
  auto source = std::make_shared<Failing>(View(artifact), 2'000'000, 2'000'001);
  auto from = Decrypted::open(source, key);
  REQUIRE(from.ok());
  CHECK(load(**from, Span(out), pool, control).code == Code::IO_FAILED);
  CHECK(load(**from, Span(out).sub(0, 5), pool, control).code == Code::INTERNAL);
  source->to = 0;
  CHECK(load(**from, Span(out), pool, control).ok());
  source->changed = true;
  CHECK(load(**from, Span(out), pool, control).code == Code::SOURCE_CHANGED);

  Failing reading(View(plain), 2'000'000, 2'000'001);
  CHECK(encrypt(reading, sink, key, control).code == Code::IO_FAILED);
  reading.to = 0;
  reading.changed = true;
  CHECK(encrypt(reading, sink, key, control).code == Code::SOURCE_CHANGED);
  MemorySource whole{View(plain)};
  MemorySink small{Span(other).sub(0, 1 << 20)};
  CHECK(encrypt(whole, small, key, control).code == Code::INTERNAL);
}

TEST_CASE("legacy profile: cancelling ends the work after the piece at hand") {
  const KeyString key = key_of("a key string");
  const Bytes plain = noise(5 << 20, 1), artifact = sealed(View(plain), key);
  Bytes out(artifact.size());
  work::Control control;
  uint64_t reached = 0;
  control.progress = [&](uint64_t done) {
    reached = done;
    control.cancelled = done >= 2 << 20;
  };
  MemorySource from{View(plain)};
  MemorySink sink{Span(out)};
  CHECK(encrypt(from, sink, key, control).code == Code::ABORT_ERR);
  CHECK(reached == 2 << 20);

  work::Pool pool(2);
  control.cancelled = false;
  auto source = open(View(artifact), key);
  REQUIRE(source.ok());
  CHECK(load(**source, Span(out).sub(0, plain.size()), pool, control).code == Code::ABORT_ERR);
  CHECK(reached < plain.size());
}

TEST_CASE("legacy parts: the small one ends at min(3072, floor(ratio · size))") {
  CHECK(small_size(32, 0.2) == 6);
  CHECK(small_size(32, 0.3) == 9);
  CHECK(small_size(10'240, 0.3) == 3072);
  CHECK(small_size(10'239, 0.3) == 3071);
  CHECK(small_size(15'359, 0.2) == 3071);
  CHECK(small_size(15'360, 0.2) == 3072);
  CHECK(small_size(UINT64_MAX, 0.3) == 3072);
  CHECK(small_size(0, 0.3) == 0);
}

TEST_CASE("legacy profile: neither key string nor AES key stays in ordinary memory after use") {
  const test::Hidden text = test::Hidden::made_up(48, 1);
  if (!test::copies_in_memory(text)) return;  // a sanitizer keeps what is freed
  const Bytes plain = noise(100'000, 3);
  std::optional<test::Hidden> aes, derived;
  const auto work = [&] {
    const Secret shown = text.show();
    auto key = key_string(shown.reveal());
    const Bytes artifact = sealed(View(plain), *key);
    CHECK(opened(View(artifact), *key) == plain);
    auto hash = Secret::allocate(32);
    REQUIRE(crypto::digest(crypto::Hash::sha256, {shown.reveal()}, hash->reveal_mut()).ok());
    aes = test::Hidden::of(*hash);
    auto hex = hardware_hash(shown.reveal(), shown.reveal(), Encoding::hex);
    derived = test::Hidden::of((*hex)->secret());
  };
  test::run_deep(work);
  CHECK(*test::copies_in_memory(text) == 0);
  CHECK(*test::copies_in_memory(*aes) == 0);
  CHECK(*test::copies_in_memory(*derived) == 0);
}
