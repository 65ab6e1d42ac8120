// The number of runs of scrypt that an opening may take. Every container that this release can make opens; slots that an attacker adds end
// the search at the bound. Runs are counted, never timed.
#include "container/find_key.h"

#include "container/container_support.h"
#include "crypto/crypto.h"
#include "support/bound.h"

using namespace mg;
using namespace container_test;
using namespace bound_test;

namespace {

const std::string kText = "weights";
const std::vector<Input> kInputs = {{"model", "", View(kText)}};
const MachineTree& here() {
  static const MachineTree tree("sata-server");
  return tree;
}

// The first `n` of five factors, all that a machine without a TPM can show. Each is needed, so that an opening takes `n` derivations.
hardware::Policy factors(unsigned n) {
  hardware::Policy policy;
  policy.factors = {hardware::Kind::drive, hardware::Kind::cpu, hardware::Kind::gpu, hardware::Kind::memory,
                    hardware::Kind::uuid};
  policy.factors.resize(n);
  policy.at_least = n;
  return policy;
}

struct Parsed {
  Header header;
  crypto::Sha384 core_hash;
};
Parsed header_of(const std::vector<Recipient>& recipients) {
  work::Pool pool(1);
  auto header = parse_header(make(kInputs, {recipients, nullptr}, pool).small);
  REQUIRE(header.ok());
  auto hash = core_hash(header->core_json);
  REQUIRE(hash.ok());
  return {std::move(*header), *hash};
}

// The slot with other salts: it keeps its key id and its cost, and opens nowhere.
Slot foreign(const Slot& slot) {
  Slot other = slot;
  hardware::Helper helper = *find_kind("hardware")->machine(slot);
  const size_t size = helper.encode().size();
  for (hardware::BoundFactor& factor : helper.factors)
    REQUIRE(crypto::random_bytes(Span(factor.salt.data(), factor.salt.size())).ok());
  const Bytes encoded = helper.encode();
  std::copy_n(encoded.begin(), size, other.body.begin());
  return other;
}

struct Outcome {
  Code code;
  uint32_t made;
};
Outcome search(const Parsed& in, const Identities& identities, uint32_t most) {
  const MachineOverride on(here());
  crypto::Derivations derivations(most);
  auto found = find_data_key(in.header, in.core_hash, identities, Trust{}, derivations, nullptr);
  return {found.status().code, derivations.count()};
}
Outcome search(const Parsed& in, const Identities& identities) { return search(in, identities, usual_derivations(identities)); }

Identity named(const Slot& slot) {
  Identity identity;
  identity.machine = slot.key_id;
  return identity;
}

std::shared_ptr<const keys::Key> passphrase(const std::string& text) {
  auto key = keys::Key::from_passphrase(View(text));
  REQUIRE(key.ok());
  return *key;
}

}  // namespace

TEST_CASE("the bound is what a container of this release can need of the identities") {
  const auto device = new_key(keys::Type::device);
  CHECK(usual_derivations({device}) == 0);
  CHECK(usual_derivations({Identity()}) == 32 * 6);
  CHECK(usual_derivations({Identity(), Identity()}) == 32 * 6);
  Identity a, b;
  a.machine = keys::KeyId{1};
  b.machine = keys::KeyId{2};
  CHECK(usual_derivations({a, a, b}) == 2 * 6);
  CHECK(usual_derivations({a, Identity()}) == 32 * 6);
  CHECK(usual_derivations({passphrase("one"), passphrase("two"), device}) == 2 * 8);
}

TEST_CASE("the last of 32 machines opens, and costs every factor of every slot once") {
  const unsigned each = test::scale() < 1 ? 1 : 5;  // a derivation takes a tenth of a second
  Parsed fleet = header_of({machine_recipient(bind_to(here(), factors(each)))});
  const Slot own = fleet.header.slots[0];
  for (size_t i = 0; i < 31; i++) fleet.header.slots.insert(fleet.header.slots.begin(), foreign(own));
  const Outcome found = search(fleet, {Identity(), Identity()});
  CHECK(found.code == Code::OK);
  CHECK(found.made == 32 * each);
}

TEST_CASE("slots that carry a machine's key id end the search at the bound of that machine") {
  Parsed forged = header_of({machine_recipient(bind_to(here(), factors(5)))});
  const Slot own = forged.header.slots[0];
  const Identity machine = named(own);
  forged.header.slots.clear();
  for (size_t i = 0; i < 32; i++) forged.header.slots.push_back(foreign(own));
  const Outcome ended = search(forged, {machine});
  CHECK(ended.code == Code::DERIVATIONS_EXCEEDED);
  CHECK(ended.made == 6);
  const Outcome none = search(forged, {Identity()}, 0);
  CHECK(none.code == Code::DERIVATIONS_EXCEEDED);
  CHECK(none.made == 0);
}

TEST_CASE("the slots that cost least are tried first") {
  Parsed mixed = header_of({machine_recipient(bind_to(here(), factors(5))), machine_recipient(bind_to(here(), factors(1)))});
  mixed.header.slots[0] = foreign(mixed.header.slots[0]);
  SUBCASE("of a machine") {
    const Outcome found = search(mixed, {Identity()}, 1);
    CHECK(found.code == Code::OK);
    CHECK(found.made == 1);
  }
  SUBCASE("a key before any of them") {
    const auto device = new_key(keys::Type::device);
    Parsed with_key = header_of({machine_recipient(bind_to(here(), factors(1))), container_test::device(*device)});
    const Outcome found = search(with_key, {Identity(), device}, 0);
    CHECK(found.code == Code::OK);
    CHECK(found.made == 0);
  }
}

TEST_CASE("slots with the same salts cost their derivations once") {
  Parsed same = header_of({machine_recipient(bind_to(here(), factors(5)))});
  const Slot slot = foreign(same.header.slots[0]);
  same.header.slots.assign(32, slot);
  const Outcome ended = search(same, {Identity()});
  CHECK(ended.code == Code::HARDWARE_MISMATCH);
  CHECK(ended.made == 5);
}

TEST_CASE("a passphrase slot counts by its cost, once for each passphrase") {
  const auto right = passphrase("right"), wrong = passphrase("wrong");
  const Parsed one = header_of({shared(right)});
  CHECK(search(one, {right}).made == 4);
  CHECK(search(one, {right}, 3).code == Code::DERIVATIONS_EXCEEDED);
  const Outcome second = search(one, {wrong, right});
  CHECK(second.code == Code::OK);
  CHECK(second.made == 8);
  Parsed dear = one;
  dear.header.slots[0].body[16] = 18;
  const Outcome refused = search(dear, {right, wrong}, 8);
  CHECK(refused.code == Code::DERIVATIONS_EXCEEDED);
  CHECK(refused.made == 8);
}

TEST_CASE("an opening that was cancelled derives nothing more") {
  const std::atomic<bool> cancelled{true};
  crypto::Derivations derivations(8, &cancelled);
  CHECK(derivations.begin(1).code == Code::ABORT_ERR);
  CHECK(derivations.count() == 0);
}
