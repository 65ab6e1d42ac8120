// Key fragments of archives on their way from the publisher over the server to a device (docs/server-protocol.md, section 5). Known
// answers: as in proof_test.cc.
#include "remote/fragment.h"

#include "crypto/hpke.h"
#include "remote/remote_support.h"

using namespace remote_test;
using namespace mg::remote;

namespace {

const std::string kName = "earth/tiles";
// The master key 01 02 … 20 to the device; the key string "a key string" to the same key without a challenge
const char* const kToDevice =
    "736845d54e87de09d6bb114aa7042c50a4a015bd9901d1a0026f5956533a1519bfbcdb6fd6690eb72891099b1e66208a"
    "6873d295630683ba78e080a5b48e3ad6922cef8e1cc003f569ce43e49783831991";
const char* const kToServer =
    "736845d54e87de09d6bb114aa7042c50a4a015bd9901d1a0026f5956533a1519bcdcf907b71528c354ea6afe755dace2"
    "6bd457ef82348a96e3832040c0";

Code open(const KeyPtr& key, View sealed, View server = View(kSomeServer), const std::string& name = kName,
          View challenge = View(kSomeChallenge)) {
  return open_fragment(*key, sealed, server, name, challenge).status().code;
}
Code reseal(const KeyPtr& key, View sealed, View to, View server = View(kSomeServer), const std::string& name = kName,
            std::optional<View> challenge = View(kSomeChallenge)) {
  return reseal_fragment(*key, sealed, to, server, name, challenge).status().code;
}

Bytes sealed_to(const KeyPtr& key, View aad, View plain) {
  auto sealed = hpke::seal(x25519(key), with_label("model-guard/v1/fragment", {kSomeServer, View(kName)}), aad, plain);
  REQUIRE(sealed.ok());
  return *sealed;
}

}  // namespace

TEST_CASE("fragments: known answers") {
  auto key = open_fragment(*device(), unhex(kToDevice), kSomeServer, kName, kSomeChallenge);
  REQUIRE_MESSAGE(key.ok(), key.status().what);
  CHECK((*key)->type() == keys::Type::master);
  CHECK(equal((*key)->secret().reveal(), counting(1, 32)));

  const auto other = new_key(keys::Type::device);
  auto given = reseal_fragment(*device(), unhex(kToServer), x25519(other), kSomeServer, kName, View(kSomeChallenge));
  REQUIRE_MESSAGE(given.ok(), given.status().what);
  auto text = open_fragment(*other, *given, kSomeServer, kName, kSomeChallenge);
  REQUIRE(text.ok());
  CHECK((*text)->type() == keys::Type::legacy);
  CHECK((*text)->secret().reveal().text() == "a key string");
}

TEST_CASE("a fragment goes from the publisher to the server, to its next key, and to a device") {
  const auto server = new_key(keys::Type::device), next = new_key(keys::Type::device), machine = device();
  const Bytes longest(4096, 'x');
  for (const KeyPtr& fragment :
       {new_key(keys::Type::master), key_of(keys::Type::legacy, View("k")), key_of(keys::Type::legacy, longest)}) {
    auto first = seal_fragment(*fragment, x25519(server), kSomeServer, kName);
    REQUIRE(first.ok());
    auto second = reseal_fragment(*server, *first, x25519(next), kSomeServer, kName, std::nullopt);
    REQUIRE(second.ok());
    auto third = reseal_fragment(*next, *second, x25519(machine), kSomeServer, kName, View(kSomeChallenge));
    REQUIRE(third.ok());
    auto key = open_fragment(*machine, *third, kSomeServer, kName, kSomeChallenge);
    REQUIRE(key.ok());
    CHECK((*key)->type() == fragment->type());
    CHECK(equal((*key)->secret().reveal(), fragment->secret().reveal()));
    CHECK(reseal(machine, *third, x25519(next)) == Code::INTEGRITY_FAILED);  // a fragment for a challenge is not sealed again
    CHECK(open(next, *second) == Code::INTEGRITY_FAILED);
  }
}

