// The scheme of the sources: IV(16) || AES-256-CBC with PKCS7, AES key = SHA-256(key string) (docs/legacy.md). Not authenticated:
// about 1 in 256 wrong keys, and as many cuts at a block boundary, give garbage instead of an error. Every failure that is detected
// is LEGACY_FAILED with the same words.
#pragma once
#include <memory>
#include <string>
#include "keys/keys.h"
#include "payload/io.h"
#include "payload/payload.h"
#include "payload/pool.h"

namespace mg::legacy {

constexpr size_t kIv = 16, kBlock = 16;
constexpr uint64_t kMaxSmall = 3072;

// --- derive.cc   Key strings are keys::Type::legacy; digests are written as base64 (with padding) or lower-case hex.
enum class Encoding : uint8_t { base64, hex };
using KeyString = std::shared_ptr<const keys::Key>;
Result<KeyString> key_string(View text);  // as it is: 1 to 4,096 bytes; also a fragment, whose SHA-256 is the archive's AES key
Result<KeyString> resource_key(View salt, Encoding encoding);                                    // SHA-384(salt)
Result<KeyString> hardware_hash(View fingerprint, View salt, Encoding encoding);                 // SHA-384("Azaion_" || fingerprint || salt)
Result<KeyString> download_key(View email, View password, View hardware_hash, View salt, Encoding encoding);  // SHA-384(all four)

// --- artifact.cc
// The plaintext of an artifact, readable at any offset from several threads. Opening reads IV and last block: LEGACY_FAILED for
// a length that no artifact has or padding that none ends with.
class Decrypted : public payload::Source {
 public:
  static Result<std::unique_ptr<Decrypted>> open(std::shared_ptr<payload::Source> artifact, KeyString key);
  uint64_t size() const override { return size_; }
  Status read(uint64_t offset, Span out) override;

 private:
  Decrypted() = default;
  std::shared_ptr<payload::Source> artifact_;
  Secret aes_key_;
  uint64_t size_ = 0;
};

uint64_t sealed_size(uint64_t plain);  // 16 + plain padded to the next whole block
// The artifact of `plain` to `out`, in order, 1 MiB at a time; control.progress counts plaintext bytes. A fresh random IV.
Status encrypt(payload::Source& plain, payload::Sink& out, KeyString key, const payload::Control& control);
// encrypt() with a given IV, for known-answer tests only
Status encrypt_with(View iv, payload::Source& plain, payload::Sink& out, KeyString key, const payload::Control& control);

// Bytes of the small part: min(3072, floor(ratio · size)).
uint64_t small_size(uint64_t artifact, double ratio);

}  // namespace mg::legacy
