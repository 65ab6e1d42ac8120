#include "crypto/crypto.h"

#include <doctest/doctest.h>
#include <openssl/err.h>

#include <cstdlib>
#include <functional>

#include "support/vectors.h"

using namespace mg;
using crypto::Gcm;
using crypto::Hash;
using test::Json;
using test::unhex;

namespace {

bool all_zero(View v) {
  for (uint8_t b : v)
    if (b) return false;
  return true;
}

// Runs judge(group, test) for every test of a file; judge returns whether the result is that of the vector.
template <class Judge>
void run_vectors(const char* name, const Judge& judge, const std::function<std::string()>& note = {}) {
  const auto file = test::wycheproof(name);
  if (!file) return;
  size_t good = 0, all = 0;
  for (const Json& group : (*file)["testGroups"].items) {
    for (const Json& vector : group["tests"].items) {
      const bool passed = judge(group, vector);
      CHECK_MESSAGE(passed, name, " tcId ", vector["tcId"].integer());
      good += passed, all++;
    }
  }
  CHECK(all == size_t((*file)["numberOfTests"].integer()));
  CHECK(good == all);
  test::report(name, good, all, note ? note() : "");
}

}  // namespace

TEST_CASE("the vectors' reader") {
  const Json j = test::parse_json(R"( {"a":[1,-2.5e1,true,false,null,{}],"b":"q\"\\\u00e9\ud83d\ude00\n","c":{"d":[]}} )");
  CHECK(j["a"].items.size() == 6);
  CHECK(j["a"].items[1].number == -25);
  CHECK(j["a"].items[2].boolean);
  CHECK(j["a"].items[4].kind == Json::Kind::null);
  CHECK(j["b"].text == "q\"\\\xc3\xa9\xf0\x9f\x98\x80\n");
  CHECK(j["c"].has("d"));
  for (const char* bad : {"", "{", "[1,]", "{\"a\"}", "\"\\x\"", "01", "nul", "1 2", "\"\\ud800\"", "-"})
    CHECK_THROWS(test::parse_json(bad));
  const Bytes stream = unhex("789ccb48cdc9c957c84090003a2e067d");
  CHECK(equal(test::inflate(stream), View(std::string_view("hello hello hello"))));
  CHECK_THROWS(test::inflate(View(stream).sub(0, stream.size() - 1)));
}

TEST_CASE("random bytes, comparison, wiping") {
  Bytes a(40), b(40);
  CHECK(crypto::random_bytes(a).ok());
  CHECK(crypto::random_bytes(b).ok());
  CHECK_FALSE(crypto::equal(a, b));
  CHECK(crypto::random_bytes(Span()).ok());
  Bytes large((1 << 20) + 100);
  CHECK(crypto::random_bytes(large).ok());
  CHECK_FALSE(all_zero(View(large).from(1 << 20)));

  CHECK(crypto::equal(a, Bytes(a)));
  CHECK(crypto::equal(View(), View()));
  CHECK_FALSE(crypto::equal(View(a).sub(0, 39), a));
  b = a;
  b[39] ^= 1;
  CHECK_FALSE(crypto::equal(a, b));
  crypto::wipe(a);
  CHECK(all_zero(a));
  crypto::wipe(Span());
}

