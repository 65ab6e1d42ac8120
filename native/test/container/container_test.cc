// Sealing and opening whole containers: the keys that open, the keys that do not, and the order of the checks.
#include "container/container_support.h"

using namespace container_test;

namespace {

Bytes noise(size_t size) {
  Bytes bytes(size);
  if (size) REQUIRE(crypto::random_bytes(bytes).ok());
  return bytes;
}

struct World {
  work::Pool pool{2};
  std::shared_ptr<const keys::Key> master = new_key(keys::Type::master), machine = new_key(keys::Type::device),
                                   publisher = new_key(keys::Type::signing), lease_signer = new_key(keys::Type::signing);
  Bytes model = noise(200000);
  ContainerParts made =
      make({Input{"model.onnx", "", View(model)}}, SealOptions{{shared(master), device(*machine)}, publisher}, pool);

  Code code(View small, const Identities& identities, const Trust& trust = {}) {
    auto loaded = open(small, View(made.big), identities, pool, trust);
    return loaded.ok() ? Code::OK : loaded.status().code;
  }
};

Trust verified_by(const std::shared_ptr<const keys::Key>& key) {
  Trust trust;
  trust.publishers = {key->ed25519_public()};
  return trust;
}

}  // namespace

TEST_CASE("every kind of recipient opens its containers, and no other key does") {
  World w;
  auto word = keys::Key::from_passphrase(View("cr\xc3\xa8me br\xc3\xbbl\xc3\xa9\x65\n"));
  auto same = keys::Key::from_passphrase(View("cre\xcc\x80me bru\xcc\x82le\xcc\x81\x65"));
  REQUIRE(word.ok());
  REQUIRE(same.ok());
  const ContainerParts made = make({Input{"model.onnx", "", View(w.model)}},
                                   SealOptions{{shared(w.master), device(*w.machine), shared(*word)}, nullptr}, w.pool);
  for (const auto& identity : {w.master, w.machine, *word, *same}) {
    auto loaded = open(View(made.small), View(made.big), {identity}, w.pool);
    REQUIRE_MESSAGE(loaded.ok(), loaded.status().what);
    REQUIRE(loaded->size() == 1);
    CHECK(equal(View((*loaded)[0].region.data(), w.model.size()), View(w.model)));
  }
  for (const auto& identity : {new_key(keys::Type::master), new_key(keys::Type::device), w.publisher})
    CHECK(open(View(made.small), View(made.big), {identity}, w.pool).status().code == Code::NO_MATCHING_IDENTITY);
  CHECK(open(View(made.small), View(made.big), {}, w.pool).status().code == Code::NO_MATCHING_IDENTITY);
}

TEST_CASE("a pinned publisher's signature is asked for before any key is used") {
  World w;
  CHECK(w.code(View(w.made.small), {w.master}, verified_by(w.publisher)) == Code::OK);
  CHECK(w.code(View(w.made.small), {}, verified_by(w.lease_signer)) == Code::SIGNATURE_INVALID);
  const ContainerParts unsigned_one = make({Input{"m", "", View(w.model)}}, SealOptions{{shared(w.master)}, nullptr}, w.pool);
  CHECK(w.code(View(unsigned_one.small), {w.master}, verified_by(w.publisher)) == Code::SIGNATURE_MISSING);
}

TEST_CASE("another reference than the one asked for is refused, signed or not") {
  World w;
  Trust trust;
  trust.name = "model";
  trust.version = "2";
  CHECK(w.code(View(w.made.small), {w.master}, trust) == Code::REFERENCE_MISMATCH);
  trust.version = "1";
  CHECK(w.code(View(w.made.small), {w.master}, trust) == Code::OK);
}

