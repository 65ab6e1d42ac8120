// Signatures for a purpose and the proof of an enrolment (docs/server-protocol.md, sections 2 and 3). Known answers: the same inputs through
// python3-cryptography, HPKE by the formulas of RFC 9180 with the ephemeral key e0 e1 … ff.
#include "remote/proof.h"

#include "crypto/hpke.h"
#include "remote/remote_support.h"

using namespace remote_test;
using namespace mg::remote;

namespace {

constexpr Purpose kAll[] = {Purpose::enrolment, Purpose::lease_request, Purpose::statement, Purpose::checkpoint};
bool by_device(Purpose purpose) { return purpose == Purpose::enrolment || purpose == Purpose::lease_request; }

// The nonce 50 51 … 6f, sealed to the device
const char* const kNonce =
    "736845d54e87de09d6bb114aa7042c50a4a015bd9901d1a0026f5956533a1519af62af107e9a1cbc44fc3a8b09893433"
    "db45cd21a320a98d6c6cb8f402fb1ca695039e0fe5f122640f273e2fa5ec26e5";

Code prove(const KeyPtr& key, View server, View challenge, View sealed) {
  return prove_enrolment(*key, server, challenge, sealed, View("message")).status().code;
}

}  // namespace

TEST_CASE("signatures: known answers") {
  const struct {
    const char* name;
    const char* signature;
  } vectors[] = {
      {"lease-request",
       "d1a2f4ccd5b5a7c383b567946b07d03fb4851ce308b9068a53328a99e8a5ebb676d0600eff513385e636b4c6c2d98d59"
       "628275199a9fcd5bc6c975ffab3fe70e"},
      {"statement",
       "4c280d6793a291d16e06b2a45d07d08450ed7987a96690d1b0716d8d676753bca334fcd47dc666f8676ff60e3fbb3230"
       "9c34d2824d02c2442640ce1305823b0c"},
      {"checkpoint",
       "19c5c75df75803d74f9ea2a8c8a9e24060e84d69e6fd06c794fee43f3be4d8e596b7e4c22a7c52a8c04f93129f00d0fa"
       "99c2f7ae97927ee039f4bbfaf3be3204"},
  };
  for (const auto& vector : vectors) {
    const auto purpose = purpose_of(vector.name);
    REQUIRE(purpose);
    auto signature = sign(*purpose, *(by_device(*purpose) ? device() : signing()), View("message"));
    REQUIRE(signature.ok());
    CHECK(test::hex(View(*signature)) == vector.signature);
  }
  CHECK(purpose_of("enrolment") == Purpose::enrolment);
  for (const char* none : {"", "lease", "publisher", "statement "}) CHECK_FALSE(purpose_of(none));
}

TEST_CASE("a signature holds for its purpose, message and key, and not changed") {
  const auto key = signing();
  const View open(key->ed25519_public());
  auto signature = sign(Purpose::statement, *key, View("message"));
  REQUIRE(signature.ok());
  const auto holds = [&](Purpose purpose, View by, View message, View bytes) {
    auto result = verify(purpose, by, message, bytes);
    REQUIRE(result.ok());
    return *result;
  };
  for (const Purpose purpose : kAll)
    CHECK(holds(purpose, open, View("message"), View(*signature)) == (purpose == Purpose::statement));
  CHECK_FALSE(holds(Purpose::statement, open, View("messagf"), View(*signature)));
  CHECK_FALSE(holds(Purpose::statement, open, View(), View(*signature)));
  CHECK_FALSE(holds(Purpose::statement, View(new_key(keys::Type::signing)->ed25519_public()), View("message"), View(*signature)));
  each_damage(View(*signature), [&](View bytes) { CHECK_FALSE(holds(Purpose::statement, open, View("message"), bytes)); });
  for (const size_t size : {0, 31, 33})
    CHECK(verify(Purpose::statement, Bytes(size), View("message"), View(*signature)).status().code == Code::INVALID_ARGUMENT);
}

