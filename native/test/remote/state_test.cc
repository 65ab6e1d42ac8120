// The sealed state that a device keeps for a server, and the identity of the machine that its key is sealed to (docs/server-protocol.md,
// sections 3 and 4).
// Known answers: python3-cryptography.
#include "remote/state.h"

#include <cstdlib>

#include "keys/sealed_key_file.h"
#include "remote/remote_support.h"
#include "support/machine_tree.h"

using namespace remote_test;
using namespace mg::remote;

namespace {

const char* const kSealed = "000102030405060708090a0b9824460004f657e04cd0a6a5274ede86c9339227701339";  // nonce 00 01 … 0b

Code open(const KeyPtr& key, View server, View sealed) { return open_state(*key, server, sealed).status().code; }

MachineIdentity identity_of(const keys::Key& key, View server) {
  auto identity = machine_identity(key, server);
  REQUIRE_MESSAGE(identity.ok(), identity.status().what);
  REQUIRE(*identity);
  return **identity;
}

}  // namespace

TEST_CASE("a device's state: known answer, and what was not sealed by it for this server is refused") {
  const Bytes sealed = unhex(kSealed);
  auto state = open_state(*device(), kSomeServer, sealed);
  REQUIRE_MESSAGE(state.ok(), state.status().what);
  CHECK(View(state->data(), state->size()).text() == "a state");
  each_damage(sealed, [](View bytes) { CHECK(open(device(), kSomeServer, bytes) == Code::INTEGRITY_FAILED); });
  CHECK(open(device(), kSomeSubject, sealed) == Code::INTEGRITY_FAILED);
  CHECK(open(new_key(keys::Type::device), kSomeServer, sealed) == Code::INTEGRITY_FAILED);
  // Both halves of the key count.
  for (const size_t at : {size_t(0), size_t(63)}) {
    Bytes half = counting(0x40, 64);
    half[at] ^= 0x10;
    CHECK(open(key_of(keys::Type::device, half), kSomeServer, sealed) == Code::INTEGRITY_FAILED);
  }
}

TEST_CASE("a device's state has up to 16 MiB and no byte is lost") {
  const auto key = device();
  for (const size_t size : {size_t(0), size_t(1), kMaxState}) {
    const Bytes state(size, 's');
    auto sealed = seal_state(*key, kSomeServer, state), again = seal_state(*key, kSomeServer, state);
    REQUIRE(sealed.ok());
    REQUIRE(again.ok());
    CHECK(*sealed != *again);
    auto opened = open_state(*key, kSomeServer, *sealed);
    REQUIRE(opened.ok());
    CHECK(equal(View(opened->data(), opened->size()), View(state)));
  }
  CHECK(seal_state(*key, kSomeServer, Bytes(kMaxState + 1)).status().code == Code::INVALID_ARGUMENT);
  CHECK(open(key, kSomeServer, Bytes(kMaxState + kGcmOverhead + 1)) == Code::INTEGRITY_FAILED);
  for (const KeyPtr& wrong : {signing(), field_key()}) {
    CHECK(seal_state(*wrong, kSomeServer, View()).status().code == Code::KEY_TYPE_WRONG);
    CHECK(open(wrong, kSomeServer, unhex(kSealed)) == Code::KEY_TYPE_WRONG);
  }
  CHECK(seal_state(*key, Bytes(15), View()).status().code == Code::INVALID_ARGUMENT);
  CHECK(open(key, View(), unhex(kSealed)) == Code::INVALID_ARGUMENT);
}

TEST_CASE("a machine's identity: known answer, none without a sealed key") {
  auto secret = Secret::copy(counting(0xc0, 32));
  REQUIRE(secret.ok());
  auto key = keys::Key::from_bytes(keys::Type::device, counting(0x40, 64), std::move(*secret));
  REQUIRE(key.ok());
  CHECK(test::hex(View(identity_of(**key, kSomeServer))) == "a8f46de0a1c8c3622b862c2215e5fb3b079a75339b92c7f38aa461561124183a");
  CHECK(identity_of(**key, kSomeSubject) != identity_of(**key, kSomeServer));
  CHECK(machine_identity(**key, Bytes(15)).status().code == Code::INVALID_ARGUMENT);
  for (const KeyPtr& other : {device(), signing(), field_key()}) {
    auto none = machine_identity(*other, kSomeServer);
    REQUIRE(none.ok());
    CHECK_FALSE(*none);
  }
}

TEST_CASE("a key that was opened from its sealed form has the identity of its binding, and passes it to no file") {
  const test::MachineFolder machine = test::MachineTree("laptop-two-gpus").write(), files;
  setenv("MODEL_GUARD_TEST_MACHINE", machine.path().c_str(), 1);
  auto parts = hardware::read_machine({hardware::system_root(), false});
  REQUIRE(parts.ok());
  auto bound = hardware::bind(*parts, {}), rebound = hardware::bind(*parts, {});
  REQUIRE(bound.ok());
  REQUIRE(rebound.ok());
  const auto opened = [](const keys::Key& key, const hardware::NewBinding& to) {
    auto content = keys::seal_device_key(key, to);
    REQUIRE(content.ok());
    auto out = keys::unseal_device_key(*content, nullptr);
    REQUIRE_MESSAGE(out.ok(), out.status().what);
    return *out;
  };
  const auto key = opened(*device(), *bound);
  const auto identity = identity_of(*key, kSomeServer);
  CHECK(identity_of(*opened(*new_key(keys::Type::device), *bound), kSomeServer) == identity);
  CHECK(identity_of(*opened(*device(), *rebound), kSomeServer) != identity);
  unsetenv("MODEL_GUARD_TEST_MACHINE");

  const std::string path = files / "plain.key";
  REQUIRE(keys::write_key_file(*key, path).ok());
  auto read = keys::read_key_file(path);
  REQUIRE(read.ok());
  CHECK(equal(read->key->secret().reveal(), key->secret().reveal()));
  CHECK(read->key->machine_secret().size == 0);
}