TEST_CASE("chunks that were changed with the data key do not pass a verifier") {
  // The recipient re-encrypts other plaintext under the same keys: authentic to GCM, not to the publisher's digest.
  World w;
  auto opened = OpenContainer::open(View(w.made.small), {w.master}, Trust());
  REQUIRE(opened.ok());
  const Header& header = (*opened)->header();
  Bytes payload = View(w.made.whole()).from(header.size()).copy();
  Bytes context;
  append(context, View("model-guard/v1"));
  context.push_back(0);
  append(context, View((*opened)->core_hash()));
  auto keys = payload::derive((*opened)->data_key(), View(payload).sub(0, payload::kSalt), View(context));
  REQUIRE(keys.ok());
  auto gcm = crypto::Gcm::create(keys->key.reveal());
  REQUIRE(gcm.ok());
  const uint64_t chunk = 3;
  uint8_t nonce[12];
  payload::chunk_nonce(keys->base_nonce, chunk, nonce);
  REQUIRE(gcm->seal(View(nonce), View(), View(Bytes(payload::kChunk, 'x')), payload.data() + payload::chunk_offset(chunk)));

  const size_t head = w.made.small.size() - header.size();
  const View big = View(payload).from(head);
  CHECK(open(View(w.made.small), big, {w.master}, w.pool).ok());
  CHECK(open(View(w.made.small), big, {w.master}, w.pool, verified_by(w.publisher)).status().code == Code::DIGEST_MISMATCH);
}

TEST_CASE("a slot with a policy opens only under a pinned lease key and in its time") {
  World w;
  LeaseTerms terms{Policy{100, 200, 150, {}, {}}, w.lease_signer};
  auto leased = rewrap(View(w.made.small), {w.master}, Trust(), {device(*w.machine)}, terms);
  REQUIRE_MESSAGE(leased.ok(), leased.status().what);
  auto at = [&](uint64_t now, bool pinned) {
    Trust trust = verified_by(w.publisher);
    trust.now = now;
    if (pinned) trust.lease_keys = {w.lease_signer->ed25519_public()};
    return w.code(View(*leased), {w.machine}, trust);
  };
  CHECK(at(150, true) == Code::OK);
  CHECK(at(100, true) == Code::OK);
  CHECK(at(99, true) == Code::LEASE_NOT_YET_VALID);
  CHECK(at(151, true) == Code::LEASE_EXPIRED);
  CHECK(at(200, true) == Code::LEASE_EXPIRED);
  CHECK(at(150, false) == Code::LEASE_UNTRUSTED);

  Trust trust;
  trust.now = 150;
  trust.lease_keys = {w.lease_signer->ed25519_public()};
  CHECK(rewrap(View(*leased), {w.machine}, trust, {shared(w.master)}).status().code == Code::POLICY_PRESENT);
}

TEST_CASE("after its offline-until a lease opens only if it was renewed, and its signed not-before shows that") {
  World w;
  const auto leased = [&](uint64_t offline_until) {
    const LeaseTerms terms{Policy{1000, 5000, offline_until, {}, {}}, w.lease_signer};
    auto small = rewrap(View(w.made.small), {w.master}, Trust(), {device(*w.machine)}, terms);
    REQUIRE_MESSAGE(small.ok(), small.status().what);
    return std::move(*small);
  };
  const auto at = [&](const Bytes& small, uint64_t now, bool renewed) {
    Trust trust = verified_by(w.publisher);
    trust.now = now;
    trust.renewed = renewed;
    trust.lease_keys = {w.lease_signer->ed25519_public()};
    return w.code(View(small), {w.machine}, trust);
  };
  // This lease never opens without its server.
  const Bytes online = leased(0);
  CHECK(at(online, 1000, false) == Code::LEASE_EXPIRED);
  CHECK(at(online, 1000, true) == Code::OK);
  CHECK(at(online, 1300, true) == Code::OK);
  CHECK(at(online, 1301, true) == Code::LEASE_EXPIRED);
  CHECK(at(online, 999, true) == Code::LEASE_NOT_YET_VALID);

  const Bytes both = leased(3000);
  for (const bool renewed : {false, true}) {
    CHECK(at(both, 3000, renewed) == Code::OK);
    CHECK(at(both, 3001, renewed) == Code::LEASE_EXPIRED);  // an old lease that claims to be renewed
  }
  const Bytes all_the_time = leased(5000);
  CHECK(at(all_the_time, 4999, false) == Code::OK);
  CHECK(at(all_the_time, 5000, true) == Code::LEASE_EXPIRED);
}

