// The machines that open a binding to one of them (docs/format.md, section 12). Each opening costs several runs of scrypt.
#include "hardware/binding.h"

#include <climits>
#include <cstdlib>

#include "crypto/hpke.h"
#include "hardware/shamir.h"
#include "salts/salts.h"
#include "support/machines.h"
#include "support/scale.h"
#include "support/seed.h"
#include "text/text.h"

using namespace mg;
using namespace mg::hardware;
using test::kFour;
using test::machine_of;
using test::Values;

namespace {

NewBinding bind_to(const Values& values, const Policy& policy = {}) {
  auto bound = bind(machine_of(values), policy);
  REQUIRE_MESSAGE(bound.ok(), bound.status().what);
  return std::move(*bound);
}

Code opens(const Binding& binding, const Values& values, View secret = View()) {
  auto opened = hardware::open(binding.helper, View(binding.box), machine_of(values));
  if (!opened.ok()) return opened.status().code;
  if (secret.size) CHECK(equal(opened->reveal(), secret));
  return Code::OK;
}

Values changed(Values values, uint32_t which) {
  unsigned i = 0;
  for (auto& [kind, value] : values)
    if (which >> i++ & 1) value += "x";
  return values;
}

int bits(uint32_t set) { return __builtin_popcount(set); }

// Every set of changed factors (scaled down: each factor and each pair) opens exactly as `allowed` says of the unchanged ones.
template <class Allowed>
void check_policy(const Values& values, const Policy& policy, Allowed allowed) {
  const NewBinding bound = bind_to(values, policy);
  const uint32_t all = (1u << values.size()) - 1;
  for (uint32_t which = 0; which <= all; which++) {
    if (test::scale() < 1 && bits(which) > 2) continue;
    const Code code = opens(bound.binding, changed(values, which), bound.secret.reveal());
    CHECK_MESSAGE(code == (allowed(all & ~which) ? Code::OK : Code::HARDWARE_MISMATCH), "changed factors: ", which);
  }
}

constexpr uint32_t kCpu = 1, kGpu = 2, kMemory = 4, kDrive = 8;

}  // namespace

TEST_CASE("by default the drive and all but one factor open") {
  check_policy(kFour, {}, [](uint32_t same) { return (same & kDrive) && bits(same) >= 3; });
}

TEST_CASE("a policy opens for exactly the sets that it allows") {
  Policy policy;
  SUBCASE("all four") {
    policy.at_least = 4;
    check_policy(kFour, policy, [](uint32_t same) { return same == 15; });
  }
  SUBCASE("any one, with the drive required") {
    policy.at_least = 1;
    policy.require = {Kind::drive};
    check_policy(kFour, policy, [](uint32_t same) { return (same & kDrive) != 0; });
  }
  SUBCASE("any two, with none required") {
    policy.at_least = 2;
    policy.require = std::vector<Kind>();
    check_policy(kFour, policy, [](uint32_t same) { return bits(same) >= 2; });
  }
  SUBCASE("two, the processor among them") {
    policy.at_least = 2;
    policy.require = {Kind::cpu};
    check_policy(kFour, policy, [](uint32_t same) { return (same & kCpu) && bits(same) >= 2; });
  }
  SUBCASE("weights: the drive counts twice and memory is required") {
    policy.at_least = 3;
    policy.require = {Kind::memory};
    policy.weights = {{Kind::drive, 2}};
    check_policy(kFour, policy, [](uint32_t same) { return (same & kMemory) && bits(same) + bits(same & kDrive) >= 3; });
  }
  SUBCASE("only the graphics card and the processor count") {
    policy.factors = {Kind::cpu, Kind::gpu};
    check_policy(kFour, policy, [](uint32_t same) { return (same & (kCpu | kGpu)) == (kCpu | kGpu); });
  }
}

TEST_CASE("a factor that cannot be read counts as changed, and none at all is an error of its own") {
  const NewBinding bound = bind_to(kFour);
  Values fewer = kFour;
  fewer.erase(Kind::gpu);
  CHECK(opens(bound.binding, fewer) == Code::OK);
  fewer.erase(Kind::memory);
  CHECK(opens(bound.binding, fewer) == Code::HARDWARE_MISMATCH);
  CHECK(opens(bound.binding, {}) == Code::HARDWARE_UNREADABLE);
}

TEST_CASE("a policy that this machine cannot meet is refused") {
  const auto refused = [](const Values& values, const Policy& policy) { return bind(machine_of(values), policy).status().code; };
  Policy policy;
  CHECK(refused({}, policy) == Code::HARDWARE_UNREADABLE);
  policy.at_least = 5;
  CHECK(refused(kFour, policy) == Code::INVALID_ARGUMENT);
  policy = {};
  policy.require = {Kind::uuid};
  CHECK(refused(kFour, policy) == Code::HARDWARE_UNREADABLE);
  policy = {};
  policy.weights = {{Kind::cpu, 17}};
  CHECK(refused(kFour, policy) == Code::INVALID_ARGUMENT);
  policy.weights = {{Kind::cpu, 0}};
  CHECK(refused(kFour, policy) == Code::INVALID_ARGUMENT);
  policy.weights = {{Kind::uuid, 2}};
  CHECK(refused(kFour, policy) == Code::INVALID_ARGUMENT);
}

