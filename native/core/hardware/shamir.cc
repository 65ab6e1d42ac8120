#include "hardware/shamir.h"

#include "crypto/crypto.h"

namespace mg::hardware {
namespace {

// Without tables and branches, so that neither caches nor timing depend on the secret.
uint8_t multiply(uint8_t a, uint8_t b) {
  uint8_t product = 0;
  for (int bit = 0; bit < 8; bit++) {
    product ^= uint8_t(a & -(b & 1));
    a = uint8_t(a << 1) ^ uint8_t(0x1b & -(a >> 7));
    b >>= 1;
  }
  return product;
}

uint8_t invert(uint8_t a) {  // a^254
  uint8_t result = 1;
  for (int i = 0; i < 7; i++) {
    a = multiply(a, a);
    result = multiply(result, a);
  }
  return result;
}

}  // namespace

Result<Secret> split_secret(View secret, unsigned threshold, unsigned count) {
  if (threshold < 1 || threshold > count || count > 255 || secret.size == 0)
    return Status(Code::INTERNAL,
                  "no sharing of " + std::to_string(count) + " shares has threshold " + std::to_string(threshold));
  auto shares = Secret::allocate(secret.size * count);
  if (!shares.ok()) return shares.status();
  auto coefficients = Secret::allocate(threshold * secret.size);  // by degree, from 0: the secret comes first
  if (!coefficients.ok()) return coefficients.status();
  const Span polynomial = coefficients->reveal_mut();
  std::memcpy(polynomial.data, secret.data, secret.size);
  if (auto s = crypto::random_bytes(Span(polynomial.data + secret.size, polynomial.size - secret.size)); !s.ok()) return s;
  for (unsigned x = 1; x <= count; x++) {
    uint8_t* share = shares->reveal_mut().data + (x - 1) * secret.size;
    for (unsigned degree = threshold; degree-- > 0;)  // Horner
      for (size_t i = 0; i < secret.size; i++)
        share[i] = uint8_t(multiply(share[i], uint8_t(x)) ^ polynomial.data[degree * secret.size + i]);
  }
  return shares;
}

Result<Secret> join_shares(const std::vector<Share>& shares) {
  if (shares.empty()) return Status(Code::INTERNAL, "there are no shares to join");
  auto secret = Secret::allocate(shares[0].bytes.size);
  if (!secret.ok()) return secret.status();
  for (const Share& share : shares) {  // Lagrange at 0: minus is plus in this field
    uint8_t weight = 1;
    for (const Share& other : shares)
      if (other.x != share.x) weight = multiply(weight, multiply(other.x, invert(uint8_t(other.x ^ share.x))));
    for (size_t i = 0; i < secret->size(); i++) secret->reveal_mut().data[i] ^= multiply(weight, share.bytes[i]);
  }
  return secret;
}

}  // namespace mg::hardware
