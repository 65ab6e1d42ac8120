// Payload speed against plain parallel pread into the same kind of memory, all from the page cache or memory.
//   payload_bench [threads = all] [MiB = 1024] [folder for the file = /tmp] [engine of SHA-256 = the fastest]
// Rounds are interleaved so that a noisy machine harms all rows alike; medians of 5. "undisturbed" is what the CPU time
// that was used comes to with every thread on a core of its own: the figure to go by where other work shares the machine.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "crypto/sha256_lanes.h"
#include "payload/payload.h"

using namespace mg;
using namespace mg::payload;

namespace {

constexpr int kRounds = 5;

void need(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s: %s\n", code_name(status.code), status.what.c_str());
  std::exit(1);
}

template <class T>
T need(Result<T> result) {
  need(result.status());
  return std::move(*result);
}

struct RegionTarget : Target {
  Region region;
  explicit RegionTarget(uint64_t size) : region(need(Region::allocate(size))) {}
  uint8_t* at(uint64_t chunk) override { return region.data() + chunk * kChunk; }
};

struct Seconds {
  double wall, cpu;
};

struct Row {
  const char* name;
  std::function<Seconds()> round;
  std::vector<double> wall, cpu;
};

double median(std::vector<double> all) {
  std::sort(all.begin(), all.end());
  return all[all.size() / 2];
}

double cpu_seconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const timeval user = usage.ru_utime, system = usage.ru_stime;
  return double(user.tv_sec + system.tv_sec) + double(user.tv_usec + system.tv_usec) / 1e6;
}

Seconds timed(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  const double cpu = cpu_seconds();
  work();
  return {std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), cpu_seconds() - cpu};
}

Status read_all(Source& source, uint8_t* to, uint64_t size, work::Pool& pool, const work::Control& control) {
  const uint64_t unit = kBatchChunks * kChunk;
  return pool.parallel((size + unit - 1) / unit, control,
                       [&](uint64_t i) { return source.read(i * unit, Span(to + i * unit, std::min(unit, size - i * unit))); });
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned threads = argc > 1 && std::atoi(argv[1]) > 0 ? unsigned(std::atoi(argv[1])) : work::available_threads();
  const uint64_t size = (argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1024) << 20;
  const std::string path = std::string(argc > 3 ? argv[3] : "/tmp") + "/mg-payload-bench-" + std::to_string(getpid());
  if (argc > 4) crypto::use_sha256_engine(crypto::find_sha256_engine(argv[4]));
  work::Pool pool(threads);
  work::Control control;
  control.threads = threads;

  uint8_t key[32] = {1}, prefix[kPrefix] = {2};
  const Keys keys = need(derive(View(key), View(prefix).sub(0, kSalt), View(std::string_view("bench"))));
  std::copy_n(keys.commitment, kCommitment, prefix + kSalt);
  Region plain = need(Region::allocate(size)), sealed = need(Region::allocate(payload_size(size)));
  for (uint64_t i = 0; i < size; i += 8) write_be<uint64_t>(plain.data() + i, i * 0x9e3779b97f4a7c15);
  std::copy_n(prefix, kPrefix, sealed.data());
  MemorySource plain_source(View(plain.data(), size)), sealed_source(View(sealed.data(), payload_size(size)));
  MemorySink sealed_sink(Span(sealed.data(), payload_size(size)));
  Tree tree(size);
  auto encrypt = [&](Sink& sink) {
    need(encrypt_range(keys, View(prefix), size, 0, batch_count(size), plain_source, sink, tree, pool, control));
  };
  encrypt(sealed_sink);
  const Node digest = tree.root();

  std::unique_ptr<FileSink> file = need(FileSink::create(path));
  need(file->write(0, View(sealed.data(), payload_size(size))));
  need(file->finish());
  std::unique_ptr<FileSource> file_source = need(FileSource::open(path));

  // Fresh memory for every round, as a load has; wiping it afterwards is no part of the time.
  std::optional<RegionTarget> target;
  auto decrypt = [&](Source& source, bool with_digest) {
    target.reset();
    return timed([&] {
      target.emplace(size);
      Tree seen(size);
      need(decrypt_range(keys, size, 0, chunk_count(size), source, *target, with_digest ? &seen : nullptr, View(prefix), pool,
                         control));
      if (with_digest && seen.root() != digest) std::abort();
    });
  };
  Row rows[] = {
      {"pread, parallel (the peer)",
       [&] {
         target.reset();
         return timed([&] {
           target.emplace(size);
           need(read_all(*file_source, target->region.data(), size, pool, control));
         });
       },
       {},
       {}},
      {"decrypt file", [&] { return decrypt(*file_source, false); }, {}, {}},
      {"decrypt file, with digest", [&] { return decrypt(*file_source, true); }, {}, {}},
      {"decrypt memory", [&] { return decrypt(sealed_source, false); }, {}, {}},
      {"decrypt memory, with digest", [&] { return decrypt(sealed_source, true); }, {}, {}},
      {"encrypt memory, with digest", [&] { return timed([&] { encrypt(sealed_sink); }); }, {}, {}},
      {"encrypt to file, with digest",
       [&] {
         const std::string out = path + "-out";
         std::unique_ptr<FileSink> sink = need(FileSink::create(out));  // removed with it
         return timed([&] { encrypt(*sink); });
       },
       {},
       {}},
      {"digest of memory",
       [&] { return timed([&] { need(hash_all(View(prefix), size, sealed_source, tree, pool, control)); }); },
       {},
       {}},
      {"digest of a file",
       [&] { return timed([&] { need(hash_all(View(prefix), size, *file_source, tree, pool, control)); }); },
       {},
       {}},
  };
  for (int round = -1; round < kRounds; round++)  // one to warm up
    for (Row& row : rows) {
      const Seconds seconds = row.round();
      if (round < 0) continue;
      row.wall.push_back(seconds.wall);
      row.cpu.push_back(seconds.cpu);
    }
  unlink(path.c_str());
  const double peer = median(rows[0].wall), peer_cpu = median(rows[0].cpu), gb = double(size) / 1e9;
  std::printf("%llu MiB, %u threads, SHA-256 by %s, medians of %d, GB/s\n", static_cast<unsigned long long>(size >> 20), threads,
              crypto::sha256_many_engine(), kRounds);
  std::printf("%-30s %8s %8s   %11s %8s\n", "", "seen", "of peer", "undisturbed", "of peer");
  for (const Row& row : rows) {
    const double wall = median(row.wall), cpu = median(row.cpu);
    std::printf("%-30s %8.2f %8.2f   %11.2f %8.2f\n", row.name, gb / wall, peer / wall, gb / cpu * threads, peer_cpu / cpu);
  }
}