TEST_CASE("a fragment opens only with its key, server, name and challenge, and only unchanged") {
  const Bytes sealed = unhex(kToDevice), stored = unhex(kToServer);
  const auto key = device(), other = new_key(keys::Type::device);
  each_damage(sealed, [&](View bytes) { CHECK(open(key, bytes) == Code::INTEGRITY_FAILED); });
  each_damage(stored, [&](View bytes) { CHECK(reseal(key, bytes, x25519(other)) == Code::INTEGRITY_FAILED); });
  CHECK(open(other, sealed) == Code::INTEGRITY_FAILED);
  CHECK(open(key, sealed, kSomeSubject) == Code::INTEGRITY_FAILED);
  CHECK(open(key, sealed, kSomeServer, "earth/tile") == Code::INTEGRITY_FAILED);
  CHECK(open(key, sealed, kSomeServer, "") == Code::INTEGRITY_FAILED);
  CHECK(open(key, sealed, kSomeServer, kName, counting(0x21, 32)) == Code::INTEGRITY_FAILED);
  CHECK(reseal(other, stored, x25519(other)) == Code::INTEGRITY_FAILED);
  CHECK(reseal(key, stored, x25519(other), kSomeSubject) == Code::INTEGRITY_FAILED);
  CHECK(reseal(key, stored, x25519(other), kSomeServer, "earth") == Code::INTEGRITY_FAILED);
}

TEST_CASE("sealed data that are no fragment are refused") {
  const auto key = device();
  const std::pair<uint8_t, size_t> wrong[] = {{1, 31}, {1, 33}, {1, 0}, {2, 0}, {2, 4097}, {0, 32}, {3, 32}, {255, 32}};
  for (const auto& [type, size] : wrong) {
    Bytes plain(1 + size, 'k');
    plain[0] = type;
    CAPTURE(int(type));
    CAPTURE(size);
    CHECK(open(key, sealed_to(key, kSomeChallenge, plain)) == Code::INTEGRITY_FAILED);
    CHECK(reseal(key, sealed_to(key, View(), plain), x25519(key)) == Code::INTEGRITY_FAILED);
  }
  CHECK(open(key, sealed_to(key, kSomeChallenge, View())) == Code::INTEGRITY_FAILED);
  CHECK(open(key, Bytes(1 << 20)) == Code::INTEGRITY_FAILED);
}

TEST_CASE("fragments: types of keys, sizes of arguments") {
  const auto key = device();
  const Bytes stored = unhex(kToServer), sealed = unhex(kToDevice);
  for (const KeyPtr& wrong : {device(), signing(), key_of(keys::Type::passphrase, View("word"))})
    CHECK(seal_fragment(*wrong, x25519(key), kSomeServer, kName).status().code == Code::KEY_TYPE_WRONG);
  for (const KeyPtr& wrong : {signing(), field_key()}) {
    CHECK(open(wrong, sealed) == Code::KEY_TYPE_WRONG);
    CHECK(reseal(wrong, stored, x25519(key)) == Code::KEY_TYPE_WRONG);
  }
  CHECK(seal_fragment(*field_key(), Bytes(31), kSomeServer, kName).status().code == Code::INVALID_ARGUMENT);
  CHECK(seal_fragment(*field_key(), x25519(key), Bytes(15), kName).status().code == Code::INVALID_ARGUMENT);
  CHECK(reseal(key, stored, Bytes(33)) == Code::INVALID_ARGUMENT);
  CHECK(reseal(key, stored, x25519(key), Bytes(17)) == Code::INVALID_ARGUMENT);
  CHECK(reseal(key, stored, x25519(key), kSomeServer, kName, View()) == Code::INVALID_ARGUMENT);
  CHECK(open(key, sealed, View()) == Code::INVALID_ARGUMENT);
  CHECK(open(key, sealed, kSomeServer, kName, Bytes(31)) == Code::INVALID_ARGUMENT);
}