TEST_CASE("a lease has its times in order and a signing key") {
  World w;
  const auto code = [&](uint64_t not_before, uint64_t not_after, uint64_t offline_until,
                        const std::shared_ptr<const keys::Key>& signer) {
    const LeaseTerms terms{Policy{not_before, not_after, offline_until, {}, {}}, signer};
    auto leased = rewrap(View(w.made.small), {w.master}, Trust(), {device(*w.machine)}, terms);
    if (leased.ok()) CHECK(parse_header(View(*leased)).ok());
    return leased.status().code;
  };
  const uint64_t end = uint64_t(1) << 53;
  CHECK(code(100, 200, 200, w.lease_signer) == Code::OK);
  CHECK(code(199, 200, 0, w.lease_signer) == Code::OK);
  CHECK(code(0, end - 1, end - 1, w.lease_signer) == Code::OK);
  CHECK(code(200, 200, 200, w.lease_signer) == Code::INVALID_ARGUMENT);
  CHECK(code(201, 200, 200, w.lease_signer) == Code::INVALID_ARGUMENT);
  CHECK(code(100, 200, 201, w.lease_signer) == Code::INVALID_ARGUMENT);
  CHECK(code(0, end, 0, w.lease_signer) == Code::INVALID_ARGUMENT);
  CHECK(code(100, 200, 200, w.machine) == Code::KEY_TYPE_WRONG);
  CHECK(code(100, 200, 200, nullptr) == Code::KEY_TYPE_WRONG);
}

TEST_CASE("re-wrapping leaves the payload and the publisher's signature alone") {
  World w;
  const auto other = new_key(keys::Type::device);
  auto rewrapped = rewrap(View(w.made.small), {w.machine}, verified_by(w.publisher), {device(*other)});
  REQUIRE_MESSAGE(rewrapped.ok(), rewrapped.status().what);
  CHECK(w.code(View(*rewrapped), {other}, verified_by(w.publisher)) == Code::OK);
  CHECK(w.code(View(*rewrapped), {w.machine}) == Code::NO_MATCHING_IDENTITY);
  auto before = parse_header(View(w.made.small)), after = parse_header(View(*rewrapped));
  REQUIRE(after.ok());
  CHECK(equal(View(*rewrapped).from(after->size()), View(w.made.small).from(before->size())));
}

TEST_CASE("recipients out of bounds are refused before anything is encrypted") {
  World w;
  auto begin = [&](std::vector<Recipient> recipients) {
    auto sealer = Sealer::begin(
        SealRequest{"m", "1", "onnx", "2026-01-01T00:00:00Z", {Input{"m", "", View(w.model)}}, std::move(recipients), nullptr});
    return sealer.ok() ? Code::OK : sealer.status().code;
  };
  auto word = keys::Key::from_passphrase(View("a"));
  CHECK(begin({}) == Code::INVALID_ARGUMENT);
  CHECK(begin(std::vector<Recipient>(32, shared(w.master))) == Code::OK);
  CHECK(begin(std::vector<Recipient>(33, shared(w.master))) == Code::LIMIT_EXCEEDED);
  CHECK(begin({shared(*word), shared(*word)}) == Code::INVALID_ARGUMENT);
  const auto device_of = [](const keys::PublicKey& key) { return Recipient{find_kind("x25519"), View(key).copy(), nullptr}; };
  keys::PublicKey high = w.machine->x25519_public();
  high[31] |= 0x80;
  CHECK(begin({device_of(high)}) == Code::KEY_INVALID);
  keys::PublicKey prime;
  prime.fill(0xff);
  prime[31] = 0x7f;
  for (const int low : {0xed, 0xee, 0xff}) {  // p, p + 1, 2^255 - 1
    prime[0] = uint8_t(low);
    CHECK(begin({device_of(prime)}) == Code::KEY_INVALID);
  }
  prime[0] = 0xeb;  // p - 2
  CHECK(begin({device_of(prime)}) == Code::OK);
  CHECK(begin({device_of(keys::PublicKey{})}) == Code::KEY_INVALID);  // of small order
}

TEST_CASE("a payload is encrypted once, ever") {
  World w;
  const work::Control control;
  auto sealer = Sealer::begin(
      SealRequest{"m", "1", "onnx", "2026-01-01T00:00:00Z", {Input{"m", "", View(w.model)}}, {shared(w.master)}, nullptr});
  REQUIRE(sealer.ok());
  CHECK(!(*sealer)->finish().ok());  // nothing is encrypted yet
  Bytes out(size_t((*sealer)->payload_length() - payload::kPrefix));
  payload::MemorySink sink{Span(out)};
  REQUIRE((*sealer)->encrypt_to(sink, payload::kPrefix, w.pool, control).ok());
  CHECK((*sealer)->encrypt_to(sink, payload::kPrefix, w.pool, control).code == Code::INVALID_ARGUMENT);
  auto rest = (*sealer)->next(1 << 20, payload::kPrefix, w.pool, control);
  REQUIRE(rest.ok());
  CHECK(rest->empty());
  CHECK((*sealer)->finish().ok());
  CHECK(!(*sealer)->finish().ok());
}

