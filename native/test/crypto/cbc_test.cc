// AES-256-CBC without padding: what NIST printed, and refusals. Third-party vectors go through the legacy artifact, which pads.
#include <doctest/doctest.h>
#include <openssl/err.h>

#include <algorithm>

#include "crypto/crypto.h"
#include "legacy/legacy.h"
#include "support/vectors.h"

using namespace mg;
using test::Json;
using test::unhex;

namespace {

bool all_zero(View v) {
  return std::all_of(v.begin(), v.end(), [](uint8_t b) { return b == 0; });
}

// The artifact of `plain`, or empty where it is refused.
Bytes sealed(View key, View iv, View plain) {
  payload::MemorySource from(plain);
  Bytes out(size_t(legacy::sealed_size(plain.size)));
  payload::MemorySink to{Span(out)};
  const work::Control control;
  return legacy::encrypt_with(key, iv, from, to, control).ok() ? out : Bytes();
}

Status opened(View key, View artifact, Bytes* plain) {
  auto secret = Secret::copy(key);
  REQUIRE(secret.ok());
  auto decrypted = legacy::Decrypted::open_with(std::move(*secret), std::make_shared<payload::MemorySource>(artifact));
  if (!decrypted.ok()) return decrypted.status();
  plain->assign(size_t((*decrypted)->size()), 0);
  return (*decrypted)->read(0, Span(*plain));
}

}  // namespace

TEST_CASE("AES-256-CBC (NIST SP 800-38A, F.2.5 and F.2.6)") {
  const Bytes key = unhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
  const Bytes iv = unhex("000102030405060708090a0b0c0d0e0f");
  const Bytes plain = unhex(
      "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
      "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710");
  const Bytes cipher = unhex(
      "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
      "39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b");
  Bytes out(64);
  REQUIRE(crypto::cbc_encrypt(key, iv, plain, out).ok());
  CHECK(out == cipher);
  REQUIRE(crypto::cbc_decrypt(key, iv, cipher, out).ok());
  CHECK(out == plain);

  REQUIRE(crypto::cbc_encrypt(key, iv, out, out).ok());  // in place
  CHECK(out == cipher);
  REQUIRE(crypto::cbc_decrypt(key, iv, out, out).ok());
  CHECK(out == plain);

  // In pieces: each goes on from the last block of the one before.
  const View all(cipher);
  REQUIRE(crypto::cbc_decrypt(key, all.sub(16, 16), all.sub(32, 32), Span(out).sub(0, 32)).ok());
  CHECK(equal(View(out).sub(0, 32), View(plain).from(32)));
  REQUIRE(crypto::cbc_encrypt(key, all.sub(16, 16), View(plain).from(32), Span(out).sub(0, 32)).ok());
  CHECK(equal(View(out).sub(0, 32), all.from(32)));
  CHECK(crypto::cbc_encrypt(key, iv, View(), Span()).ok());
}

TEST_CASE("AES-256-CBC: wrong sizes are refused, outputs wiped") {
  ERR_clear_error();
  const Bytes key(32, 7), iv(16, 8), block(32, 9);
  Bytes room(32, 0xff);
  const auto refused = [&](Status status, Code code, Span out) {
    CHECK(status.code == code);
    CHECK(status.what.size() > 10);
    CHECK(all_zero(out));
    room.assign(32, 0xff);
  };
  for (auto work : {crypto::cbc_encrypt, crypto::cbc_decrypt}) {
    for (size_t size : {0, 16, 24, 31, 33}) refused(work(Bytes(size, 7), iv, block, room), Code::KEY_INVALID, room);
    for (size_t size : {0, 12, 15, 17}) refused(work(key, Bytes(size, 8), block, room), Code::INTERNAL, room);
    for (size_t size : {1, 15, 17, 31}) {
      const Span out = Span(room).sub(0, size);
      refused(work(key, iv, View(block).sub(0, size), out), Code::INTERNAL, out);
    }
    refused(work(key, iv, View(block).sub(0, 16), room), Code::INTERNAL, room);
    refused(work(key, iv, block, Span(room).sub(0, 16)), Code::INTERNAL, Span(room).sub(0, 16));
  }
  CHECK(ERR_peek_error() == 0);  // node:crypto shares the queue
}

TEST_CASE("legacy artifact: third-party vectors of AES-CBC with PKCS padding") {
  const std::optional<Json> file = test::wycheproof("aes_cbc_pkcs5_test");
  if (!file) return;
  size_t good = 0, all = 0, valid = 0, other_keys = 0;
  for (const Json& group : (*file)["testGroups"].items) {
    for (const Json& vector : group["tests"].items) {
      CAPTURE(vector["tcId"].integer());
      all++;
      const Bytes key = unhex(vector["key"]), iv = unhex(vector["iv"]), message = unhex(vector["msg"]);
      Bytes artifact = iv, plain;
      append(artifact, unhex(vector["ct"]));
      const Status status = opened(key, artifact, &plain);
      bool right;
      if (group["keySize"].integer() != 256) {  // the profile has keys of 256 bits only
        right = !status.ok();
        other_keys++;
      } else if (vector["result"] == "valid") {
        right = status.ok() && plain == message && sealed(key, iv, message) == artifact;
        valid++;
      } else {
        right = status.code == Code::LEGACY_FAILED;
      }
      CHECK(right);
      good += right;
    }
  }
  CHECK(all == 216);
  CHECK(valid == 24);
  CHECK(other_keys == 144);
  test::report("aes_cbc_pkcs5", good, all, " (144 with keys of 128 or 192 bits refused)");
}
