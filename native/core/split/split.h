// Cuts a container into small and big part, and checks that two parts belong together (docs/format.md, section 10).
#pragma once
#include "container/header.h"
#include "payload/io.h"
#include "payload/tree.h"
#include "work/pool.h"

namespace mg::split {

constexpr uint64_t kMaxBytes = 3072;
constexpr double kRatio = 0.3;

struct Rule {
  uint64_t max_bytes = kMaxBytes;  // 0 to 16 MiB
  double ratio = kRatio;           // 0 to 0.9
};

// Container offset of the cut. INVALID_ARGUMENT for a rule out of range.
Result<uint64_t> cut(size_t header_length, uint64_t payload_length, const Rule& rule);

// The facts of a small part about its big part.
struct Parts {
  container::Header header;
  uint64_t big_offset;  // payload offset at which the big part begins
  uint64_t big_size;
};
// CONTAINER_TRUNCATED if it ends before header + 56, PARTS_MISMATCH if it has no room for a big part.
Result<Parts> describe(View small);

// Checks that the parts belong together: the size first, then the digest over both. Needs no key. The tree, or PARTS_MISMATCH.
Result<payload::Tree> check(View small, payload::Source& big, work::Pool& pool, const work::Control& control);

}  // namespace mg::split