TEST_CASE("the bounds of weights and of the weight that opens") {
  Values six = kFour;
  six[Kind::uuid] = "7a3e5d20-91c4-11ec-8f6b-04421a2f9c11";
  six[Kind::tpm] = std::string(68, 'a');
  Policy policy;
  policy.factors = {Kind::cpu, Kind::gpu, Kind::memory, Kind::drive, Kind::uuid, Kind::tpm};
  policy.require = std::vector<Kind>();
  for (const Kind kind : kKinds) policy.weights[kind] = kMaxWeight;
  policy.at_least = kMaxFactors * kMaxWeight;  // the largest sum
  const NewBinding bound = bind_to(six, policy);
  CHECK(bound.binding.helper.threshold == 96);
  CHECK(opens(bound.binding, six, bound.secret.reveal()) == Code::OK);
  CHECK(opens(bound.binding, changed(six, 1)) == Code::HARDWARE_MISMATCH);

  const auto code_of = [&](const Policy& wrong) { return bind(machine_of(six), wrong).status().code; };
  for (const unsigned at_least : {97u, 256u, 257u, 352u, UINT_MAX}) {
    Policy wrong = policy;
    wrong.at_least = at_least;
    CHECK(code_of(wrong) == Code::INVALID_ARGUMENT);
  }
  for (const unsigned weight : {0u, 17u, 256u, 257u, 272u, UINT_MAX}) {  // 257 would be 1 as a byte
    Policy wrong;
    wrong.weights = {{Kind::cpu, weight}};
    CHECK(code_of(wrong) == Code::INVALID_ARGUMENT);
  }
  Policy twice;
  twice.factors = {Kind::cpu, Kind::gpu, Kind::cpu};
  CHECK(code_of(twice) == Code::INVALID_ARGUMENT);
  twice = {};
  twice.require = {Kind::drive, Kind::drive};
  CHECK(code_of(twice) == Code::INVALID_ARGUMENT);
}

TEST_CASE("a changed byte of helper data or box does not open") {
  const NewBinding bound = bind_to(kFour);
  const Bytes helper = bound.binding.helper.encode();
  std::mt19937_64 random(test::test_seed());
  unsigned refused = 0, tried = 0;
  const auto check = [&](const Bytes& bytes, View box) {
    tried++;
    size_t used = 0;
    auto parsed = parse_helper(bytes, &used);
    if (!parsed.ok() || used != bytes.size() || !hardware::open(*parsed, box, machine_of(kFour)).ok()) refused++;
  };
  // A share more than the threshold needs is not used, but the box authenticates all helper data.
  for (size_t at = 0; at < helper.size(); at += 1 + size_t(random() % 40)) {
    Bytes bytes = helper;
    bytes[at] ^= uint8_t(1 + random() % 255);
    check(bytes, View(bound.binding.box));
  }
  for (size_t at = 0; at < kBox; at += 1 + size_t(random() % 24)) {
    Bytes box = View(bound.binding.box).copy();
    box[at] ^= 1;
    check(helper, box);
  }
  CHECK(refused == tried);
  CHECK(tried > 5);
}

// Otherwise an attacker with more shares than the threshold could check guesses at some factors without the required ones.
TEST_CASE("shares above the threshold are no oracle without a required factor") {
  Policy policy;
  policy.require = {Kind::drive};
  policy.at_least = 2;
  const NewBinding bound = bind_to(kFour, policy);
  // The attacker knows cpu, gpu and memory: three shares of threshold 2, and guesses that the masks depend on nothing else.
  std::vector<Secret> clear;
  for (size_t i = 0; i < 3; i++) {
    const BoundFactor& factor = bound.binding.helper.factors[i];
    const std::string bytes = std::string(kind_name(factor.kind)) + '\0' + kFour.at(factor.kind);
    auto u = Secret::allocate(32), mask = Secret::allocate(32);
    REQUIRE(crypto::scrypt(View(bytes), View(factor.salt), 15, 8, 1, u->reveal_mut()).ok());
    const std::string info = std::string("share") + char(i + 1);
    REQUIRE(crypto::hkdf_expand(crypto::Hash::sha384, u->reveal(), View(info), mask->reveal_mut()).ok());
    for (size_t b = 0; b < 32; b++) mask->reveal_mut().data[b] ^= factor.shares[b];
    clear.push_back(std::move(*mask));
  }
  const auto joined = [&](size_t a, size_t b) {
    auto secret = join_shares({{uint8_t(a + 1), clear[a].reveal()}, {uint8_t(b + 1), clear[b].reveal()}});
    REQUIRE(secret.ok());
    return secret->reveal().copy();
  };
  CHECK(joined(0, 1) != joined(0, 2));
}

