#include "container/header.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <random>

#include "hardware/helper.h"
#include "payload/layout.h"
#include "recipients/slot.h"
#include "support/seed.h"
#include "text/text.h"

using namespace mg;
using namespace mg::container;
using namespace mg::recipients;

namespace {

using Random = std::mt19937_64;

template <class Container>
void fill(Random& random, Container& out) {
  std::generate_n(std::begin(out), std::size(out), [&] { return uint8_t(random()); });
}

std::string name(Random& random) {
  constexpr char kLetters[] = "abcxyz0189._-";
  std::string out(1 + random() % 20, 'm');
  for (size_t i = 1; i < out.size(); i++) out[i] = kLetters[random() % 13];
  return out;
}

void set_core(Header& header) {
  header.core_json = write_core(header.core);
  header.payload_length = payload::payload_size(header.core.plaintext_size);
}

Bytes helper_data(Random& random) {
  hardware::Helper helper;
  fill(random, helper.salts_id);
  fill(random, helper.salt);
  for (hardware::Kind kind : {hardware::Kind::cpu, hardware::Kind::memory, hardware::Kind::drive}) {
    const auto weight = uint8_t(1 + random() % hardware::kMaxWeight);
    hardware::BoundFactor factor{kind, random() % 2 == 0, weight, {}, Bytes(weight * hardware::kShare)};
    fill(random, factor.salt);
    fill(random, factor.shares);
    helper.factors.push_back(std::move(factor));
  }
  helper.threshold = uint8_t(1 + random() % 3);
  return helper.encode();
}

Slot slot(Random& random, uint16_t type) {
  Slot out;
  out.type = type;
  bool known = type >= 1 && type <= 4;
  out.body.resize(type == 4 ? 128 : type == 3 ? 65 : known ? 80 : random() % 200);
  fill(random, out.body);
  if (type == 4) {
    const Bytes helper = helper_data(random);
    out.body.insert(out.body.begin(), helper.begin(), helper.end());
  }
  if (type == 1 || type == 4 || !known) fill(random, out.key_id);
  if (type == 3) out.body[16] = uint8_t(15 + random() % 4);
  if (known) out.flags = random() % 2;
  if (random() % 2 == 0) {
    Policy policy;
    policy.not_after = 1 + random() % ((uint64_t(1) << 53) - 1);
    policy.not_before = random() % policy.not_after;
    policy.offline_until = random() % (policy.not_after + 1);
    fill(random, policy.lease_id);
    fill(random, policy.device_id);
    out.policy = policy;
  }
  return out;
}

Header random_header(Random& random) {
  Header out;
  uint8_t id[16];
  fill(random, id);
  out.core = {"2024-02-29T23:59:59Z", name(random), name(random), text::hex(View(id)), name(random), 0};
  out.core.plaintext_size = 16384 + (random() >> (12 + random() % 50)) % (payload::kMaxPlaintext - 16383);
  set_core(out);
  fill(random, out.digest);
  fill(random, out.mac);
  size_t slots = 1 + random() % 6;
  for (size_t i = 0; i < slots; i++) {
    constexpr uint16_t kTypes[] = {1, 2, 4, 5, 0, 65535};
    out.slots.push_back(slot(random, kTypes[random() % 6]));
  }
  if (random() % 2 == 0) out.slots[random() % slots] = slot(random, 3);
  for (Role role : {Role::publisher, Role::lease}) {
    if (random() % 2 == 0) continue;
    Signature signature{role, {}, {}};
    fill(random, signature.key_id);
    fill(random, signature.bytes);
    out.signatures.push_back(signature);
  }
  return out;
}

// One x25519 slot with a policy, one passphrase slot, both signatures; the same on every run.
Header plain_header() {
  Random random(1);
  Header out = random_header(random);
  out.core = {"2025-01-31T12:00:00Z", "onnx", "m", std::string(32, 'a'), "1", 20000};
  set_core(out);
  out.slots = {slot(random, 1), slot(random, 3)};
  out.slots[0].policy = Policy{10, 20, 15, {}, {}};
  out.slots[1].policy.reset();
  out.signatures = {Signature{Role::publisher, {}, {}}, Signature{Role::lease, {}, {}}};
  return out;
}

Code code(View bytes) {
  Result<Header> parsed = parse_header(bytes);
  if (!parsed.ok()) CHECK_FALSE(parsed.status().what.empty());
  return parsed.ok() ? Code::OK : parsed.status().code;
}

Code with(const std::function<void(Header&)>& change) {
  Header header = plain_header();
  change(header);
  return code(header.encode());
}

Code patched(size_t offset, uint32_t value, int size = 4) {
  Bytes bytes = plain_header().encode();
  for (int i = 0; i < size; i++) bytes[offset + size_t(i)] = uint8_t(value >> (size - 1 - i) * 8);
  return code(bytes);
}

Code core(const std::function<void(Core&)>& change) {
  return with([&](Header& h) {
    change(h.core);
    set_core(h);
  });
}

Code core_text(const std::string& from, const std::string& to) {
  return with([&](Header& h) {
    std::string text(View(h.core_json).text());
    REQUIRE(text.find(from) != std::string::npos);
    text.replace(text.find(from), from.size(), to);
    h.core_json = View(text).copy();
  });
}

constexpr Code kBad = Code::CONTAINER_MALFORMED;

}  // namespace

