#include "hardware/helper.h"

#include <doctest/doctest.h>

#include <set>

#include "hardware/tpm.h"
#include "support/seed.h"

using namespace mg;
using namespace mg::hardware;

namespace {

Helper helper_of(std::vector<std::pair<Kind, unsigned>> factors, unsigned threshold, std::set<Kind> required = {}) {
  Helper helper;
  helper.threshold = uint8_t(threshold);
  for (const auto& [kind, weight] : factors)
    helper.factors.push_back({kind, required.count(kind) > 0, uint8_t(weight), {}, Bytes(weight * kShare, uint8_t(kind))});
  return helper;
}

bool parses(const Bytes& bytes) {
  size_t used = 0;
  return parse_helper(bytes, &used).ok() && used == bytes.size();
}

const std::vector<std::pair<Kind, unsigned>> kPlain = {{Kind::cpu, 1}, {Kind::gpu, 1}, {Kind::memory, 1}, {Kind::drive, 1}};

}  // namespace

TEST_CASE("helper data encode to the bytes of docs/format.md and parse back") {
  const Helper helper = helper_of({{Kind::cpu, 2}, {Kind::drive, 1}}, 2, {Kind::drive});
  const Bytes bytes = helper.encode();
  CHECK(bytes.size() == 8 + 32 + 2 + (19 + 64) + (19 + 32) + 2);
  CHECK(bytes[40] == 2);   // threshold
  CHECK(bytes[41] == 2);   // factors
  CHECK(bytes[42] == 1);   // cpu
  CHECK(bytes[43] == 0);   // not required
  CHECK(bytes[44] == 2);   // weight
  CHECK(bytes[125] == 4);  // drive
  CHECK(bytes[126] == 1);  // required
  size_t used = 0;
  auto parsed = parse_helper(bytes, &used);
  REQUIRE(parsed.ok());
  CHECK(used == bytes.size());
  CHECK(parsed->encode() == bytes);
}

TEST_CASE("helper data that no writer makes are refused") {
  const Bytes good = helper_of(kPlain, 3, {Kind::drive}).encode();
  REQUIRE(parses(good));
  const auto with = [&](size_t at, uint8_t value) {
    Bytes bytes = good;
    bytes[at] = value;
    return bytes;
  };
  CHECK_FALSE(parses(with(40, 0)));  // threshold 0
  CHECK_FALSE(parses(with(40, 5)));  // threshold above the weights
  CHECK_FALSE(parses(with(41, 0)));  // no factor
  CHECK_FALSE(parses(with(41, 7)));  // too many
  CHECK_FALSE(parses(with(42, 0)));  // unknown kind
  CHECK_FALSE(parses(with(42, 7)));
  CHECK_FALSE(parses(with(42, 2)));  // the same kind twice
  CHECK_FALSE(parses(with(42, 3)));  // out of order
  CHECK_FALSE(parses(with(43, 2)));  // unknown flag
  CHECK_FALSE(parses(with(44, 0)));  // weight 0
  CHECK_FALSE(parses(with(44, 17)));
  CHECK_FALSE(parses(with(good.size() - 1, 1)));  // a TPM blob that is not there
  for (size_t size = 0; size < good.size(); size++) CHECK_FALSE(parses(Bytes(good.begin(), good.begin() + std::ptrdiff_t(size))));
}

TEST_CASE("helper data that parse encode to the same bytes") {
  std::mt19937_64 random(test::test_seed());
  const Bytes good = helper_of(kPlain, 3, {Kind::drive}).encode();
  unsigned parsed = 0;
  for (unsigned i = 0; i < 20000; i++) {
    Bytes bytes = good;
    for (unsigned changes = 1 + unsigned(random() % 3); changes > 0; changes--)
      bytes[random() % bytes.size()] = uint8_t(random());
    size_t used = 0;
    auto helper = parse_helper(bytes, &used);
    if (!helper.ok()) continue;
    parsed++;
    REQUIRE(helper->encode() == Bytes(bytes.begin(), bytes.begin() + std::ptrdiff_t(used)));
  }
  CHECK(parsed > 1000);
}

TEST_CASE("openings are the smallest sets that hold the required factors and reach the threshold") {
  CHECK(helper_of(kPlain, 4).openings() == std::vector<uint32_t>{0b1111});
  CHECK(helper_of(kPlain, 1).openings() == std::vector<uint32_t>{0b0001, 0b0010, 0b0100, 0b1000});
  CHECK(helper_of(kPlain, 3, {Kind::drive}).openings() == std::vector<uint32_t>{0b1011, 0b1101, 0b1110});
  CHECK(helper_of(kPlain, 1, {Kind::drive}).openings() == std::vector<uint32_t>{0b1000});
  CHECK(helper_of(kPlain, 1, {Kind::cpu, Kind::drive}).openings() == std::vector<uint32_t>{0b1001});
  CHECK(helper_of({{Kind::cpu, 1}, {Kind::gpu, 1}, {Kind::drive, 3}}, 3).openings() == std::vector<uint32_t>{0b100});
  CHECK(helper_of({{Kind::cpu, 1}, {Kind::gpu, 1}, {Kind::drive, 2}}, 3).openings() == std::vector<uint32_t>{0b101, 0b110});
}

TEST_CASE("no helper data have more than 20 openings") {
  for (unsigned threshold = 1; threshold <= 12; threshold++) {
    const Helper helper = helper_of(
        {{Kind::cpu, 2}, {Kind::gpu, 2}, {Kind::memory, 2}, {Kind::drive, 2}, {Kind::uuid, 2}, {Kind::tpm, 2}}, threshold);
    CHECK(helper.openings().size() <= 20);
  }
}
