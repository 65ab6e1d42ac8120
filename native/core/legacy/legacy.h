// The scheme of the sources: IV(16) || AES-256-CBC with PKCS7, AES key = SHA-256(key string) (docs/legacy.md). Not authenticated:
// about 1 in 256 wrong keys, and as many cuts at a block boundary, give garbage instead of an error. Every failure that is detected
// is LEGACY_FAILED with the same words.
#pragma once
#include <memory>

#include "hardware/machine.h"
#include "keys/keys.h"
#include "payload/io.h"
#include "payload/payload.h"
#include "work/pool.h"

namespace mg::legacy {

constexpr size_t kIv = 16, kBlock = 16;
constexpr uint64_t kMaxSmall = 3072;

// --- derive.cc   Key strings are keys::Type::legacy; digests are written as base64 (with padding) or lower-case hex.
enum class Encoding : uint8_t { base64, hex };
using KeyString = std::shared_ptr<const keys::Key>;
Result<KeyString> key_string(View text);  // as it is: 1 to 4,096 bytes; also a fragment, whose SHA-256 is the archive's AES key
Result<KeyString> resource_key(View salt, Encoding encoding);  // SHA-384(salt)
// SHA-384("Azaion_" || fingerprint || salt)
Result<KeyString> hardware_hash(View fingerprint, View salt, Encoding encoding);
// SHA-384(email || password || hardware_hash || salt), the hash as its key string
Result<KeyString> download_key(View email, View password, View hardware_hash, View salt, Encoding encoding);
// "CPU: C. GPU: G. Memory: M. DriveSerial: D", each the factor's canonical value (docs/format.md, section 12), nothing where it is
// absent. HARDWARE_UNREADABLE where all four are.
Result<Secret> fingerprint_text(const hardware::Machine& machine);

// --- artifact.cc   A key of another type than legacy is KEY_TYPE_WRONG.
// The plaintext of an artifact, readable at any offset from several threads. Opening reads the last two blocks: LEGACY_FAILED
// for a length that no artifact has or padding that none ends with.
class Decrypted : public payload::Source {
 public:
  static Result<std::unique_ptr<Decrypted>> open(std::shared_ptr<payload::Source> artifact, KeyString key);
  // open() with an AES key, for known-answer tests
  static Result<std::unique_ptr<Decrypted>> open_with(Secret aes_key, std::shared_ptr<payload::Source> artifact);
  uint64_t size() const override { return size_; }
  Status read(uint64_t offset, Span out) override;
  Status check_unchanged() override { return artifact_->check_unchanged(); }

 private:
  Decrypted(Secret aes_key, std::shared_ptr<payload::Source> artifact)
      : aes_key_(std::move(aes_key)), artifact_(std::move(artifact)) {}
  const Secret aes_key_;
  const std::shared_ptr<payload::Source> artifact_;
  uint64_t size_ = 0;
};

// All of it, on several threads; out.size == from.size(). SOURCE_CHANGED where the artifact changed meanwhile.
Status load(Decrypted& from, Span out, work::Pool& pool, const work::Control& control);

// SHA-256 of the plaintext, which is read 1 MiB at a time into guarded memory.
Result<crypto::Sha256> sha256(Decrypted& from, const work::Control& control);

uint64_t sealed_size(uint64_t plain);  // 16 + plain padded to the next whole block
// The artifact of `plain` to `out`, in order, 1 MiB at a time, under a fresh random IV. SOURCE_CHANGED as above.
Status encrypt(payload::Source& plain, payload::Sink& out, KeyString key, const work::Control& control);
// encrypt() with an AES key and an IV, for known-answer tests
Status encrypt_with(View aes_key, View iv, payload::Source& plain, payload::Sink& out, const work::Control& control);

// Bytes of the small part: min(3072, floor(ratio · artifact)).
uint64_t small_size(uint64_t artifact, double ratio);

}  // namespace mg::legacy