TEST_CASE("header: bytes that parse encode to the same bytes") {
  uint64_t start = test::test_seed();
  CAPTURE(start);
  Random random(start);
  for (int i = 0; i < 300; i++) {
    Header header = random_header(random);
    Bytes bytes = header.encode();
    REQUIRE(bytes.size() == header.size());
    size_t length = bytes.size();
    bytes.resize(length + random() % 50, 0xAA);  // the payload goes on
    Result<Header> parsed = parse_header(bytes);
    REQUIRE(parsed.ok());
    CHECK(equal(parsed->encode(), View(bytes).sub(0, length)));
    CHECK(equal(parsed->before_mac(), View(bytes).sub(0, length - 48)));
    CHECK(parsed->core.plaintext_size == header.core.plaintext_size);
    CHECK(parsed->core.payload_id == header.core.payload_id);
    Result<size_t> said = header_length(View(bytes).sub(0, 26));
    REQUIRE(said.ok());
    CHECK(*said == length);
  }
}

TEST_CASE("header: every truncation is refused") {
  Bytes bytes = plain_header().encode();
  CHECK(code(View()) == Code::NOT_A_CONTAINER);
  for (size_t n = 1; n < bytes.size(); n++) {
    Bytes cut(bytes.begin(), bytes.begin() + long(n));  // an allocation of its own, so that a read beyond it shows
    REQUIRE(code(cut) == Code::CONTAINER_TRUNCATED);
    Result<size_t> length = header_length(cut);
    REQUIRE(length.ok() == (n >= 26));
    if (n < 26) CHECK(length.status().code == Code::CONTAINER_TRUNCATED);
  }
}

TEST_CASE("header: every change of one byte is refused or encodes to itself") {
  Bytes bytes = plain_header().encode();
  size_t accepted = 0;
  for (size_t i = 0; i < bytes.size(); i++) {
    for (int delta = 1; delta < 256; delta++) {
      bytes[i] = uint8_t(bytes[i] + 1);
      Result<Header> parsed = parse_header(bytes);
      if (!parsed.ok()) continue;
      accepted++;
      if (!equal(parsed->encode(), bytes)) FAIL_CHECK("byte " << i << " became " << int(bytes[i]));
    }
    bytes[i] = uint8_t(bytes[i] + 1);
  }
  CHECK(accepted > 0);
  CHECK(equal(bytes, plain_header().encode()));
}

TEST_CASE("header: magic, version, lengths") {
  CHECK(code(plain_header().encode()) == Code::OK);
  CHECK(code(View(std::string_view("PK\x03\x04"))) == Code::NOT_A_CONTAINER);
  CHECK(code(View(std::string_view("\x89MGUARD\r\n and more"))) == Code::NOT_A_CONTAINER);
  CHECK(code(View(std::string_view("\x89MGU"))) == Code::CONTAINER_TRUNCATED);
  CHECK(patched(8, 2, 2) == Code::VERSION_UNSUPPORTED);
  CHECK(patched(8, 0, 2) == Code::VERSION_UNSUPPORTED);
  CHECK(patched(10, 65537) == Code::LIMIT_EXCEEDED);
  CHECK(patched(10, 0xFFFFFFFF) == Code::LIMIT_EXCEEDED);
  CHECK(patched(10, uint32_t(plain_header().size() + 1)) == kBad);
  CHECK(patched(10, 0) == kBad);
  CHECK(patched(14, 0) == kBad);
  CHECK(patched(14, 8193) == kBad);
  CHECK(patched(14, 0xFFFFFFFF) == kBad);
  CHECK(patched(18, 0xFFFFFFFF) == kBad);
  CHECK(patched(22, 72) == kBad);
  CHECK(patched(22, 219) == kBad);
  Bytes wrapped = plain_header().encode();  // lengths whose sum fits only modulo 2^32
  write_be(wrapped.data() + 18, uint32_t(0 - 200));
  write_be(wrapped.data() + 10, uint32_t(114 + read_be<uint32_t>(wrapped.data() + 14) + 146 - 200));
  CHECK(code(wrapped) == kBad);
  CHECK(with([](Header& h) { h.payload_length++; }) == kBad);
  CHECK(with([](Header& h) { h.payload_length = 0; }) == kBad);
}

