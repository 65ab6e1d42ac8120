// Shamir's secret sharing, byte by byte over GF(2^8) with x^8+x^4+x^3+x+1 (Shamir, "How to share a secret", 1979).
#pragma once
#include <vector>

#include "memory/secret.h"
#include "status.h"

namespace mg::hardware {

struct Share {
  uint8_t x;   // 1 … 255, each once
  View bytes;  // as long as the secret
};

// Shares at x = 1 … count, one after another in the Secret that is returned. 1 <= threshold <= count <= 255.
Result<Secret> split_secret(View secret, unsigned threshold, unsigned count);
// The secret, from as many shares as the threshold. Wrong shares give a wrong secret, without an error.
Result<Secret> join_shares(const std::vector<Share>& shares);

}  // namespace mg::hardware
