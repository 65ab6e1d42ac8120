// The blob that is stored beside a value that a TPM seals (docs/format.md, section 12, "TPM value"). All of it is public.
#pragma once
#include "bytes.h"
#include "status.h"

namespace mg::hardware::tpm {

constexpr size_t kPolicy = 32;  // a SHA-256 policy digest

struct Blob {
  uint32_t pcrs = 0;   // bit i: PCR i; 1 to 2^24 - 1
  Bytes parent;        // name of the primary key
  Bytes public_area;   // TPM2B_PUBLIC, with its size
  Bytes private_area;  // TPM2B_PRIVATE, with its size

  Bytes encode() const;
  View policy() const;  // of a parsed blob: the policy in its public area
};

// Strict: a blob that parses encodes to the same bytes. KEY_INVALID.
Result<Blob> parse_blob(View bytes);

bool is_pcrs(uint32_t pcrs);
// TPM2B_PUBLIC of the object to create. The created object has the same, except that `unique` then holds 32 bytes.
Bytes sealed_template(View policy);

}  // namespace mg::hardware::tpm
