#include "split/split.h"

#include <cmath>
#include <limits>

#include "payload/payload_support.h"

using namespace payload_test;
namespace split = mg::split;

namespace {

struct Container {
  Bytes bytes;
  size_t header_length;
};

// A container whose slot opens nothing: splitting needs no key.
Container container_of(const Message& message) {
  container::Header header;
  header.core.created = "2025-01-02T03:04:05Z";
  header.core.format = "onnx";
  header.core.name = "model";
  header.core.version = "1.0.0";
  header.core.payload_id = "00112233445566778899aabbccddeeff";
  header.core.plaintext_size = message.plain.size();
  header.core_json = container::write_core(header.core);
  header.digest = message.tree.root();
  header.payload_length = message.sealed.size();
  recipients::Slot slot;
  slot.type = 2;
  slot.body = noise(80, 3);
  header.slots.push_back(slot);
  Container out{header.encode(), 0};
  out.header_length = out.bytes.size();
  append(out.bytes, View(message.sealed));
  return out;
}

}  // namespace

TEST_CASE("cut: bounds and rule") {
  const uint64_t big = payload_size(10'000'000), h = 500;
  CHECK(*split::cut(h, big, {}) == 3072);
  CHECK(*split::cut(h, big, {0, 0.3}) == h + 56);
  CHECK(*split::cut(h, big, {3072, 0}) == h + 56);
  CHECK(*split::cut(4000, big, {}) == 4056);
  CHECK(*split::cut(h, big, {16 << 20, 0.3}) == uint64_t(std::floor(0.3 * double(h + big))));
  CHECK(*split::cut(h, big, {1 << 20, 0.9}) == 1 << 20);
  const uint64_t small = payload_size(16384);
  CHECK(*split::cut(h, small, {16 << 20, 0.9}) == uint64_t(std::floor(0.9 * double(h + small))));
  for (const split::Rule& rule : {split::Rule{(16 << 20) + 1, 0.3}, split::Rule{3072, 0.91}, split::Rule{3072, -0.1},
                                  split::Rule{3072, std::nan("")}, split::Rule{3072, std::numeric_limits<double>::infinity()}})
    CHECK(split::cut(h, big, rule).status().code == Code::INVALID_ARGUMENT);
  CHECK(split::cut(h, 56, {}).status().code == Code::INVALID_ARGUMENT);
  CHECK(split::cut(65537, big, {}).status().code == Code::INVALID_ARGUMENT);
  CHECK(split::cut(h, UINT64_MAX, {}).status().code == Code::INVALID_ARGUMENT);
  std::mt19937_64 random(test_seed());
  for (int i = 0; i < 1000; i++) {
    const uint64_t length = 115 + random() % 65000;
    const uint64_t payload = payload_size(16384 + random() % (uint64_t(1) << (15 + i % 37)));
    const split::Rule rule{random() % ((16 << 20) + 1), double(random() % 901) / 1000};
    Result<uint64_t> at = split::cut(length, payload, rule);
    REQUIRE(at.ok());
    REQUIRE(*at >= length + 56);
    REQUIRE(*at <= length + payload - 1);
  }
}

