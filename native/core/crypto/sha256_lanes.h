// SHA-256 of several messages at once, each in a lane of the processor's vectors. The engines are three functions of libipsec-mb
// (docs/decisions/0031); a build without it has none.
#pragma once
#include "crypto/crypto.h"

namespace mg::crypto {

constexpr size_t kSha256MaxLanes = 16;

// The argument of those functions, as libipsec-mb lays it out (SHA256_ARGS).
struct Sha256Lanes {
  alignas(64) uint32_t words[8 * kSha256MaxLanes];
  const uint8_t* data[kSha256MaxLanes];
};

struct Sha256Engine {
  const char* name;
  size_t lanes;
  size_t fewest;                // messages, below which OpenSSL is faster
  size_t word_step, lane_step;  // word w of lane l is words[w * word_step + l * lane_step]
  bool (*supported)();
  void (*compress)(Sha256Lanes*, uint64_t blocks);  // takes as many blocks of 64 bytes from every lane's data, one at least

  void hash(const Message* messages, size_t count, Sha256* digests) const;  // count <= lanes
};

// The fastest engine that is compiled in and that this processor can run, or the one of this name; null if there is none.
const Sha256Engine* find_sha256_engine(std::string_view name = {});
// For tests: from now on sha256_many() uses this engine, or OpenSSL alone for null.
void use_sha256_engine(const Sha256Engine* engine);

}  // namespace mg::crypto