TEST_CASE("two bindings of one machine have nothing in common") {
  const NewBinding a = bind_to(kFour), b = bind_to(kFour);
  CHECK(a.binding.public_key != b.binding.public_key);
  CHECK(a.binding.helper.salt != b.binding.helper.salt);
  for (size_t i = 0; i < 4; i++) {
    CHECK(a.binding.helper.factors[i].salt != b.binding.helper.factors[i].salt);
    CHECK(a.binding.helper.factors[i].shares != b.binding.helper.factors[i].shares);
  }
  CHECK(opens({a.binding.helper, b.binding.box, {}}, kFour) == Code::HARDWARE_MISMATCH);
}

TEST_CASE("the public key is the one that RFC 9180 derives from S") {
  const NewBinding bound = bind_to(kFour);
  uint8_t private_key[32], public_key[32];
  REQUIRE(hpke::derive_key_pair(bound.secret.reveal(), Span(private_key), Span(public_key)).ok());
  CHECK(equal(View(public_key), View(bound.binding.public_key)));
}

TEST_CASE("a binding made with the salts of another build is SALTS_MISMATCH") {
  NewBinding bound = bind_to(kFour);
  bound.binding.helper.salts_id[0] ^= 1;
  CHECK(opens(bound.binding, kFour) == Code::SALTS_MISMATCH);
}

TEST_CASE("an opening can be cancelled between two runs of scrypt") {
  const NewBinding bound = bind_to(kFour);
  const Cancelled cancelled{true};
  CHECK(hardware::open(bound.binding.helper, View(bound.binding.box), machine_of(kFour), &cancelled).status().code ==
        Code::ABORT_ERR);
}

TEST_CASE("a publisher's demand is checked against every set that opens") {
  Policy policy;
  policy.require = {Kind::drive};
  policy.at_least = 3;
  const Helper helper = bind_to(kFour, policy).binding.helper;
  CHECK(check_demand(helper, {Kind::drive}, 3).ok());
  CHECK(check_demand(helper, {}, 0).ok());
  CHECK(check_demand(helper, {Kind::drive}, 4).code == Code::MACHINE_POLICY_WEAK);
  CHECK(check_demand(helper, {Kind::cpu}, 3).code == Code::MACHINE_POLICY_WEAK);
  policy.weights = {{Kind::drive, 3}};  // the target cheats with weights
  CHECK(check_demand(bind_to(kFour, policy).binding.helper, {Kind::drive}, 3).code == Code::MACHINE_POLICY_WEAK);
}

TEST_CASE("a machine file holds the binding, and a change of any byte is refused") {
  const NewBinding bound = bind_to(kFour);
  auto text = write_machine_file(bound.binding);
  REQUIRE(text.ok());
  auto parsed = parse_machine_file(*text);
  REQUIRE_MESSAGE(parsed.ok(), parsed.status().what);
  CHECK(parsed->helper.encode() == bound.binding.helper.encode());
  CHECK(parsed->box == bound.binding.box);
  CHECK(parsed->public_key == bound.binding.public_key);
  for (size_t at = 0; at < text->size(); at++) {
    for (const int change : {1, 2, 0x20, 0x80}) {
      Bytes bytes = *text;
      bytes[at] ^= uint8_t(change);
      const Code code = parse_machine_file(bytes).status().code;
      CHECK_MESSAGE((code == Code::MACHINE_FILE_INVALID || code == Code::VERSION_UNSUPPORTED), "byte ", at);
    }
    CHECK_FALSE(parse_machine_file(View(*text).sub(0, at)).ok());
  }
  Bytes longer = *text;
  longer.push_back('\n');
  CHECK(parse_machine_file(longer).status().code == Code::MACHINE_FILE_INVALID);
}

TEST_CASE("a machine file of a newer version is VERSION_UNSUPPORTED, and one without a version that exists is damaged") {
  CHECK(parse_machine_file(View("{\"later\":{},\"version\":2}\n")).status().code == Code::VERSION_UNSUPPORTED);
  const Status zero = parse_machine_file(View("{\"version\":0}\n")).status();
  CHECK(zero.code == Code::MACHINE_FILE_INVALID);
  CHECK(zero.what == "the machine file is not as it was exported: its version is 0");
  CHECK(parse_machine_file(View("{\"version\":\"1\"}\n")).status().code == Code::MACHINE_FILE_INVALID);
  CHECK(parse_machine_file(View("{\"version\":9007199254740991}\n")).status().code == Code::VERSION_UNSUPPORTED);
  CHECK(parse_machine_file(View("[]\n")).status().code == Code::MACHINE_FILE_INVALID);
  CHECK(parse_machine_file(View("")).status().code == Code::MACHINE_FILE_INVALID);
}
