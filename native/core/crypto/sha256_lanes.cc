#include "crypto/sha256_lanes.h"

#include <algorithm>

#ifdef MG_IPSEC_MB
#include <cpuid.h>

extern "C" {  // their whole second register counts, although their header says uint32_t
void call_sha256_x16_avx512_from_c(mg::crypto::Sha256Lanes*, uint64_t blocks);
void call_sha256_ni_x2_sse_from_c(mg::crypto::Sha256Lanes*, uint64_t blocks);
void call_sha256_oct_avx2_from_c(mg::crypto::Sha256Lanes*, uint64_t blocks);
}
#endif

namespace mg::crypto {
namespace {

constexpr size_t kBlock = 64;
constexpr uint32_t kInitial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,  // FIPS 180-4, 5.3.3
                                  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

// One message as runs of whole blocks: the first block with the prefix, then those that lie in the body, which are not copied, and the
// last one or two with the padding of FIPS 180-4, 5.1.1.
class Lane {
 public:
  void start(const Message& message) {
    const View prefix = message.prefix;
    View rest = message.body;
    size_t filled = prefix.size;  // bytes of last_
    if (prefix.size + rest.size < kBlock) {
      std::copy(prefix.begin(), prefix.end(), last_);
    } else {
      const size_t taken = kBlock - prefix.size, inside = (rest.size - taken) / kBlock;
      std::copy_n(rest.data, taken, std::copy(prefix.begin(), prefix.end(), first_));
      runs_[0] = {first_, 1};
      runs_[1] = {rest.data + taken, inside};
      rest = rest.from(taken + inside * kBlock);
      filled = 0;
    }
    std::copy(rest.begin(), rest.end(), last_ + filled);
    filled += rest.size;
    last_[filled] = 0x80;
    const size_t blocks = filled + 9 > kBlock ? 2 : 1;
    write_be(last_ + blocks * kBlock - 8, uint64_t(prefix.size + message.body.size) * 8);
    runs_[2] = {last_, blocks};
    at_ = runs_;
    skip_empty();
  }
  bool busy() const { return at_ != runs_ + 3; }
  const uint8_t* data() const { return at_->data; }
  size_t blocks() const { return at_->blocks; }  // that follow one another at data()
  void advance(size_t blocks) {
    at_->data += blocks * kBlock;
    at_->blocks -= blocks;
    skip_empty();
  }

 private:
  struct Run {
    const uint8_t* data = nullptr;
    size_t blocks = 0;
  };
  void skip_empty() {
    while (busy() && at_->blocks == 0) at_++;
  }

  uint8_t first_[kBlock], last_[2 * kBlock] = {};
  Run runs_[3];
  Run* at_ = runs_ + 3;
};

#ifdef MG_IPSEC_MB
// These words stand for the processor and for the system, which has to keep the registers when it changes threads.
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}
bool has_avx2() { return __builtin_cpu_supports("avx2"); }
bool has_sha() {  // CPUID 7, EBX, bit 29; GCC 10 has no word for it
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __builtin_cpu_supports("sse4.1") && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b >> 29 & 1) != 0;
}

constexpr Sha256Engine kEngines[] = {
    {"AVX-512", 16, 6, 16, 1, has_avx512, call_sha256_x16_avx512_from_c},
    {"SHA-NI", 2, 2, 1, 8, has_sha, call_sha256_ni_x2_sse_from_c},
    {"AVX2", 8, 3, 16, 1, has_avx2, call_sha256_oct_avx2_from_c},
};
#endif

}  // namespace

const Sha256Engine* find_sha256_engine([[maybe_unused]] std::string_view name) {
#ifdef MG_IPSEC_MB
  for (const Sha256Engine& engine : kEngines)
    if ((name.empty() || name == engine.name) && engine.supported()) return &engine;
#endif
  return nullptr;
}

void Sha256Engine::hash(const Message* messages, size_t count, Sha256* digests) const {
  Lane all[kSha256MaxLanes];
  Sha256Lanes state{};
  const auto word = [&](size_t lane, size_t w) -> uint32_t& { return state.words[w * word_step + lane * lane_step]; };
  for (size_t l = 0; l < count; l++) {
    all[l].start(messages[l]);
    for (size_t w = 0; w < 8; w++) word(l, w) = kInitial[w];
  }
  for (size_t left = count; left > 0;) {
    size_t blocks = SIZE_MAX;
    const uint8_t* spare = nullptr;  // an idle lane takes the data of a busy one; its result is not used
    for (const Lane& lane : all) {
      if (!lane.busy()) continue;
      blocks = std::min(blocks, lane.blocks());
      spare = lane.data();
    }
    for (size_t l = 0; l < lanes; l++) state.data[l] = all[l].busy() ? all[l].data() : spare;
    compress(&state, blocks);
    for (size_t l = 0; l < count; l++) {
      if (!all[l].busy()) continue;
      all[l].advance(blocks);
      if (all[l].busy()) continue;
      for (size_t w = 0; w < 8; w++) write_be(digests[l].data() + 4 * w, word(l, w));
      left--;
    }
  }
}

}  // namespace mg::crypto
