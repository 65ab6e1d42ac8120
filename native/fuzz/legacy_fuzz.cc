// Input: an offset (2 bytes), a length (2 bytes), then an artifact of the legacy profile.
// An artifact that decrypts must be the bytes that encryption gives under the same IV, and a read at any offset gives a part of its
// plaintext. No byte beyond the artifact is read.
#include <algorithm>
#include <memory>

#include "legacy/legacy.h"
#include "require.h"

using namespace mg;

namespace {

const uint8_t kKey[32] = {7};

Bytes encrypt(View iv, View plain) {
  payload::MemorySource from(plain);
  Bytes out(size_t(legacy::sealed_size(plain.size)));
  payload::MemorySink to{Span(out)};
  require(legacy::encrypt_with(View(kKey), iv, from, to, work::Control()).ok(), "a plaintext can be encrypted");
  return out;
}

bool is_padding(View block) {
  const uint8_t n = block[15];
  return n >= 1 && n <= 16 && std::all_of(block.end() - n, block.end(), [n](uint8_t b) { return b == n; });
}

// The expected result by the length and the last block, decrypted without the code under test.
bool should_open(View artifact) {
  if (artifact.size < 32 || artifact.size % 16 != 0) return false;
  uint8_t last[16];
  const View end = artifact.from(artifact.size - 32);
  require(crypto::cbc_decrypt(View(kKey), end.sub(0, 16), end.from(16), Span(last)).ok(), "a block can be decrypted");
  return is_padding(View(last));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 4 || size > 70'000) return 0;
  const uint64_t at = read_be<uint16_t>(data), wanted = read_be<uint16_t>(data + 2);
  // An exact copy, so that a read beyond its end is seen.
  const Bytes artifact = View(data, size).from(4).copy();
  auto key = Secret::copy(View(kKey));
  require(key.ok(), "there is memory");
  auto opened = legacy::Decrypted::open_with(std::move(*key), std::make_shared<payload::MemorySource>(View(artifact)));
  require(opened.ok() == should_open(View(artifact)), "length and padding decide, nothing else");
  if (!opened.ok()) {
    require(opened.status().code == Code::LEGACY_FAILED, "one code for every failure");
    return 0;
  }
  legacy::Decrypted& from = **opened;
  Bytes all(size_t(from.size()));
  require(from.read(0, Span(all)).ok(), "what opens can be read");
  require(encrypt(View(artifact).sub(0, legacy::kIv), View(all)) == artifact, "what decrypts encrypts to the same bytes");

  Bytes part(static_cast<size_t>(wanted));
  const bool inside = at + wanted <= all.size();
  require(from.read(at, Span(part)).ok() == inside, "only what lies within the plaintext can be read");
  if (inside) require(equal(View(part), View(all).sub(size_t(at), part.size())), "a part is a part of the whole");
  return 0;
}