TEST_CASE("digests (FIPS 180-4)") {
  const auto digest = [](Hash hash, std::initializer_list<View> parts) {
    Bytes out(crypto::hash_size(hash));
    CHECK(crypto::digest(hash, parts, out).ok());
    return test::hex(out);
  };
  const View a(std::string_view("a")), bc(std::string_view("bc"));
  CHECK(digest(Hash::sha256, {a, View(), bc}) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(digest(Hash::sha256, {}) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(digest(Hash::sha384, {a, bc}) ==
        "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7");
  CHECK(digest(Hash::sha512, {a, bc}) ==
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");

  crypto::Sha256Hasher hasher;
  uint8_t out[32];
  for (int i = 0; i < 3; i++) {  // one context, many digests
    CHECK(hasher.hash({a, bc}, out));
    CHECK(test::hex(out) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(hasher.hash({}, out));
    CHECK(test::hex(out) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  }
}

TEST_CASE("wrong sizes are refused, outputs wiped") {
  Bytes room(31, 0xff);
  const Bytes key(32, 7);
  const auto refused = [&](Status status, Code code) {
    CHECK(status.code == code);
    CHECK(status.what.size() > 10);
    CHECK(all_zero(room));
    room.assign(31, 0xff);
  };
  refused(crypto::digest(Hash::sha256, {}, room), Code::INTERNAL);
  refused(crypto::hmac(Hash::sha256, key, {}, room), Code::INTERNAL);
  refused(crypto::hkdf_extract(Hash::sha384, key, key, room), Code::INTERNAL);
  refused(crypto::x25519_public(key, room), Code::INTERNAL);
  refused(crypto::x25519_public(View(key).from(1), room), Code::KEY_INVALID);
  refused(crypto::x25519(key, key, room), Code::INTERNAL);
  refused(crypto::x25519(View(key).from(1), key, room), Code::KEY_INVALID);
  refused(crypto::x25519(key, View(), room), Code::KEY_INVALID);
  refused(crypto::ed25519_public(View(), room), Code::KEY_INVALID);
  refused(crypto::ed25519_sign(key, key, room), Code::INTERNAL);
  refused(crypto::ed25519_sign(View(), key, room), Code::KEY_INVALID);
  refused(crypto::scrypt(key, key, 0, 8, 1, room), Code::INVALID_ARGUMENT);
  refused(crypto::scrypt(key, key, 64, 8, 1, room), Code::INVALID_ARGUMENT);
  refused(crypto::scrypt(key, key, 10, 0, 1, room), Code::INVALID_ARGUMENT);
  refused(crypto::scrypt(key, key, 10, 8, 0, room), Code::INVALID_ARGUMENT);
  refused(crypto::scrypt(key, key, 24, 64, 1, room), Code::LIMIT_EXCEEDED);
  CHECK(crypto::scrypt(key, key, 10, 8, 1, Span()).code == Code::INVALID_ARGUMENT);
  CHECK_FALSE(crypto::ed25519_verify(View(), key, room));
  CHECK_FALSE(crypto::ed25519_verify(key, key, room));
  for (size_t size : {0, 1, 15, 17, 24, 31, 33, 64}) {
    const auto gcm = Gcm::create(Bytes(size, 1));
    CHECK_FALSE(gcm.ok());
    CHECK(gcm.status().code == Code::KEY_INVALID);
  }
}

TEST_CASE("HMAC (RFC 2104)") {
  for (const auto& [name, hash] : {std::pair{"hmac_sha256_test", Hash::sha256}, {"hmac_sha384_test", Hash::sha384}}) {
    const Hash h = hash;
    run_vectors(name, [h](const Json& group, const Json& vector) {
      Bytes full(crypto::hash_size(h));
      if (!crypto::hmac(h, unhex(vector["key"]), {unhex(vector["msg"])}, full).ok()) return false;
      const size_t size = size_t(group["tagSize"].integer()) / 8;  // some tags are truncated
      const bool same = size <= full.size() && crypto::equal(View(full).sub(0, size), unhex(vector["tag"]));
      return same == (vector["result"] == "valid");
    });
  }
  Bytes parts(32), whole(32);
  const std::string_view text = "one message in three parts";
  CHECK(crypto::hmac(Hash::sha256, View(), {text.substr(0, 3), text.substr(3, 0), text.substr(3)}, parts).ok());
  CHECK(crypto::hmac(Hash::sha256, View(), {text}, whole).ok());
  CHECK(parts == whole);
}

TEST_CASE("HKDF (RFC 5869)") {
  const struct {
    const char* name;
    Hash hash;
  } files[] = {{"hkdf_sha256_test", Hash::sha256}, {"hkdf_sha384_test", Hash::sha384}, {"hkdf_sha512_test", Hash::sha512}};
  for (const auto& file : files) {
    run_vectors(file.name, [&](const Json&, const Json& vector) {
      Bytes okm(size_t(vector["size"].integer()), 0xee);
      const Status status = crypto::hkdf(file.hash, unhex(vector["ikm"]), unhex(vector["salt"]), unhex(vector["info"]), okm);
      if (vector["result"] == "valid") return status.ok() && okm == unhex(vector["okm"]);
      return !status.ok() && all_zero(okm);
    });
  }
  // Any length of prk: its first blocks are HMAC(prk, info || 1) and HMAC(prk, T(1) || info || 2).
  const Bytes prk(5, 9), info(7, 3);
  Bytes out(80), t1(64), t2(64);
  const uint8_t one[] = {1}, two[] = {2};
  CHECK(crypto::hkdf_expand(Hash::sha512, prk, info, out).ok());
  CHECK(crypto::hmac(Hash::sha512, prk, {info, one}, t1).ok());
  CHECK(crypto::hmac(Hash::sha512, prk, {t1, info, two}, t2).ok());
  append(t1, View(t2).sub(0, 16));
  CHECK(out == t1);
  CHECK(crypto::hkdf_expand(Hash::sha512, prk, info, Span()).ok());
}

TEST_CASE("scrypt (RFC 7914, 12)") {
  struct Vector {
    const char *passphrase, *salt;
    unsigned log_n, r, p;
    const char* out;
  };
  std::vector<Vector> vectors = {
      {"", "", 4, 1, 1,
       "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
       "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906"},
      {"password", "NaCl", 10, 8, 16,
       "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
       "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"},
      {"pleaseletmein", "SodiumChloride", 14, 8, 1,
       "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
       "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"},
  };
  if (std::getenv("MG_SLOW")) {  // 1 GiB of memory
    vectors.push_back({"pleaseletmein", "SodiumChloride", 20, 8, 1,
                       "2101cb9b6a511aaeaddbbe09cf70f881ec568d574a2ffd4dabe5ee9820adaa47"
                       "8e56fd8f4ba5d09ffa1c6d927c40f4c337304049e8a952fbcbf45c6fa77a41a4"});
  }
  for (const Vector& v : vectors) {
    Bytes out(64);
    CHECK(crypto::scrypt(std::string_view(v.passphrase), std::string_view(v.salt), v.log_n, v.r, v.p, out).ok());
    CHECK(test::hex(out) == v.out);
  }
}

TEST_CASE("AES-GCM (SP 800-38D)") {
  size_t run = 0, bits192 = 0, nonces = 0;
  const auto judge = [&](const Json&, const Json& vector) {
    const Bytes key = unhex(vector["key"]), nonce = unhex(vector["iv"]), aad = unhex(vector["aad"]);
    const Bytes plain = unhex(vector["msg"]);
    Bytes sealed = unhex(vector["ct"]);
    append(sealed, unhex(vector["tag"]));
    auto gcm = Gcm::create(key);
    if (key.size() == 24) return ++bits192, !gcm.ok() && gcm.status().code == Code::KEY_INVALID;
    if (!gcm.ok()) return false;
    Bytes made(plain.size() + 16, 0xee), opened(plain.size(), 0xee);
    const bool seals = gcm->seal(nonce, aad, plain, made.data());
    const bool opens = gcm->open(nonce, aad, sealed, opened.data());
    if (nonce.size() > Gcm::kMaxNonce) return ++nonces, !seals && !opens && all_zero(made) && all_zero(opened);
    run++;
    if (vector["result"] == "valid") return seals && opens && made == sealed && opened == plain;
    return !opens && all_zero(opened) && made != sealed;
  };
  run_vectors("aes_gcm_test", judge, [&] {
    return " (" + std::to_string(run) + " run, " + std::to_string(bits192) + " refused: 192-bit keys, " + std::to_string(nonces) +
           " refused: nonces over 128 bytes)";
  });
}

TEST_CASE("AES-GCM: one object for many messages, in place, tampering") {
  auto made = Gcm::create(Bytes(32, 0x42));
  REQUIRE(made.ok());
  Gcm gcm = std::move(*made);
  const Bytes aad(20, 1);
  for (size_t size : {0, 1, 15, 16, 17, 16384}) {
    CAPTURE(size);
    Bytes plain(size);
    CHECK(crypto::random_bytes(plain).ok());
    Bytes nonce(12, uint8_t(size)), buffer = plain;
    buffer.resize(size + 16);
    CHECK(gcm.seal(nonce, aad, View(buffer).sub(0, size), buffer.data()));
    const Bytes sealed = buffer;
    CHECK(gcm.open(nonce, aad, buffer, buffer.data()));
    CHECK(equal(View(buffer).sub(0, size), plain));

    for (size_t i = 0; i < sealed.size(); i += 1 + sealed.size() / 64) {
      Bytes bad = sealed, out(size + 1, 0xee);
      bad[i] ^= 0x80;
      CHECK_FALSE(gcm.open(nonce, aad, bad, out.data()));
      CHECK(all_zero(View(out).sub(0, size)));
      CHECK(out[size] == 0xee);
      CHECK_FALSE(gcm.open(nonce, aad, bad, bad.data()));
      CHECK(all_zero(View(bad).sub(0, size)));
    }
    Bytes out(size + 1);
    CHECK_FALSE(gcm.open(nonce, View(aad).from(1), sealed, out.data()));
    CHECK_FALSE(gcm.open(nonce, aad, View(sealed).sub(0, 15), out.data()));
    CHECK(gcm.open(nonce, aad, sealed, out.data()));  // a refusal leaves the object usable
  }
  uint8_t out[16] = {1};
  CHECK_FALSE(gcm.seal(View(), aad, View(), out));
  CHECK(all_zero(out));
  Gcm taken = std::move(gcm);
  CHECK(taken.seal(Bytes(12), aad, View(), out));
  CHECK_FALSE(gcm.seal(Bytes(12), aad, View(), out));  // NOLINT: a moved-from object refuses
}

TEST_CASE("X25519 (RFC 7748)") {
  const Bytes alice = unhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
  const Bytes bob = unhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
  Bytes alice_public(32), bob_public(32), one(32), two(32);
  CHECK(crypto::x25519_public(alice, alice_public).ok());
  CHECK(crypto::x25519_public(bob, bob_public).ok());
  CHECK(test::hex(alice_public) == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  CHECK(test::hex(bob_public) == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  CHECK(crypto::x25519(alice, bob_public, one).ok());
  CHECK(crypto::x25519(bob, alice_public, two).ok());
  CHECK(test::hex(one) == "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
  CHECK(one == two);

  run_vectors("x25519_test", [](const Json&, const Json& vector) {
    Bytes shared(32, 0xee);
    const Status status = crypto::x25519(unhex(vector["private"]), unhex(vector["public"]), shared);
    const Bytes wanted = unhex(vector["shared"]);
    // An all-zero secret is "acceptable" to the vectors and refused by us.
    if (all_zero(wanted)) return status.code == Code::KEY_INVALID && all_zero(shared);
    return status.ok() && shared == wanted;
  });
}

TEST_CASE("Ed25519 (RFC 8032)") {
  const struct {
    const char *seed, *key, *message, *signature;
  } vectors[] = {
      {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
       "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
       "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
       "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
      {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
       "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
       "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
       "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
  };
  for (const auto& v : vectors) {
    Bytes key(32), signature(64);
    CHECK(crypto::ed25519_public(unhex(v.seed), key).ok());
    CHECK(test::hex(key) == v.key);
    CHECK(crypto::ed25519_sign(unhex(v.seed), unhex(v.message), signature).ok());
    CHECK(test::hex(signature) == v.signature);
    CHECK(crypto::ed25519_verify(key, unhex(v.message), signature));
    for (size_t i = 0; i < signature.size(); i++) {
      signature[i] ^= 1;
      CHECK_FALSE(crypto::ed25519_verify(key, unhex(v.message), signature));
      signature[i] ^= 1;
    }
    CHECK_FALSE(crypto::ed25519_verify(key, unhex("73"), signature));
  }
  run_vectors("ed25519_test", [](const Json& group, const Json& vector) {
    return crypto::ed25519_verify(unhex(group["publicKey"]["pk"]), unhex(vector["msg"]), unhex(vector["sig"])) ==
           (vector["result"] == "valid");
  });
}

TEST_CASE("OpenSSL's error queue is left as it was found") {
  ERR_clear_error();
  const Bytes key(32, 7), zero(32, 0);
  Bytes out(64);
  const auto fail_everywhere = [&] {
    CHECK_FALSE(crypto::x25519(key, zero, Span(out.data(), 32)).ok());
    CHECK_FALSE(crypto::ed25519_verify(zero, key, out));
    auto gcm = Gcm::create(key);
    CHECK_FALSE(gcm->open(Bytes(12), View(), out, out.data()));
  };
  fail_everywhere();
  CHECK(ERR_peek_error() == 0);
  ERR_raise(ERR_LIB_USER, 77);  // an error of other code
  fail_everywhere();
  CHECK(ERR_GET_REASON(ERR_get_error()) == 77);
  CHECK(ERR_peek_error() == 0);
}
