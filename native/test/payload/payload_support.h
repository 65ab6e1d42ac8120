// Messages to test the payload room with.
#pragma once
#include <doctest/doctest.h>

#include <cstdlib>
#include <random>

#include "payload/payload.h"
#include "support/seed.h"

namespace payload_test {

using namespace mg;
using namespace mg::payload;
using mg::test::test_seed;

inline Bytes noise(size_t size, uint64_t seed) {
  std::mt19937_64 generator(seed);
  Bytes out(size);
  for (size_t i = 0; i < size; i += 8) {
    uint64_t word = generator();
    std::memcpy(out.data() + i, &word, std::min<size_t>(8, size - i));
  }
  return out;
}

struct FlatTarget : Target {  // chunks side by side
  Bytes bytes;
  explicit FlatTarget(size_t size) : bytes(size, 0xee) {}
  uint8_t* at(uint64_t chunk) override { return bytes.data() + chunk * kChunk; }
};

struct Message {
  Bytes plain;
  Keys keys;
  Bytes sealed;  // prefix and chunks
  Tree tree{0};
  View prefix() const { return View(sealed).sub(0, kPrefix); }
};

inline Message seal(Bytes plain, work::Pool& pool, const work::Control& control, uint64_t seed = 1) {
  Message message;
  message.plain = std::move(plain);
  const Bytes key = noise(32, seed), salt = noise(kSalt, seed + 1);
  Result<Keys> keys = derive(View(key), View(salt), View(std::string_view("context")));
  REQUIRE(keys.ok());
  message.keys = std::move(*keys);
  message.sealed.resize(payload_size(message.plain.size()));
  std::memcpy(message.sealed.data(), salt.data(), kSalt);
  std::memcpy(message.sealed.data() + kSalt, message.keys.commitment, kCommitment);
  message.tree = Tree(message.plain.size());
  MemorySource from{View(message.plain)};
  MemorySink to{Span(message.sealed)};
  const uint64_t size = message.plain.size();
  Status status =
      encrypt_range(message.keys, message.prefix(), size, 0, batch_count(size), from, to, message.tree, pool, control);
  REQUIRE_MESSAGE(status.ok(), status.what);
  return message;
}

struct Opening {
  Status status;
  Bytes plain;  // as released: empty unless status is ok
};

// Reads a whole payload: size, then chunks.
inline Opening open_all(const Keys& keys, View sealed, Tree* tree, work::Pool& pool, const work::Control& control) {
  uint64_t size;
  if (!plaintext_size(sealed.size, &size)) return {Status(Code::CONTAINER_TRUNCATED, "no such size"), {}};
  FlatTarget target(size);
  MemorySource from(sealed);
  Status status = decrypt_range(keys, size, 0, chunk_count(size), from, target, tree, sealed.sub(0, kPrefix), pool, control);
  return {status, status.ok() ? std::move(target.bytes) : Bytes()};
}

}  // namespace payload_test
