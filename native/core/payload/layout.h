// Offsets and sizes in a payload (docs/format.md, section 3). Pure arithmetic.
#pragma once
#include <cstdint>

namespace mg::payload {

constexpr uint64_t kChunk = 16384, kTag = 16, kSealedChunk = kChunk + kTag;
constexpr uint64_t kSalt = 24, kCommitment = 32, kPrefix = kSalt + kCommitment;
constexpr uint64_t kBatchChunks = 64;                        // a unit of work: one node of the stored tree, 1 MiB
constexpr uint64_t kMaxPlaintext = (uint64_t(1) << 52) - 1;  // so that there are at most 2^38 chunks

constexpr uint64_t chunk_count(uint64_t plaintext) { return plaintext / kChunk + 1; }
constexpr uint64_t payload_size(uint64_t plaintext) { return kPrefix + plaintext + kTag * chunk_count(plaintext); }
constexpr uint64_t chunk_offset(uint64_t k) { return kPrefix + k * kSealedChunk; }
constexpr uint64_t plain_length(uint64_t plaintext, uint64_t k) {  // of chunk k
  return k + 1 < chunk_count(plaintext) ? kChunk : plaintext % kChunk;
}
constexpr uint64_t batch_count(uint64_t plaintext) { return (chunk_count(plaintext) + kBatchChunks - 1) / kBatchChunks; }
constexpr uint64_t round_up(uint64_t n) { return (n + kChunk - 1) / kChunk * kChunk; }

// The plaintext size a payload of this length carries; false if no size does.
constexpr bool plaintext_size(uint64_t payload, uint64_t* out) {
  if (payload < kPrefix + kTag) return false;
  uint64_t body = payload - kPrefix, rest = body % kSealedChunk;
  if (rest < kTag) return false;
  *out = body / kSealedChunk * kChunk + (rest - kTag);
  return true;
}

}  // namespace mg::payload
