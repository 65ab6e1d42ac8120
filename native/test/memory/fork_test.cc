// In a process that was forked from one with keys, the keys are zeros. If these fail, such a process seals with a known key.
#include <sys/wait.h>
#include <unistd.h>

#include "container/container_support.h"
#include "crypto/crypto.h"

using namespace mg;
using namespace container_test;

namespace {

// The result of `task` in a child of fork().
template <class Task>
Code in_child(Task task) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) _exit(int(task()));
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  return Code(WEXITSTATUS(status));
}

const std::string kText = "weights";

SealRequest request(std::shared_ptr<const keys::Key> key) {
  return {"model", "1", "onnx", "2026-01-01T00:00:00Z", {{"model", "", View(kText)}}, {shared(std::move(key))}, nullptr};
}

struct Nowhere : payload::Sink {
  Status write(uint64_t, View) override { return {}; }
};

}  // namespace

TEST_CASE("a forked process refuses to seal, to open and to sign with keys of its parent") {
  const auto master = new_key(keys::Type::master), signing = new_key(keys::Type::signing), device = new_key(keys::Type::device);
  work::Pool pool(0);
  const ContainerParts made = make({{"model", "", View(kText)}}, {{shared(master)}, nullptr}, pool);
  const work::Control control;
  auto begun = Sealer::begin(request(master));
  auto opened = OpenContainer::open(made.small, {master}, Trust{});
  REQUIRE(begun.ok());
  REQUIRE(opened.ok());
  const uint8_t message[3] = {1, 2, 3};
  uint8_t tag[48], signature[64], point[32];

  CHECK(in_child([&] { return Sealer::begin(request(master)).status().code; }) == Code::PROCESS_FORKED);
  CHECK(in_child([&] {
          Nowhere nowhere;
          return (*begun)->encrypt_to(nowhere, payload::kPrefix, pool, control).code;
        }) == Code::PROCESS_FORKED);
  CHECK(in_child([&] { return OpenContainer::open(made.small, {master}, Trust{}).status().code; }) == Code::PROCESS_FORKED);
  CHECK(in_child([&] {
          const View head = View(made.small).from(made.header_size);
          payload::MemorySource first(head), second{View(made.big)};
          payload::JoinedSource joined(first, second);
          return (*opened)->load(joined, head.size, pool, control).status().code;
        }) == Code::PROCESS_FORKED);
  CHECK(in_child([&] {
          return crypto::hmac(crypto::Hash::sha384, master->secret().reveal(), {View(message)}, Span(tag)).code;
        }) == Code::PROCESS_FORKED);
  CHECK(in_child([&] { return crypto::ed25519_sign(signing->ed25519_seed(), View(message), Span(signature)).code; }) ==
        Code::PROCESS_FORKED);
  CHECK(in_child([&] { return crypto::x25519(device->x25519_private(), View(device->x25519_public()), Span(point)).code; }) ==
        Code::PROCESS_FORKED);
  CHECK(in_child([&] {
          return crypto::cbc_encrypt(master->secret().reveal(), View(point).sub(0, 16), View(tag).sub(0, 16),
                                     Span(point).sub(0, 16))
              .code;
        }) == Code::PROCESS_FORKED);
  CHECK(in_child([&] { return keys::Key::generate(keys::Type::master).status().code; }) == Code::PROCESS_FORKED);
  // The parent goes on.
  Nowhere nowhere;
  CHECK((*begun)->encrypt_to(nowhere, payload::kPrefix, pool, control).ok());
}

TEST_CASE("a process that was forked before there were keys makes its own") {
  CHECK(in_child([] { return keys::Key::generate(keys::Type::master).status().code; }) == Code::OK);
}
