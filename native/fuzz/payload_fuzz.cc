// Input: one byte of mode, then
//   even: a sealed payload, whole; odd: edits to a valid one.
// A payload that decrypts must be the bytes that encryption gives: the format has one encoding for each message, salt and key.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "payload/payload.h"

using namespace mg;
using namespace mg::payload;

namespace {

#define MUST(condition)                                       \
  do {                                                        \
    if (!(condition)) {                                       \
      std::fprintf(stderr, "%d: %s\n", __LINE__, #condition); \
      std::abort();                                           \
    }                                                         \
  } while (0)

const uint8_t kKey[32] = {7};
const View kContext(std::string_view("fuzz"));

struct State {
  work::Pool pool{0};  // all on the calling thread
  work::Control control;
  Bytes plain, valid;
  Tree tree{0};  // of the valid one
};

struct Flat : Target {
  Bytes bytes;
  explicit Flat(size_t size) : bytes(size) {}
  uint8_t* at(uint64_t chunk) override { return bytes.data() + chunk * kChunk; }
};

Bytes encrypt(State& state, View plain, View salt, Tree* noted = nullptr) {
  Result<Keys> keys = derive(View(kKey), salt, kContext);
  MUST(keys.ok());
  Bytes out(payload_size(plain.size));
  std::copy_n(salt.data, kSalt, out.data());
  std::copy_n(keys->commitment, kCommitment, out.data() + kSalt);
  MemorySource from(plain);
  MemorySink to{Span(out)};
  Tree tree(plain.size);
  MUST(encrypt_range(*keys, View(out).sub(0, kPrefix), plain.size, 0, batch_count(plain.size), from, to, tree, state.pool,
                     state.control)
           .ok());
  if (noted) *noted = std::move(tree);
  return out;
}

// Whether it decrypts where every batch is checked against the tree of the valid payload first.
bool decrypt_checked(State& state, View sealed) {
  Result<Keys> keys = derive(View(kKey), View(state.valid).sub(0, kSalt), kContext);
  MUST(keys.ok());
  const uint64_t size = state.plain.size();
  MemorySource from(sealed);
  Flat target(size);
  RereadBudget rereads(1);
  const BatchChecks checks{&state.tree, &rereads};
  Status status = decrypt_range(*keys, size, 0, chunk_count(size), from, target, nullptr, sealed.sub(0, kPrefix), state.pool,
                                state.control, checks);
  MUST(target.bytes == (status.ok() ? state.plain : Bytes(size)));
  return status.ok();
}

// As a reader does: size, commitment, chunks. With `trust_commitment` the second is left out, so that chunks are reached.
bool decrypt(State& state, View sealed, bool trust_commitment, Bytes* plain) {
  uint64_t size;
  if (!plaintext_size(sealed.size, &size)) return false;
  Result<Keys> keys = derive(View(kKey), sealed.sub(0, kSalt), kContext);
  MUST(keys.ok());
  if (!trust_commitment && !crypto::equal(View(keys->commitment), sealed.sub(kSalt, kCommitment))) return false;
  MemorySource from(sealed);
  Flat target(size);
  Tree tree(size);
  Status status =
      decrypt_range(*keys, size, 0, chunk_count(size), from, target, &tree, sealed.sub(0, kPrefix), state.pool, state.control);
  Reader reader(*keys, sealed.sub(0, kPrefix), size, from, nullptr);
  Bytes all(size);
  MUST(reader.read(0, Span(all), state.pool, state.control).ok() == status.ok());
  if (!status.ok()) {
    MUST(std::all_of(all.begin(), all.end(), [](uint8_t b) { return b == 0; }));
    return false;
  }
  MUST(all == target.bytes);
  *plain = std::move(target.bytes);
  return true;
}

// Edits of 4 bytes: what, where (in 16 bits of the length), with which byte.
Bytes edit(const Bytes& valid, View edits) {
  Bytes bytes = valid;
  for (; edits.size >= 4 && !bytes.empty(); edits = edits.from(4)) {
    const size_t at = size_t(read_be<uint16_t>(edits.data + 1)) * bytes.size() / 65536;
    const uint8_t value = edits[3];
    const size_t a = chunk_offset(value % 4), b = chunk_offset(value / 4 % 4);
    switch (edits[0] % 7) {
      case 0: bytes[at] ^= value; break;
      case 1: bytes.resize(at); break;
      case 2: bytes.insert(bytes.begin() + long(at), value); break;
      case 3: bytes.erase(bytes.begin() + long(at)); break;
      case 4: bytes.insert(bytes.end(), value, uint8_t(at)); break;
      case 5:  // one chunk over another
        if (std::max(a, b) + kSealedChunk <= bytes.size()) std::memmove(bytes.data() + b, bytes.data() + a, kSealedChunk);
        break;
      case 6:  // a chunk dropped
        if (a + kSealedChunk <= bytes.size()) bytes.erase(bytes.begin() + long(a), bytes.begin() + long(a + kSealedChunk));
        break;
    }
  }
  return bytes;
}

State& state() {
  static State* made = [] {
    State* s = new State;
    s->plain.resize(2 * kChunk + 100);
    for (size_t i = 0; i < s->plain.size(); i++) s->plain[i] = uint8_t(i * 31 + i / 256);
    const uint8_t salt[kSalt] = {1, 2, 3};
    s->valid = encrypt(*s, View(s->plain), View(salt), &s->tree);
    return s;
  }();
  return *made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > 70'000) return 0;
  State& s = state();
  const View input = View(data, size).from(1);
  Bytes plain;
  if (data[0] % 2 == 0) {
    if (decrypt(s, input, false, &plain)) MUST(equal(View(encrypt(s, View(plain), input.sub(0, kSalt))), input));
    return 0;
  }
  const Bytes edited = edit(s.valid, input);
  const bool same = edited == s.valid;
  MUST(decrypt(s, View(edited), false, &plain) == same);
  if (same) MUST(plain == s.plain);
  if (edited.size() == s.valid.size()) MUST(decrypt_checked(s, View(edited)) == same);
  if (edited.size() >= kPrefix && !same) {
    // A changed commitment alone leaves the chunks authentic; any other change does not.
    const bool rest = edited.size() == s.valid.size() && equal(View(edited).sub(0, kSalt), View(s.valid).sub(0, kSalt)) &&
                      equal(View(edited).from(kPrefix), View(s.valid).from(kPrefix));
    MUST(decrypt(s, View(edited), true, &plain) == rest);
  }
  return 0;
}
