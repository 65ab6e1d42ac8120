// Keys and ids to test the remote room with: each a run of counting bytes, so that a second implementation can be given the same.
#pragma once
#include <doctest/doctest.h>

#include "keys/keys.h"
#include "support/vectors.h"

namespace remote_test {

using namespace mg;
using test::unhex;
using KeyPtr = std::shared_ptr<const keys::Key>;

inline Bytes counting(uint8_t from, size_t size) {
  Bytes out(size);
  for (size_t i = 0; i < size; i++) out[i] = uint8_t(from + i);
  return out;
}

inline KeyPtr key_of(keys::Type type, View bytes) {
  auto key = keys::Key::from_bytes(type, bytes);
  REQUIRE_MESSAGE(key.ok(), key.status().what);
  return *key;
}
inline KeyPtr new_key(keys::Type type) {
  auto key = keys::Key::generate(type);
  REQUIRE(key.ok());
  return *key;
}

const Bytes kSomeServer = counting(0x00, 16), kSomeChallenge = counting(0x20, 32), kSomeSubject = counting(0x10, 16);
inline KeyPtr device() { return key_of(keys::Type::device, counting(0x40, 64)); }
inline KeyPtr signing() { return key_of(keys::Type::signing, counting(0x60, 32)); }  // the device's Ed25519 half
inline KeyPtr field_key() { return key_of(keys::Type::master, counting(0x80, 32)); }
inline View x25519(const KeyPtr& key) { return View(key->x25519_public()); }

// Calls `refused` with every byte of `sealed` changed in turn, every prefix of it, and one byte more.
template <class Refused>
void each_damage(View sealed, const Refused& refused) {
  for (size_t at = 0; at < sealed.size; at++) {
    Bytes changed = sealed.copy();
    changed[at] ^= uint8_t(1 << at % 8);
    CAPTURE(at);
    refused(View(changed));
    refused(sealed.sub(0, at));
  }
  Bytes longer = sealed.copy();
  longer.push_back(0);
  refused(View(longer));
}

}  // namespace remote_test