TEST_CASE("core: members and their grammar") {
  CHECK(core([](Core& c) { c.plaintext_size = 16384; }) == Code::OK);
  CHECK(core([](Core& c) { c.plaintext_size = payload::kMaxPlaintext; }) == Code::OK);
  CHECK(core([](Core& c) { c.plaintext_size = 16383; }) == kBad);
  CHECK(core([](Core& c) { c.plaintext_size = payload::kMaxPlaintext + 1; }) == kBad);
  CHECK(core([](Core& c) { c.name = "A"; }) == kBad);
  CHECK(core([](Core& c) { c.version = ""; }) == kBad);
  CHECK(core([](Core& c) { c.format = std::string(129, 'a'); }) == kBad);
  CHECK(core([](Core& c) { c.payload_id[31] = 'A'; }) == kBad);
  CHECK(core([](Core& c) { c.payload_id.pop_back(); }) == kBad);
  CHECK(core_text("\"version\":", "\"versions\":") == kBad);
  CHECK(core_text(",\"version\":\"1\"", "") == kBad);
  CHECK(core_text(",\"version\"", ",\"secret\":1,\"version\"") == kBad);
  CHECK(core_text(",\"version\"", ", \"version\"") == kBad);
  CHECK(core_text("\"name\":\"m\"", "\"name\":1") == kBad);
  CHECK(core_text("20000", "\"20000\"") == kBad);
  CHECK(core_text("20000", "020000") == kBad);
  CHECK(with([](Header& h) { h.core_json = {'[', ']'}; }) == kBad);

  for (const char* good : {"2000-02-29T00:00:00Z", "2024-02-29T23:59:59Z", "9999-12-31T23:59:59Z"}) {
    CHECK(core([&](Core& c) { c.created = good; }) == Code::OK);
  }
  for (const char* bad :
       {"2025-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2025-00-01T00:00:00Z", "2025-13-01T00:00:00Z", "2025-01-00T00:00:00Z",
        "2025-04-31T00:00:00Z", "2025-01-01T24:00:00Z", "2025-01-01T00:60:00Z", "2025-01-01T00:00:60Z", "2025-01-01t00:00:00Z",
        "2025-01-01T00:00:00z", "2025-01-01 00:00:00Z", "2025-01-01T00:00:00+", "2025-1-01T00:00:00Z", "+025-01-01T00:00:00Z",
        "2025-01-01T00:00:00Z ", "2025-01-01T00:00:00", ""}) {
    CAPTURE(bad);
    CHECK(core([&](Core& c) { c.created = bad; }) == kBad);
  }
}

TEST_CASE("slots: frame, types, limits") {
  CHECK(with([](Header& h) { h.slots.clear(); }) == kBad);
  CHECK(with([](Header& h) {
          h.slots.resize(32, h.slots[0]);
          h.slots[1] = h.slots[0];
        }) == Code::OK);
  CHECK(with([](Header& h) {
          h.slots.resize(33, h.slots[0]);
          h.slots[1] = h.slots[0];
        }) == Code::LIMIT_EXCEEDED);
  CHECK(with([](Header& h) { h.slots.push_back(h.slots[1]); }) == kBad);  // a second passphrase
  CHECK(with([](Header& h) { h.slots[0].flags = 2; }) == kBad);
  CHECK(with([](Header& h) { h.slots[0].flags = 0x8001; }) == kBad);
  for (size_t i : {0, 1}) {
    CHECK(with([&](Header& h) { h.slots[i].body.push_back(0); }) == kBad);
    CHECK(with([&](Header& h) { h.slots[i].body.pop_back(); }) == kBad);
    CHECK(with([&](Header& h) { h.slots[i].body.clear(); }) == kBad);
  }
  const auto hardware = [](const std::function<void(Bytes&)>& change) {
    return with([&](Header& h) {
      Random random(7);
      h.slots[0] = slot(random, 4);
      change(h.slots[0].body);
    });
  };
  CHECK(hardware([](Bytes&) {}) == Code::OK);
  CHECK(hardware([](Bytes& body) { body.push_back(0); }) == kBad);
  CHECK(hardware([](Bytes& body) { body.pop_back(); }) == kBad);
  CHECK(hardware([](Bytes& body) { body[40] = 0; }) == kBad);  // threshold
  CHECK(hardware([](Bytes& body) { body.resize(41); }) == kBad);
  CHECK(with([](Header& h) { h.slots[1].body[16] = 14; }) == kBad);
  CHECK(with([](Header& h) { h.slots[1].body[16] = 19; }) == kBad);
  CHECK(with([](Header& h) { h.slots[1].key_id[7] = 1; }) == kBad);
  for (uint16_t type : {0, 5, 6, 65535}) {
    CHECK(with([&](Header& h) {
            h.slots[0].type = type;
            h.slots[0].flags = 0;
          }) == Code::OK);
    CHECK(with([&](Header& h) {
            h.slots[0].type = type;
            h.slots[0].flags = 1;
          }) == Code::CRITICAL_UNSUPPORTED);
    CHECK(with([&](Header& h) {
            h.slots[0].type = type;
            h.slots[0].flags = 2;
          }) == kBad);
    CHECK(with([&](Header& h) {
            h.slots[0].type = type;
            h.slots[0].flags = 0;
            h.slots[0].body.clear();
          }) == Code::OK);
  }
  auto opaque = [](size_t body) {
    return with([=](Header& h) {
      h.slots[1].type = 9;
      h.slots[1].flags = 0;
      h.slots[1].body.resize(body);
    });
  };
  CHECK(opaque(16384 - 10) == Code::OK);
  CHECK(opaque(16384 - 9) == kBad);

  size_t first = 66 + plain_header().core_json.size();  // the first slot; its length, policy length
  CHECK(patched(first + 4, 9) == kBad);
  CHECK(patched(first + 4, 0xFFFFFFFF) == kBad);
  CHECK(patched(first + 16, 55, 2) == kBad);
  CHECK(patched(first + 16, 57, 2) == kBad);
  CHECK(patched(first + 16, 0, 2) == kBad);  // then the body is 56 bytes too long
  Bytes stray = plain_header().encode();     // bytes after the last slot that are none
  stray.insert(stray.begin() + long(stray.size() - 48 - 146), 5, 0);
  write_be(stray.data() + 10, uint32_t(stray.size()));
  write_be(stray.data() + 18, read_be<uint32_t>(stray.data() + 18) + 5);
  CHECK(code(stray) == kBad);
}

