#include "split/split.h"

#include <algorithm>
#include <cmath>

#include "payload/payload.h"

namespace mg::split {

namespace {
constexpr uint64_t kMaxRule = uint64_t(16) << 20;
constexpr double kMaxRatio = 0.9;
}  // namespace

Result<uint64_t> cut(size_t header_length, uint64_t payload_length, const Rule& rule) {
  if (rule.max_bytes > kMaxRule) return Status(Code::INVALID_ARGUMENT, "a small part's maxBytes is 0 to 16 MiB");
  if (!(rule.ratio >= 0 && rule.ratio <= kMaxRatio))  // so that NaN is refused
    return Status(Code::INVALID_ARGUMENT, "a small part's ratio is 0 to 0.9");
  uint64_t plaintext;
  if (header_length > container::kMaxHeader || !payload::plaintext_size(payload_length, &plaintext) ||
      plaintext > payload::kMaxPlaintext)
    return Status(Code::INVALID_ARGUMENT, "no container has these lengths");
  const uint64_t total = header_length + payload_length;
  const uint64_t wanted = std::min(rule.max_bytes, uint64_t(std::floor(rule.ratio * double(total))));
  return std::max(header_length + payload::kPrefix, wanted);
}

Result<Parts> describe(View small) {
  Result<container::Header> header = container::parse_header(small);
  if (!header.ok()) return header.status();
  const uint64_t length = header->size(), smallest = length + payload::kPrefix;
  if (small.size < smallest)
    return Status(Code::CONTAINER_TRUNCATED, "the small part has " + std::to_string(small.size) +
                                                 " bytes, but its header needs " + std::to_string(smallest));
  const uint64_t offset = small.size - length;
  if (offset >= header->payload_length)
    return Status(Code::PARTS_MISMATCH, "the small part already holds " + std::to_string(offset) + " of " +
                                            std::to_string(header->payload_length) +
                                            " payload bytes and leaves no room for a big part");
  const uint64_t rest = header->payload_length - offset;
  return Parts{std::move(*header), offset, rest};
}

Result<payload::Tree> check(View small, payload::Source& big, work::Pool& pool, const work::Control& control) {
  Result<Parts> parts = describe(small);
  if (!parts.ok()) return parts.status();
  const container::Header& header = parts->header;
  const uint64_t plaintext = header.core.plaintext_size;
  if (plaintext > payload::kMaxPlaintext || payload::payload_size(plaintext) != header.payload_length)
    return Status(Code::CONTAINER_MALFORMED, "the payload length does not fit the plaintext size");
  if (big.size() != parts->big_size)
    return Status(Code::PARTS_MISMATCH, "the big part has " + std::to_string(big.size()) +
                                            " bytes, but the small part belongs to one of " + std::to_string(parts->big_size));
  const View head = small.from(header.size());
  payload::MemorySource first(head);
  payload::JoinedSource joined(first, big);
  payload::Tree tree(plaintext);
  Status status = payload::hash_all(head.sub(0, payload::kPrefix), plaintext, joined, tree, pool, control);
  if (!status.ok()) return status;
  const payload::Node root = tree.root();
  if (!crypto::equal(View(root.data(), root.size()), View(header.digest.data(), header.digest.size())))
    return Status(Code::PARTS_MISMATCH, "the big part has the right size, but the digest in the small part is another one's");
  return tree;
}

}  // namespace mg::split
