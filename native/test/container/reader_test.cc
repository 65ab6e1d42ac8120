// Random access to a container on disk: the same bytes as load() gives, and nothing that is not authentic.
#include "container/reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <random>

#include "container/container_support.h"
#include "payload/payload_support.h"

using namespace container_test;
using payload_test::noise;
using test::test_seed;

namespace {

struct OnDisk {
  std::string path;
  explicit OnDisk(View bytes) {
    char name[] = "/tmp/mg-reader-XXXXXX";
    const int fd = mkstemp(name);
    REQUIRE(fd >= 0);
    path = name;
    write(fd, bytes, 0);
    close(fd);
  }
  ~OnDisk() { unlink(path.c_str()); }
  void put(View bytes, off_t at) {
    const int fd = open(path.c_str(), O_WRONLY);
    struct stat before;
    REQUIRE((fd >= 0 && fstat(fd, &before) == 0));
    write(fd, bytes, at);
    close(fd);
    // File systems count time in ticks, and this may all be within one.
    const timespec times[] = {{0, UTIME_OMIT}, {before.st_mtime + 1, 0}};
    REQUIRE(utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
  }

 private:
  static void write(int fd, View bytes, off_t at) { REQUIRE(pwrite(fd, bytes.data, bytes.size, at) == ssize_t(bytes.size)); }
};

// The payload of `small` and a file. A read calls `on_read` first.
struct Payload : payload::Source {
  Bytes head;
  payload::MemorySource first;
  std::unique_ptr<payload::SteadyFile> big;
  payload::JoinedSource joined;
  std::function<void(uint64_t offset)> on_read;
  Payload(View h, std::unique_ptr<payload::SteadyFile> b)
      : head(h.copy()), first(View(head)), big(std::move(b)), joined(first, *big) {}
  uint64_t size() const override { return joined.size(); }
  Status read(uint64_t offset, Span out) override {
    if (on_read) on_read(offset);
    return joined.read(offset, out);
  }
  Status check_unchanged() override { return joined.check_unchanged(); }
};

struct World {
  work::Pool pool{3};
  std::shared_ptr<const keys::Key> master = new_key(keys::Type::master), publisher = new_key(keys::Type::signing);
  Bytes large = noise(3000001, test_seed()), exact = noise(size_t(payload::kChunk), 2), last = noise(20000, 3);
  ContainerParts made =
      make({Input{"a", "", View(large)}, Input{"b", "", View()}, Input{"c", "", View(exact)}, Input{"d", "", View(last)}},
           SealOptions{{shared(master)}, publisher}, pool);
  const View files[4] = {View(large), View(), View(exact), View(last)};