TEST_CASE("policy: times in order and below 2^53") {
  auto policy = [](uint64_t before, uint64_t after, uint64_t offline) {
    return with([&](Header& h) { h.slots[0].policy = Policy{before, after, offline, {}, {}}; });
  };
  constexpr uint64_t kEnd = uint64_t(1) << 53;
  CHECK(policy(0, 1, 0) == Code::OK);
  CHECK(policy(kEnd - 2, kEnd - 1, kEnd - 1) == Code::OK);
  CHECK(policy(5, 6, 2) == Code::OK);  // offline-until before not-before: no opening without renewal
  CHECK(policy(5, 5, 5) == kBad);
  CHECK(policy(6, 5, 5) == kBad);
  CHECK(policy(5, 6, 7) == kBad);
  CHECK(policy(5, kEnd, 6) == kBad);
  CHECK(policy(5, ~uint64_t(0), 6) == kBad);
  CHECK(policy(~uint64_t(0), 6, 6) == kBad);
}

TEST_CASE("signatures: ascending roles, one of each, and what they sign") {
  auto roles = [](std::vector<int> wanted) {
    return with([&](Header& h) {
      h.signatures.clear();
      for (int role : wanted) h.signatures.push_back(Signature{Role(role), {}, {}});
    });
  };
  CHECK(roles({}) == Code::OK);
  CHECK(roles({1}) == Code::OK);
  CHECK(roles({2}) == Code::OK);
  CHECK(roles({1, 2}) == Code::OK);
  for (auto bad : std::vector<std::vector<int>>{{2, 1}, {1, 1}, {2, 2}, {0}, {3}, {1, 3}, {1, 2, 3}}) {
    CHECK(roles(bad) == kBad);
  }

  Header header = plain_header();
  CHECK(header.signature(Role::lease) == &header.signatures[1]);
  header.signatures.pop_back();
  CHECK(header.signature(Role::lease) == nullptr);

  Result<crypto::Sha384> hash = core_hash(header.core_json);
  REQUIRE(hash.ok());
  Bytes publisher = header.signed_bytes(Role::publisher, *hash), lease = header.signed_bytes(Role::lease, *hash);
  CHECK(publisher.size() == 24 + 1 + 48 + 32 + 8);
  CHECK(lease.size() == 20 + 1 + 48 + 32 + 8 + 48);
  CHECK(View(publisher).sub(0, 25).text() == std::string_view("model-guard/v1/publisher\0", 25));
  CHECK(View(lease).sub(0, 21).text() == std::string_view("model-guard/v1/lease\0", 21));
  CHECK(equal(View(publisher).from(25), View(lease).sub(21, 88)));
  header.slots[0].body[0] ^= 1;
  CHECK(equal(publisher, header.signed_bytes(Role::publisher, *hash)));
  CHECK_FALSE(equal(lease, header.signed_bytes(Role::lease, *hash)));
}