TEST_CASE("devices sign the purposes of devices, servers those of servers") {
  for (const Purpose purpose : kAll) {
    CHECK(sign(purpose, *device(), View()).ok() == by_device(purpose));
    CHECK(sign(purpose, *signing(), View()).ok() == !by_device(purpose));
    CHECK(sign(purpose, *field_key(), View()).status().code == Code::KEY_TYPE_WRONG);
    CHECK(sign(purpose, *key_of(keys::Type::legacy, counting(1, 40)), View()).status().code == Code::KEY_TYPE_WRONG);
    CHECK(sign(purpose, *key_of(keys::Type::passphrase, View("word")), View()).status().code == Code::KEY_TYPE_WRONG);
  }
}

TEST_CASE("enrolment: known answer, and nothing but the nonce for this device, server and challenge") {
  const Bytes sealed = unhex(kNonce);
  auto proof = prove_enrolment(*device(), kSomeServer, kSomeChallenge, sealed, View("message"));
  REQUIRE_MESSAGE(proof.ok(), proof.status().what);
  CHECK(test::hex(View(*proof)) ==
        "c97277674ca2a68f8caa271f2d5f59074a42eab6cfa13af04299461a24fe2e7b9680836b9de9b2320128014f9f46177e"
        "a6d865b2541ada3d2e8f115895fb9801");
  each_damage(sealed, [](View bytes) { CHECK(prove(device(), kSomeServer, kSomeChallenge, bytes) == Code::INTEGRITY_FAILED); });
  CHECK(prove(new_key(keys::Type::device), kSomeServer, kSomeChallenge, sealed) == Code::INTEGRITY_FAILED);
  CHECK(prove(device(), kSomeSubject, kSomeChallenge, sealed) == Code::INTEGRITY_FAILED);
  CHECK(prove(device(), kSomeServer, counting(0x21, 32), sealed) == Code::INTEGRITY_FAILED);
  CHECK(prove(signing(), kSomeServer, kSomeChallenge, sealed) == Code::KEY_TYPE_WRONG);
  CHECK(prove(field_key(), kSomeServer, kSomeChallenge, sealed) == Code::KEY_TYPE_WRONG);
  CHECK(prove(device(), Bytes(15), kSomeChallenge, sealed) == Code::INVALID_ARGUMENT);
  CHECK(prove(device(), kSomeServer, Bytes(33), sealed) == Code::INVALID_ARGUMENT);
}

TEST_CASE("a sealed nonce has 32 bytes, is new each time, and opens for its device") {
  const auto key = device();
  auto first = seal_nonce(x25519(key), kSomeServer, kSomeChallenge),
       second = seal_nonce(x25519(key), kSomeServer, kSomeChallenge);
  REQUIRE(first.ok());
  REQUIRE(second.ok());
  CHECK(first->nonce != second->nonce);
  auto proof = prove_enrolment(*key, kSomeServer, kSomeChallenge, first->sealed, View("message"));
  REQUIRE(proof.ok());
  Bytes message = View("message").copy();
  append(message, View(first->nonce));
  auto holds = verify(Purpose::enrolment, View(key->ed25519_public()), message, View(*proof));
  CHECK((holds.ok() && *holds));

  const Bytes info = with_label("model-guard/v1/enrolment-nonce", {kSomeServer});
  for (const size_t size : {0, 31, 33}) {
    auto other = hpke::seal(x25519(key), info, kSomeChallenge, Bytes(size));
    REQUIRE(other.ok());
    CHECK(prove(key, kSomeServer, kSomeChallenge, *other) == Code::INTEGRITY_FAILED);
  }
  CHECK(seal_nonce(Bytes(31), kSomeServer, kSomeChallenge).status().code == Code::INVALID_ARGUMENT);
  CHECK(seal_nonce(x25519(key), Bytes(17), kSomeChallenge).status().code == Code::INVALID_ARGUMENT);
  CHECK(seal_nonce(x25519(key), kSomeServer, Bytes(0)).status().code == Code::INVALID_ARGUMENT);
  CHECK(seal_nonce(Bytes(32), kSomeServer, kSomeChallenge).status().code == Code::KEY_INVALID);  // a point of small order
}
