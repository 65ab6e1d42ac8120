// C2SP chunked encryption v1, AES-256-GCM with SHA-512 (Cobblestone-256): https://c2sp.org/chunked-encryption
// Work goes in batches of 64 chunks that stay in the L2 cache.
#pragma once
#include "crypto/crypto.h"
#include "memory/region.h"
#include "payload/io.h"
#include "payload/layout.h"
#include "payload/tree.h"
#include "work/pool.h"

namespace mg::payload {

struct Keys {  // of one message
  Secret key;  // 32
  uint8_t base_nonce[12];
  uint8_t commitment[32];
};
Result<Keys> derive(View data_key, View salt, View context);  // data_key 32 bytes, salt 24

void chunk_nonce(const uint8_t base_nonce[12], uint64_t chunk, uint8_t nonce[12]);

// Encrypts batches [first_batch, first_batch + count) of a message: reads plaintext from `plain`, writes sealed chunks to
// `out` at their payload offsets, notes each batch's tree node. `prefix` (salt || commitment, 56 bytes) belongs to leaf 0
// and is not written.
// The caller must never encrypt a batch twice under the same keys.
Status encrypt_range(const Keys& keys, View prefix, uint64_t plaintext_size, uint64_t first_batch, uint64_t count, Source& plain,
                     Sink& out, Tree& tree, work::Pool& pool, const work::Control& control);

// Notes every node of the tree over the sealed chunks; needs no key. Offsets of `sealed` are payload offsets.
Status hash_all(View prefix, uint64_t plaintext_size, Source& sealed, Tree& tree, work::Pool& pool, const work::Control& control);

// The destination of decrypted chunks. at() gives the place for a whole chunk's plaintext (16 KiB, less for the last one); it is
// called from several threads, once per chunk, and not for an empty last chunk.
class Target {
 public:
  virtual ~Target() = default;
  virtual uint8_t* at(uint64_t chunk) = 0;
};

// The number of damaged batches that may be read once more.
class RereadBudget {
 public:
  explicit RereadBudget(unsigned most) : left_(most) {}
  bool take();

 private:
  std::atomic<unsigned> left_;
};

struct BatchChecks {
  const Tree* verified = nullptr;   // each batch is compared with it, whole, before any of it is decrypted: DIGEST_MISMATCH
  RereadBudget* rereads = nullptr;  // a damaged batch is read once more where the source can be renewed
};

// Decrypts chunks [first, first + count) from `sealed` (offsets are payload offsets) straight into `target`; with `tree`,
// also notes the node of every batch, for which the range must start and end on batch boundaries (or the last chunk).
// A chunk that is not authentic: INTEGRITY_FAILED; its place in the target is wiped. The caller releases nothing on failure.
Status decrypt_range(const Keys& keys, uint64_t plaintext_size, uint64_t first, uint64_t count, Source& sealed, Target& target,
                     Tree* tree, View prefix, work::Pool& pool, const work::Control& control, const BatchChecks& care = {});

// Random access to plaintext bytes [offset, offset + out.size): authenticates the last chunk once per Reader first, so a
// truncated payload is never taken for a whole one. With a verified tree also checks each touched batch against it, before
// any of it is decrypted: DIGEST_MISMATCH. On failure all of `out` is wiped.
class Reader {
 public:
  Reader(const Keys& keys, View prefix, uint64_t plaintext_size, Source& sealed, const Tree* verified)
      : keys_(keys), prefix_(prefix.copy()), plaintext_size_(plaintext_size), sealed_(sealed), tree_(verified) {}
  // `from`: where the payload is read this time, instead of `sealed`.
  Status read(uint64_t offset, Span out, work::Pool& pool, const work::Control& control, Source* from = nullptr);

 private:
  const Keys& keys_;
  Bytes prefix_;
  uint64_t plaintext_size_;
  Source& sealed_;
  const Tree* tree_;
  std::atomic<bool> end_checked_{false};
};

}  // namespace mg::payload
