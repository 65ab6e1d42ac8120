// Helper data: the public part of a binding, stored beside the secret that enough of the machine's factors recover (docs/format.md,
// section 12). Parsing is strict: helper data that parse encode to the same bytes.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "hardware/machine.h"

namespace mg::hardware {

constexpr size_t kMaxFactors = 6, kMaxWeight = 16, kShare = 32, kSalt = 16;
using SaltsId = std::array<uint8_t, 8>;

struct BoundFactor {
  Kind kind;
  bool required = false;
  uint8_t weight = 1;  // shares
  std::array<uint8_t, kSalt> salt{};
  Bytes shares;  // weight × 32, masked
};

struct Helper {
  SaltsId salts_id{};
  std::array<uint8_t, 32> salt{};
  uint8_t threshold = 0;             // shares that a set of factors needs
  std::vector<BoundFactor> factors;  // ascending kinds
  Bytes tpm;                         // a blob of the TPM room, or empty

  Bytes encode() const;
  bool counts(Kind kind) const;
  // The smallest sets of factors that open (bit i: factors[i]), fewest members first. Each holds all required factors, its weights reach
  // the threshold, and without any optional member they would not. At most 20 sets, by kMaxFactors.
  std::vector<uint32_t> openings() const;
};

// Helper data at the start of `bytes`; `used` is its length. MACHINE_FILE_INVALID.
Result<Helper> parse_helper(View bytes, size_t* used);

}  // namespace mg::hardware
