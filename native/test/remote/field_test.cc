// Personal data under a key for each subject (docs/server-protocol.md, sections 6 and 7). Known answers: python3-cryptography.
#include "remote/field.h"

#include "remote/remote_support.h"

using namespace remote_test;
using namespace mg::remote;

namespace {

// K_s = a0 a1 … bf for the subject 10 11 … 1f; a box of "a@b.example" for seq 7; both with the nonce 00 01 … 0b
const char* const kWrapped =
    "000102030405060708090a0b02019cead63c99c962a444dc53bae678e5a932942f5862d75f7379058b64ef8268a39573"
    "377449456237e1673f0e3ca1";
const char* const kBox = "000102030405060708090a0b5facab59986adb98be022acd81277fc74060b0bb1414ac13966180";
const Bytes kSeq = {0, 0, 0, 0, 0, 0, 0, 7};

Code open(const KeyPtr& key, View wrapped, View subject, View aad, View box) {
  return open_box(*key, wrapped, subject, aad, box).status().code;
}
Code seal(const KeyPtr& key, View wrapped, View subject) {
  return seal_box(*key, wrapped, subject, kSeq, View("x")).status().code;
}

}  // namespace

TEST_CASE("personal data: known answers") {
  auto plain = open_box(*field_key(), unhex(kWrapped), kSomeSubject, kSeq, unhex(kBox));
  REQUIRE_MESSAGE(plain.ok(), plain.status().what);
  CHECK(View(plain->data(), plain->size()).text() == "a@b.example");
  for (const auto& [use, expected] :
       {std::pair(MacUse::index, "adbd750fb9ab0a33461942e6cebabb51f4aae46d78f7115b4bfbbeddc2fa20ea"),
        std::pair(MacUse::url, "20db32ddb62046fa991dc4fa942df79a08d98641471ef30487a77aefa4b7cc8a")}) {
    auto mac = field_mac(*field_key(), use, View("message"));
    REQUIRE(mac.ok());
    CHECK(test::hex(View(*mac)) == expected);
  }
}

TEST_CASE("a box opens with its own key, subject and aad, and not changed") {
  const auto key = field_key();
  auto wrapped = new_subject_key(*key, kSomeSubject), other = new_subject_key(*key, kSomeSubject);
  REQUIRE(wrapped.ok());
  REQUIRE(other.ok());
  CHECK(wrapped->size() == kWrappedKey);
  CHECK(*wrapped != *other);
  auto box = seal_box(*key, *wrapped, kSomeSubject, kSeq, View("personal")),
       again = seal_box(*key, *wrapped, kSomeSubject, kSeq, View("personal"));
  auto empty = seal_box(*key, *wrapped, kSomeSubject, kSeq, View());
  REQUIRE(box.ok());
  REQUIRE(again.ok());
  REQUIRE(empty.ok());
  CHECK(*box != *again);
  CHECK(empty->size() == kGcmOverhead);
  auto plain = open_box(*key, *wrapped, kSomeSubject, kSeq, *box), nothing = open_box(*key, *wrapped, kSomeSubject, kSeq, *empty);
  REQUIRE(plain.ok());
  REQUIRE(nothing.ok());
  CHECK(View(plain->data(), plain->size()).text() == "personal");
  CHECK(nothing->size() == 0);

  each_damage(*box, [&](View bytes) { CHECK(open(key, *wrapped, kSomeSubject, kSeq, bytes) == Code::INTEGRITY_FAILED); });
  each_damage(*empty, [&](View bytes) { CHECK(open(key, *wrapped, kSomeSubject, kSeq, bytes) == Code::INTEGRITY_FAILED); });
  each_damage(*wrapped, [&](View bytes) {
    CHECK(open(key, bytes, kSomeSubject, kSeq, *box) == Code::INTEGRITY_FAILED);
    CHECK(seal(key, bytes, kSomeSubject) == Code::INTEGRITY_FAILED);
  });
  CHECK(open(key, *other, kSomeSubject, kSeq, *box) == Code::INTEGRITY_FAILED);
  CHECK(open(key, *wrapped, kSomeServer, kSeq, *box) == Code::INTEGRITY_FAILED);
  CHECK(open(key, *wrapped, kSomeSubject, View(), *box) == Code::INTEGRITY_FAILED);
  CHECK(open(new_key(keys::Type::master), *wrapped, kSomeSubject, kSeq, *box) == Code::INTEGRITY_FAILED);
}

TEST_CASE("personal data take a master key and a subject of 16 bytes") {
  const Bytes wrapped = unhex(kWrapped), box = unhex(kBox);
  for (const KeyPtr& key : {device(), signing(), key_of(keys::Type::legacy, counting(1, 32))}) {
    CHECK(new_subject_key(*key, kSomeSubject).status().code == Code::KEY_TYPE_WRONG);
    CHECK(seal(key, wrapped, kSomeSubject) == Code::KEY_TYPE_WRONG);
    CHECK(open(key, wrapped, kSomeSubject, kSeq, box) == Code::KEY_TYPE_WRONG);
    CHECK(field_mac(*key, MacUse::url, View()).status().code == Code::KEY_TYPE_WRONG);
  }
  for (const size_t size : {0, 15, 17}) {
    CHECK(new_subject_key(*field_key(), Bytes(size)).status().code == Code::INVALID_ARGUMENT);
    CHECK(seal(field_key(), wrapped, Bytes(size)) == Code::INVALID_ARGUMENT);
    CHECK(open(field_key(), wrapped, Bytes(size), kSeq, box) == Code::INVALID_ARGUMENT);
  }
}