  Trust trust(bool publishers) const {
    Trust out;
    if (publishers) out.publishers = {publisher->ed25519_public()};
    return out;
  }
  std::shared_ptr<Payload> payload(const std::string& path, uint64_t base = 0) {
    auto big = payload::SteadyFile::open(path, payload::SteadyFile::Links::follow, base);
    REQUIRE(big.ok());
    return std::make_shared<Payload>(View(made.small).from(made.header_size), std::move(*big));
  }
  Result<std::unique_ptr<Reader>> reader(std::shared_ptr<Payload> payload, bool publishers, const work::Control& control = {}) {
    auto opened = OpenContainer::open(View(made.small), {master}, trust(publishers));
    REQUIRE(opened.ok());
    const size_t big_offset = made.small.size() - made.header_size;
    return Reader::create(std::shared_ptr<const OpenContainer>(std::move(*opened)), std::move(payload), big_offset, pool,
                          control);
  }
  Code code(const std::string& path, bool publishers) { return reader(payload(path), publishers).status().code; }
  Result<Reader::Piece> read(Reader& from, uint64_t index, uint64_t offset, uint64_t length) {
    return from.read(index, offset, length, pool, work::Control());
  }
};

Bytes changed(Bytes bytes, size_t at) {
  bytes[at] ^= 1;
  return bytes;
}

}  // namespace

TEST_CASE("reader: the same bytes as loading gives, at any offset") {
  World w;
  const OnDisk file(View(w.made.big)), whole(View(w.made.whole()));
  auto loaded = open(View(w.made.small), View(w.made.big), {w.master}, w.pool);
  REQUIRE(loaded.ok());
  std::mt19937_64 random(test_seed());
  for (const bool publishers : {false, true}) {
    for (const auto& payload : {w.payload(file.path), w.payload(whole.path, w.made.small.size())}) {
      auto reader = w.reader(payload, publishers);
      REQUIRE_MESSAGE(reader.ok(), reader.status().what);
      REQUIRE((*reader)->files().size() == loaded->size());
      for (size_t i = 0; i < loaded->size(); i++) {
        const LoadedFile& expected = (*loaded)[i];
        CHECK((*reader)->files()[i].path == expected.path);
        CHECK((*reader)->files()[i].size == expected.size);
        for (int round = 0; round < 40; round++) {
          const uint64_t offset = random() % (expected.size + 1),
                         length = round ? random() % (expected.size - offset + 1) : expected.size - offset;
          auto piece = w.read(**reader, i, offset, length);
          REQUIRE_MESSAGE(piece.ok(), piece.status().what);
          CHECK(equal(piece->bytes(), View(expected.region.data() + offset, size_t(length))));
        }
      }
    }
  }
}

TEST_CASE("reader: ranges that are in no file, and longer ones than allowed") {
  World w;
  const OnDisk file(View(w.made.big));
  auto reader = w.reader(w.payload(file.path), false);
  REQUIRE(reader.ok());
  const uint64_t most = UINT64_MAX;
  const uint64_t wrong[][3] = {{4, 0, 0},       {most, 0, 0}, {0, 3000002, 0}, {0, 3000001, 1},
                               {0, 1, 3000001}, {0, most, 1}, {0, 1, most},    {1, 0, 1}};
  for (const auto& [index, offset, length] : wrong)
    CHECK(w.read(**reader, index, offset, length).status().code == Code::INVALID_ARGUMENT);
  CHECK(w.read(**reader, 0, 3000001, 0).ok());
  CHECK(w.read(**reader, 1, 0, 0).ok());

  const Bytes huge(size_t(Reader::kMaxRead) + 1);
  const ContainerParts made = make({Input{"huge", "", View(huge)}}, SealOptions{{shared(w.master)}, nullptr}, w.pool);
  w.made = made;
  const OnDisk big(View(made.big));
  auto other = w.reader(w.payload(big.path), false);
  REQUIRE(other.ok());
  CHECK(w.read(**other, 0, 0, Reader::kMaxRead + 1).status().code == Code::LIMIT_EXCEEDED);
  auto piece = w.read(**other, 0, 1, Reader::kMaxRead);
  REQUIRE(piece.ok());
  CHECK(equal(piece->bytes(), View(huge).from(1)));
}

TEST_CASE("reader: with the stored tree it reads what it needs, by any source, and with another tree everything") {
  World w;
  const OnDisk file(View(w.made.big));
  const auto opened = [&] {
    auto container = OpenContainer::open(View(w.made.small), {w.master}, w.trust(true));
    REQUIRE(container.ok());
    return std::shared_ptr<const OpenContainer>(std::move(*container));
  };
  const uint64_t plaintext = opened()->header().core.plaintext_size;
  payload::Tree tree(plaintext);
  REQUIRE(payload::hash_all(opened()->prefix(), plaintext, *w.payload(file.path), tree, w.pool, work::Control()).ok());
  Bytes stored = tree.stored();
  for (const bool right : {true, false}) {
    if (!right) stored[0] ^= 1;
    std::atomic<int> reads{0}, others{0};
    auto payload = w.payload(file.path), other = w.payload(file.path);
    payload->on_read = [&](uint64_t) { reads++; };
    other->on_read = [&](uint64_t) { others++; };
    auto reader =
        Reader::create(opened(), payload, w.made.small.size() - w.made.header_size, w.pool, work::Control(), View(stored));
    REQUIRE(reader.ok());
    // The last chunk twice and the first batch twice; with another tree, three batches before.
    CHECK(reads == (right ? 4 : 7));
    auto piece = (*reader)->read(0, 2000000, 77, w.pool, work::Control(), {other.get(), 77});
    REQUIRE(piece.ok());
    CHECK(reads == (right ? 4 : 7));
    CHECK(others == 1);
    const Region taken = piece->take();
    CHECK(equal(View(taken.data(), 77), View(w.large).sub(2000000, 77)));
    CHECK((*reader)->read(0, 0, 78, w.pool, work::Control(), {other.get(), 77}).status().code == Code::LIMIT_EXCEEDED);
  }
}

TEST_CASE("reader: a changed chunk gives nothing of itself, and with publishers to trust, nothing at all") {
  World w;
  const size_t at = w.made.big.size() / 2;
  const OnDisk file(View(changed(w.made.big, at)));
  CHECK(w.code(file.path, true) == Code::DIGEST_MISMATCH);
  auto reader = w.reader(w.payload(file.path), false);
  REQUIRE(reader.ok());
  size_t refused = 0;
  for (uint64_t offset = 0; offset + 1000 < w.large.size(); offset += 1000) {
    auto piece = w.read(**reader, 0, offset, 1000);
    if (piece.ok()) CHECK(equal(piece->bytes(), View(w.large).sub(size_t(offset), 1000)));
    else CHECK(piece.status().code == Code::INTEGRITY_FAILED);
    refused += !piece.ok();
  }
  CHECK(refused >= 16);
  CHECK(refused <= 18);

  // The last chunk is authenticated first, and the manifest before anything is shown.
  const OnDisk end(View(changed(w.made.big, w.made.big.size() - 1))), begin(View(changed(w.made.big, 0)));
  CHECK(w.code(end.path, false) == Code::INTEGRITY_FAILED);
  CHECK(w.code(end.path, true) == Code::INTEGRITY_FAILED);
  CHECK(w.code(begin.path, false) == Code::INTEGRITY_FAILED);
}

TEST_CASE("reader: padding that is not zero is refused where it is read") {
  // The data key is enough to make authentic chunks.
  World w;
  auto opened = OpenContainer::open(View(w.made.small), {w.master}, Trust());
  REQUIRE(opened.ok());
  const payload::Keys& keys = (*opened)->keys();
  const uint64_t tail = w.large.size() % payload::kChunk,
                 chunk = 1 + w.large.size() / payload::kChunk;  // one chunk of manifest before
  Bytes plain = View(w.large).from(size_t(w.large.size() - tail)).copy();
  plain.resize(payload::kChunk);
  plain.back() = 1;
  auto gcm = crypto::Gcm::create(keys.key.reveal());
  REQUIRE(gcm.ok());
  uint8_t nonce[12];
  payload::chunk_nonce(keys.base_nonce, chunk, nonce);
  Bytes big = w.made.big;
  const size_t head = w.made.small.size() - w.made.header_size;
  REQUIRE(gcm->seal(View(nonce), View(), View(plain), big.data() + (payload::chunk_offset(chunk) - head)));
  const OnDisk file{View(big)};
  auto reader = w.reader(w.payload(file.path), false);
  REQUIRE(reader.ok());
  CHECK(w.read(**reader, 0, w.large.size() - 1, 1).status().code == Code::MANIFEST_INVALID);
  CHECK(w.read(**reader, 0, w.large.size() - tail - 1, 1).ok());
  CHECK(open(View(w.made.small), View(big), {w.master}, w.pool).status().code == Code::MANIFEST_INVALID);
  CHECK(w.code(file.path, true) == Code::DIGEST_MISMATCH);
}

TEST_CASE("reader: a part of another length, or of another container") {
  World w;
  Bytes longer = w.made.big;
  longer.push_back(0);
  const OnDisk shorter(View(w.made.big).sub(0, w.made.big.size() - 1)), longer_file{View(longer)},
      other{View(noise(w.made.big.size(), 9))};
  for (const bool publishers : {false, true}) {
    CHECK(w.code(shorter.path, publishers) == Code::PARTS_MISMATCH);
    CHECK(w.code(longer_file.path, publishers) == Code::PARTS_MISMATCH);
  }
  CHECK(w.code(other.path, false) == Code::PARTS_MISMATCH);
  CHECK(w.code(other.path, true) == Code::PARTS_MISMATCH);
  CHECK(payload::SteadyFile::open(shorter.path, payload::SteadyFile::Links::follow, w.made.big.size()).status().code ==
        Code::CONTAINER_TRUNCATED);
}

TEST_CASE("reader: a change of the file is reported at every read") {
  World w;
  for (const bool publishers : {false, true}) {
    OnDisk file(View(w.made.big));
    auto reader = w.reader(w.payload(file.path), publishers);
    REQUIRE(reader.ok());
    REQUIRE(w.read(**reader, 2, 0, 100).ok());
    file.put(View(w.made.big).sub(0, 1), 0);  // the same byte
    CHECK(w.read(**reader, 2, 0, 100).status().code == Code::SOURCE_CHANGED);
    CHECK(w.read(**reader, 1, 0, 0).status().code == Code::SOURCE_CHANGED);
    file.put(View(w.made.big).sub(0, 1), 0);
    CHECK(w.read(**reader, 2, 0, 100).status().code == Code::SOURCE_CHANGED);
    unlink(file.path.c_str());
    CHECK(w.read(**reader, 2, 0, 100).status().code == Code::SOURCE_CHANGED);
  }
  // While it is checked
  OnDisk file(View(w.made.big));
  auto payload = w.payload(file.path);
  std::atomic<bool> done{false};
  payload->on_read = [&](uint64_t) {
    if (!done.exchange(true)) file.put(View(w.made.big).sub(0, 1), 0);
  };
  CHECK(w.reader(payload, true).status().code == Code::SOURCE_CHANGED);
}

TEST_CASE("reader: the check reports progress and can be cancelled") {
  World w;
  const OnDisk file(View(w.made.big));
  work::Control control;
  uint64_t most = 0;
  control.progress = [&](uint64_t done) { most = std::max(most, done); };
  REQUIRE(w.reader(w.payload(file.path), true, control).ok());
  auto opened = OpenContainer::open(View(w.made.small), {w.master}, Trust());
  REQUIRE(opened.ok());
  CHECK(most == (*opened)->header().core.plaintext_size);

  for (const bool publishers : {false, true}) {
    work::Control cancelled;
    cancelled.threads = 1;
    auto payload = w.payload(file.path);
    payload->on_read = [&](uint64_t) { cancelled.cancelled = true; };
    CHECK(w.reader(payload, publishers, cancelled).status().code == Code::ABORT_ERR);
  }
  auto payload = w.payload(file.path);
  auto reader = w.reader(payload, false);
  REQUIRE(reader.ok());
  work::Control cancelled;
  cancelled.threads = 1;
  payload->on_read = [&](uint64_t) { cancelled.cancelled = true; };
  CHECK((*reader)->read(0, 0, w.large.size(), w.pool, cancelled).status().code == Code::ABORT_ERR);
}