TEST_CASE("a stream gives the same bytes wherever the big part begins") {
  World w;
  const work::Control control;
  const Bytes model = noise(3 * 1024 * 1024 + 17);
  for (const uint64_t base : {uint64_t(56), uint64_t(3000), uint64_t(56 + 64 * 16400), uint64_t(2000000)}) {
    auto sealer = Sealer::begin(
        SealRequest{"m", "1", "onnx", "2026-01-01T00:00:00Z", {Input{"m", "", View(model)}}, {shared(w.master)}, nullptr});
    REQUIRE(sealer.ok());
    Bytes big;
    for (;;) {
      auto piece = (*sealer)->next(1 << 20, base, w.pool, control);
      REQUIRE_MESSAGE(piece.ok(), piece.status().what);
      if (piece->empty()) break;
      append(big, View(*piece));
    }
    auto small = (*sealer)->finish();
    REQUIRE(small.ok());
    append(*small, View((*sealer)->head()));
    auto loaded = open(View(*small), View(big), {w.master}, w.pool);
    REQUIRE_MESSAGE(loaded.ok(), loaded.status().what);
    CHECK(equal(View((*loaded)[0].region.data(), model.size()), View(model)));
  }
}

TEST_CASE("many files, empty ones among them, come back in regions of their own") {
  World w;
  const Bytes a = noise(16384), b = noise(5), c = noise(40000), none;
  const ContainerParts made = make({Input{"z", "", View(none)}, Input{"b/empty", "", View(none)}, Input{"b/full", "", View(a)},
                                    Input{"c", "", View(b)}, Input{"a", "", View(c)}},
                                   SealOptions{{shared(w.master)}, w.publisher}, w.pool);
  for (const Trust& trust : {Trust(), verified_by(w.publisher)}) {
    auto loaded = open(View(made.small), View(made.big), {w.master}, w.pool, trust);
    REQUIRE_MESSAGE(loaded.ok(), loaded.status().what);
    const std::vector<std::pair<std::string, View>> expected = {
        {"a", c}, {"b/empty", none}, {"b/full", a}, {"c", b}, {"z", none}};
    REQUIRE(loaded->size() == expected.size());
    for (size_t i = 0; i < expected.size(); i++) {
      CHECK((*loaded)[i].path == expected[i].first);
      CHECK(equal(View((*loaded)[i].region.data(), size_t((*loaded)[i].size)), expected[i].second));
    }
  }
}

TEST_CASE("a sealer that failed releases keys and inputs and encrypts nothing more") {
  World w;
  const work::Control control;
  auto sealer = Sealer::begin(
      SealRequest{"m", "1", "onnx", "2026-01-01T00:00:00Z", {Input{"m", "", View(w.model)}}, {shared(w.master)}, nullptr});
  REQUIRE(sealer.ok());
  struct Full : payload::Sink {
    Status write(uint64_t, View) override { return Status(Code::NO_SPACE, "full"); }
  } full;
  CHECK((*sealer)->encrypt_to(full, payload::kPrefix, w.pool, control).code == Code::NO_SPACE);
  CHECK((*sealer)->is_closed());
  CHECK((*sealer)->next(1 << 20, payload::kPrefix, w.pool, control).status().code == Code::INVALID_ARGUMENT);
  CHECK((*sealer)->encrypt_to(full, payload::kPrefix, w.pool, control).code == Code::INVALID_ARGUMENT);
  CHECK((*sealer)->finish().status().code == Code::INVALID_ARGUMENT);
}

TEST_CASE("a small part that goes on after its payload is refused") {
  World w;
  Bytes longer = w.made.whole();
  longer.push_back(0);
  CHECK(w.code(View(longer), {w.master}) == Code::CONTAINER_MALFORMED);
}
