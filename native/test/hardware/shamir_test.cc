#include "hardware/shamir.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "support/seed.h"

using namespace mg;
using namespace mg::hardware;

TEST_CASE("any threshold of shares gives the secret, in any order, and one less gives another") {
  std::mt19937_64 random(test::test_seed());
  for (unsigned count = 1; count <= 7; count++) {
    for (unsigned threshold = 1; threshold <= count; threshold++) {
      Bytes secret(32);
      for (auto& byte : secret) byte = uint8_t(random());
      auto shares = split_secret(secret, threshold, count);
      REQUIRE(shares.ok());
      for (uint32_t set = 1; set < 1u << count; set++) {
        std::vector<Share> some;
        for (unsigned i = 0; i < count; i++)
          if (set >> i & 1) some.push_back({uint8_t(i + 1), shares->reveal().sub(i * 32, 32)});
        std::shuffle(some.begin(), some.end(), random);
        auto joined = join_shares(some);
        REQUIRE(joined.ok());
        CHECK_MESSAGE(equal(joined->reveal(), secret) == (some.size() >= threshold), count, " shares, threshold ", threshold,
                      ", ", some.size(), " given");
      }
    }
  }
}

TEST_CASE("joining interpolates over GF(2^8) with the AES polynomial") {
  // f(x) = 0x57 + 0x83 x: 0x83 · 2 = 0x1d, 0x83 · 3 = 0x9e in that field (FIPS 197 multiplies 0x57 · 0x83 = 0xc1 in it too).
  const uint8_t at[4] = {0x57, 0x57 ^ 0x83, 0x57 ^ 0x1d, 0x57 ^ 0x9e};
  for (uint8_t x = 1; x <= 3; x++) {
    const auto y = uint8_t(x % 3 + 1);
    auto joined = join_shares({{x, View(at + x, 1)}, {y, View(at + y, 1)}});
    REQUIRE(joined.ok());
    CHECK(joined->reveal()[0] == at[0]);
  }
}

TEST_CASE("impossible numbers of shares are refused") {
  const Bytes secret(32);
  CHECK_FALSE(split_secret(secret, 0, 3).ok());
  CHECK_FALSE(split_secret(secret, 4, 3).ok());
  CHECK_FALSE(split_secret(secret, 1, 256).ok());
  CHECK_FALSE(join_shares({}).ok());
}