TEST_CASE("split and join: any cut describes, checks and reads back") {
  work::Pool pool(2);
  work::Control control;
  Message message = seal(noise(70 * kChunk + 999, 21), pool, control);
  const Container whole = container_of(message);
  const size_t least = whole.header_length + 56, total = whole.bytes.size();
  std::mt19937_64 random(test_seed());
  std::vector<size_t> cuts = {least, least + 1, least + kSealedChunk, total - 1, total - 20};
  for (int i = 0; i < 10; i++) cuts.push_back(least + random() % (total - least));
  for (size_t at : cuts) {
    CAPTURE(at);
    const View small = View(whole.bytes).sub(0, at), big = View(whole.bytes).from(at);
    Result<split::Parts> parts = split::describe(small);
    REQUIRE_MESSAGE(parts.ok(), parts.status().what);
    CHECK(parts->big_offset == at - whole.header_length);
    CHECK(parts->big_size == big.size);
    MemorySource source(big);
    Result<Tree> tree = split::check(small, source, pool, control);
    REQUIRE_MESSAGE(tree.ok(), tree.status().what);
    CHECK(tree->stored() == message.tree.stored());
    MemorySource head(small.from(whole.header_length));
    JoinedSource joined(head, source);
    REQUIRE(joined.size() == message.sealed.size());
    const uint64_t seam = parts->big_offset;
    for (int i = 0; i < 30; i++) {
      uint64_t offset = random() % (joined.size() + 1);
      uint64_t length = random() % std::min<uint64_t>(joined.size() - offset + 1, 40'000);
      if (i < 20) {  // over the seam
        offset = seam - std::min<uint64_t>(seam, random() % 20);
        length = std::min<uint64_t>(i, joined.size() - offset);
      }
      Bytes out(length);
      REQUIRE(joined.read(offset, Span(out)).ok());
      REQUIRE(equal(View(out), View(message.sealed).sub(offset, length)));
    }
    Bytes beyond(21);
    CHECK(joined.read(joined.size() - 20, Span(beyond)).code == Code::CONTAINER_TRUNCATED);
    CHECK(joined.read(UINT64_MAX, Span(beyond)).code == Code::CONTAINER_TRUNCATED);
  }
}

TEST_CASE("split: parts that do not belong together") {
  work::Pool pool(2);
  work::Control control;
  Message message = seal(noise(3 * kChunk + 1, 22), pool, control, 22);
  Message other = seal(noise(3 * kChunk + 1, 23), pool, control, 23);
  const Container a = container_of(message), b = container_of(other);
  REQUIRE(a.header_length == b.header_length);
  const size_t at = a.header_length + 100;
  const View small = View(a.bytes).sub(0, at);
  auto verdict = [&](View s, View big) {
    MemorySource source(big);
    return split::check(s, source, pool, control).status();
  };
  CHECK(verdict(small, View(a.bytes).from(at)).ok());
  CHECK(verdict(small, View(b.bytes).from(at)).code == Code::PARTS_MISMATCH);
  const Status size = verdict(small, View(a.bytes).from(at + 1));
  CHECK(size.code == Code::PARTS_MISMATCH);
  CHECK(size.what.find(std::to_string(a.bytes.size() - at)) != std::string::npos);
  CHECK(size.what.find(std::to_string(a.bytes.size() - at - 1)) != std::string::npos);
  Bytes flipped = View(a.bytes).from(at).copy();
  flipped.back() ^= 1;
  CHECK(verdict(small, View(flipped)).code == Code::PARTS_MISMATCH);
  Bytes longer = View(a.bytes).from(at).copy();
  longer.push_back(0);
  CHECK(verdict(small, View(longer)).code == Code::PARTS_MISMATCH);
  Bytes prefix_flipped = small.copy();
  prefix_flipped[a.header_length + 30] ^= 1;
  CHECK(verdict(View(prefix_flipped), View(a.bytes).from(at)).code == Code::PARTS_MISMATCH);

  CHECK(split::describe(View(a.bytes).sub(0, a.header_length + 55)).status().code == Code::CONTAINER_TRUNCATED);
  CHECK(split::describe(View(a.bytes).sub(0, a.header_length - 1)).status().code == Code::CONTAINER_TRUNCATED);
  CHECK(split::describe(View(a.bytes)).status().code == Code::PARTS_MISMATCH);
  Bytes more = a.bytes;
  more.push_back(0);
  CHECK(split::describe(View(more)).status().code == Code::PARTS_MISMATCH);

  work::Control cancelled;
  cancelled.cancelled = true;
  MemorySource source(View(a.bytes).from(at));
  CHECK(split::check(small, source, pool, cancelled).status().code == Code::ABORT_ERR);
}
