// Encryption and decryption leave no copy of a key or of the plaintext in memory, even while the threads still live.
#include <thread>

#include "payload/payload_support.h"
#include "support/memory_scan.h"

using namespace payload_test;
using test::Hidden;

namespace {

struct RegionTarget : Target {
  Region region;
  explicit RegionTarget(Region r) : region(std::move(r)) {}
  uint8_t* at(uint64_t chunk) override { return region.data() + chunk * kChunk; }
};

// The needle stands at the start of every chunk.
Region plaintext_of(const Hidden& needle, uint64_t size) {
  Result<Region> region = Region::allocate(size);
  REQUIRE(region.ok());
  const Secret shown = needle.show();
  for (uint64_t at = 0; at + needle.size() <= size; at += kChunk)
    std::memcpy(region->data() + at, shown.reveal().data, shown.size());
  return std::move(*region);
}

void seal_and_open(const Hidden& data_key, const Hidden& needle, work::Pool& pool, Hidden* message_key) {
  const uint64_t size = 300 * kChunk + 100;
  work::Control control;
  Bytes sealed(payload_size(size));
  {
    const Secret key = data_key.show();
    Result<Keys> keys = derive(key.reveal(), View(sealed).sub(0, kSalt), View(std::string_view("memory")));
    REQUIRE(keys.ok());
    *message_key = Hidden::of(keys->key);
    const Region plain = plaintext_of(needle, size);
    MemorySource from(View(plain.data(), size));
    MemorySink to{Span(sealed)};
    Tree tree(size);
    const Bytes prefix = View(sealed).sub(0, kPrefix).copy();
    REQUIRE(encrypt_range(*keys, View(prefix), size, 0, batch_count(size), from, to, tree, pool, control).ok());
    Result<Region> place = Region::allocate(size);
    REQUIRE(place.ok());
    RegionTarget target(std::move(*place));
    MemorySource source{View(sealed)};
    REQUIRE(decrypt_range(*keys, size, 0, chunk_count(size), source, target, &tree, View(prefix), pool, control).ok());
    REQUIRE(std::memcmp(target.region.data(), plain.data(), size) == 0);
    Reader reader(*keys, View(prefix), size, source, &tree);
    REQUIRE(reader.read(10, Span(target.region.data(), 5 * kChunk), pool, control).ok());
    sealed[chunk_offset(100)] ^= 1;  // and on the way of failure
    CHECK(decrypt_range(*keys, size, 0, chunk_count(size), source, target, nullptr, View(), pool, control).code ==
          Code::INTEGRITY_FAILED);
  }
}

}  // namespace

TEST_CASE("memory: threads and callers keep no copy of keys or plaintext") {
  const Hidden data_key = Hidden::made_up(32, 31), needle = Hidden::made_up(64, 32);
  work::Pool pool(3);
  Hidden message_key = data_key;
  test::run_deep([&] { seal_and_open(data_key, needle, pool, &message_key); });
  const std::optional<size_t> of_data_key = test::copies_in_memory(data_key);
  if (!of_data_key) {
    MESSAGE("SKIPPED: memory cannot be searched here");
    return;
  }
  CHECK(*of_data_key == 0);
  CHECK(test::copies_in_memory(message_key).value() == 0);
  CHECK(test::copies_in_memory(needle).value() == 0);

  // The search itself finds what is there.
  const Secret shown = needle.show();
  CHECK(test::copies_in_memory(needle).value() > 0);
}

namespace {

// As cipher code does: a copy in its frame, gone out of scope but not out of memory.
__attribute__((noinline)) uint8_t careless(const Hidden& needle) {
  volatile uint8_t copy[8192];
  const Secret shown = needle.show();
  for (size_t at = 0; at + shown.size() <= sizeof copy; at += shown.size())
    for (size_t i = 0; i < shown.size(); i++) copy[at + i] = shown.reveal()[i];
  return copy[100];
}

}  // namespace

TEST_CASE("memory: the stack below a task is wiped, on pool threads and on the caller's") {
  const Hidden needle = Hidden::made_up(64, 33);
  work::Pool pool(3);
  work::Control control;
  const auto leave_copies = [&](uint64_t) { return careless(needle), Status(); };
  test::run_deep([&] {
    CHECK(pool.parallel(200, control, leave_copies).ok());
    control.threads = 1;
    CHECK(pool.parallel(1, control, leave_copies).ok());
  });
  {
    std::mutex mutex;
    std::condition_variable wake;
    int done = 0;
    for (int i = 0; i < 6; i++)
      pool.submit([&] {
        careless(needle);
        std::lock_guard<std::mutex> lock(mutex);
        done++;
        wake.notify_all();
      });
    std::unique_lock<std::mutex> lock(mutex);
    wake.wait(lock, [&] { return done == 6; });
  }
  // Each thread wipes its stack before it takes the next job, so these start only after the wipe.
  std::atomic<unsigned> arrived{0};
  for (unsigned i = 0; i < pool.size(); i++)
    pool.submit([&] {
      arrived++;
      while (arrived < pool.size()) std::this_thread::yield();
      arrived++;
    });
  while (arrived < 2 * pool.size()) std::this_thread::yield();
  const std::optional<size_t> copies = test::copies_in_memory(needle);
  if (copies) CHECK(*copies == 0);
}
