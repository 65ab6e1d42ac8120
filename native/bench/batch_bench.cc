// Measures the steps of a load on one thread, with a batch of 64 chunks (1 MiB): where its time goes.
//   batch_bench [rounds = 200]
// Medians by CPU time of the thread. Rounds are interleaved, so that a noisy machine harms all rows alike.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>

#include "crypto/sha256_lanes.h"
#include "payload/tree.h"

using namespace mg;
using namespace mg::payload;

namespace {

double cpu_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) + double(now.tv_nsec) / 1e9;
}

void need(bool done) {
  if (!done) std::abort();
}

struct Row {
  std::string name;
  std::function<void()> step;
  std::vector<double> seconds;
};

}  // namespace

int main(int argc, char** argv) {
  const size_t rounds = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 200, size = kBatchChunks * kChunk;
  Bytes plain(size), sealed(kBatchChunks * kSealedChunk), read(sealed.size()), opened(size);
  const uint8_t key[32] = {1}, nonce[12] = {2};
  Result<crypto::Gcm> gcm = crypto::Gcm::create(View(key));
  need(gcm.ok() && crypto::random_bytes(Span(plain)).ok());
  for (size_t k = 0; k < kBatchChunks; k++)
    need(gcm->seal(View(nonce), View(), View(plain).sub(k * kChunk, kChunk), sealed.data() + k * kSealedChunk));
  char path[] = "/tmp/mg-batch-bench-XXXXXX";
  const int file = mkstemp(path);
  need(file >= 0 && unlink(path) == 0 && write(file, sealed.data(), sealed.size()) == ssize_t(sealed.size()));

  std::vector<Row> rows;
  rows.push_back(
      {"read from the page cache", [&] { need(pread(file, read.data(), read.size(), 0) == ssize_t(read.size())); }, {}});
  for (const char* name : {"AVX-512", "SHA-NI", "AVX2", "OpenSSL"}) {
    const crypto::Sha256Engine* const engine = crypto::find_sha256_engine(name);
    if (engine == nullptr && name != std::string_view("OpenSSL")) continue;
    const auto hash = [&sealed, engine] {
      crypto::use_sha256_engine(engine);
      need(Tree::hash_batch(View(), View(sealed)).ok());
    };
    rows.push_back({std::string("hash by ") + name, hash, {}});
  }
  const auto decrypt = [&] {
    for (size_t k = 0; k < kBatchChunks; k++)
      need(gcm->open(View(nonce), View(), View(sealed).sub(k * kSealedChunk, kSealedChunk), opened.data() + k * kChunk));
  };
  rows.push_back({"decrypt", decrypt, {}});
  for (size_t round = 0; round <= rounds; round++)
    for (Row& row : rows) {
      const double start = cpu_seconds();
      row.step();
      if (round > 0) row.seconds.push_back(cpu_seconds() - start);
    }
  std::printf("a batch of 1 MiB, one thread, OpenSSL %s, medians of %zu\n", crypto::library_version(), rounds);
  for (Row& row : rows) {
    std::sort(row.seconds.begin(), row.seconds.end());
    const double median = row.seconds[rounds / 2];
    std::printf("%-28s %7.0f us  %6.2f GB/s\n", row.name.c_str(), median * 1e6, double(size) / median / 1e9);
  }
}
