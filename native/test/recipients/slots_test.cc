// The table of kinds, and how recipients are made from it. Numbers and names stand in every container (docs/format.md, section 6).
#include "recipients/slots.h"

#include <doctest/doctest.h>

using namespace mg;
using namespace mg::recipients;

namespace {

std::shared_ptr<const keys::Key> new_key(keys::Type type) {
  auto key = keys::Key::generate(type);
  REQUIRE(key.ok());
  return *key;
}

}  // namespace

TEST_CASE("kinds have the numbers and names of the format") {
  const std::pair<uint16_t, std::string> format[] = {{1, "x25519"}, {2, "master"}, {3, "passphrase"}, {4, "hardware"}};
  CHECK(kinds().size() == std::size(format));
  for (const auto& [number, name] : format) {
    CHECK(kind_name(number) == name);
    REQUIRE(find_kind(number));
    CHECK(find_kind(number)->number == number);
    CHECK(find_kind(name) == find_kind(number));
  }
  for (const uint16_t number : {0, 5, 99, 65535}) {
    CHECK(find_kind(number) == nullptr);
    CHECK(kind_name(number) == std::string("unknown"));
  }
}

TEST_CASE("a key that both sides hold is a recipient of the kind of its type, other keys are none") {
  auto master = shared_recipient(new_key(keys::Type::master));
  REQUIRE(master.ok());
  CHECK(master->kind == find_kind("master"));
  auto word = shared_recipient(*keys::Key::from_passphrase(View("a")));
  REQUIRE(word.ok());
  CHECK(word->kind == find_kind("passphrase"));
  for (const keys::Type type : {keys::Type::signing, keys::Type::device})
    CHECK(shared_recipient(new_key(type)).status().code == Code::KEY_TYPE_WRONG);
}

TEST_CASE("a public part is checked by its kind, and a kind without one takes none") {
  const keys::PublicKey key = new_key(keys::Type::device)->x25519_public();
  CHECK(public_recipient(*find_kind("x25519"), View(key)).ok());
  CHECK(public_recipient(*find_kind("x25519"), View(key).sub(0, 31)).status().code == Code::KEY_INVALID);
  CHECK(public_recipient(*find_kind("x25519"), View(keys::PublicKey{})).status().code == Code::KEY_INVALID);
  CHECK(public_recipient(*find_kind("hardware"), View(key)).status().code == Code::MACHINE_FILE_INVALID);
  CHECK(public_recipient(*find_kind("master"), View(key)).status().code == Code::INVALID_ARGUMENT);
  CHECK(public_recipient(*find_kind("passphrase"), View(key)).status().code == Code::INVALID_ARGUMENT);
}

TEST_CASE("a slot parses to what was encoded, and a body that breaks its kind's rule is refused") {
  const auto device = new_key(keys::Type::device);
  const std::vector<Recipient> recipients = {*public_recipient(*find_kind("x25519"), View(device->x25519_public())),
                                             *shared_recipient(new_key(keys::Type::master))};
  const Bytes data_key(32, 7);
  auto slots = wrap_all(recipients, data_key, crypto::Sha384{}, Policy{10, 20, 15, {}, {}});
  REQUIRE(slots.ok());
  Bytes encoded;
  for (const Slot& slot : *slots) append(encoded, slot.encode());
  auto parsed = parse_slots(encoded);
  REQUIRE(parsed.ok());
  REQUIRE(parsed->size() == 2);
  for (size_t i = 0; i < 2; i++) CHECK((*parsed)[i].encode() == (*slots)[i].encode());
  Slot longer = (*slots)[1];
  longer.body.push_back(0);
  CHECK(parse_slots(longer.encode()).status().code == Code::CONTAINER_MALFORMED);
}
