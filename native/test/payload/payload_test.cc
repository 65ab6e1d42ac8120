#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "payload/payload_support.h"

using namespace payload_test;

namespace {

Bytes sealed_chunk(const Message& message, uint64_t k) {
  const size_t from = chunk_offset(k), size = plain_length(message.plain.size(), k) + kTag;
  return View(message.sealed).sub(from, size).copy();
}

Bytes joined(const Message& message, const std::vector<Bytes>& chunks) {
  Bytes out = message.prefix().copy();
  for (const Bytes& chunk : chunks) append(out, View(chunk));
  return out;
}

std::string temporary(const char* name) { return "/tmp/mg-payload-test-" + std::to_string(getpid()) + "-" + name; }

}  // namespace

TEST_CASE("layout: every payload length gives its plaintext size, no other length does") {
  for (uint64_t size : {uint64_t(0), uint64_t(1), kChunk - 1, kChunk, kChunk + 1, 64 * kChunk, kMaxPlaintext}) {
    uint64_t back = 1;
    REQUIRE(plaintext_size(payload_size(size), &back));
    CHECK(back == size);
  }
  uint64_t ignored;
  for (uint64_t length = 0; length < kPrefix + kTag; length++) CHECK(!plaintext_size(length, &ignored));
  for (uint64_t rest = 0; rest < kTag; rest++) CHECK(!plaintext_size(kPrefix + kSealedChunk + rest, &ignored));
}

TEST_CASE("nonce: the counter is XORed as a 96-bit big-endian integer") {
  uint8_t base[12], nonce[12];
  std::memset(base, 0xf0, sizeof base);
  chunk_nonce(base, 0x0102030405060708, nonce);
  const uint8_t expected[12] = {0xf0, 0xf0, 0xf0, 0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8};
  CHECK(equal(View(nonce), View(expected)));
}

TEST_CASE("round trip: sizes around chunks and batches, one to four threads") {
  work::Pool pool(4);
  const uint64_t random_size = 3'000'000 + test_seed() % 300'000;
  for (uint64_t size : {uint64_t(0), uint64_t(1), uint64_t(16383), uint64_t(16384), uint64_t(16385), uint64_t(49152),
                        64 * kChunk - 1, 64 * kChunk, 64 * kChunk + 1, random_size}) {
    CAPTURE(size);
    Bytes first;
    for (unsigned threads = 1; threads <= 4; threads++) {
      CAPTURE(threads);
      work::Control control;
      control.threads = threads;
      std::vector<uint64_t> seen;
      control.progress = [&](uint64_t done) { seen.push_back(done); };
      Message message = seal(noise(size, test_seed()), pool, control);
      if (threads == 1) first = message.sealed;
      CHECK(message.sealed == first);
      CHECK(seen.size() == batch_count(size));
      CHECK(std::is_sorted(seen.begin(), seen.end()));
      CHECK(seen.back() == size);
      Tree tree(size);
      Opening opening = open_all(message.keys, View(message.sealed), &tree, pool, control);
      REQUIRE_MESSAGE(opening.status.ok(), opening.status.what);
      CHECK(opening.plain == message.plain);
      CHECK(tree.root() == message.tree.root());
      CHECK(seen.back() == size);
      Tree hashed(size);
      MemorySource source{View(message.sealed)};
      REQUIRE(hash_all(message.prefix(), size, source, hashed, pool, control).ok());
      CHECK(hashed.root() == tree.root());
    }
  }
}

TEST_CASE("encrypting in pieces gives the same bytes as all at once") {
  work::Pool pool(2);
  work::Control control;
  Message message = seal(noise(200 * kChunk + 77, 5), pool, control);
  const uint64_t size = message.plain.size();
  const Bytes prefix = message.prefix().copy();
  Bytes sealed = prefix;
  sealed.resize(message.sealed.size());
  Tree tree(size);
  MemorySource plain{View(message.plain)};
  MemorySink out{Span(sealed)};
  auto piece = [&](uint64_t first, uint64_t count) {
    return encrypt_range(message.keys, View(prefix), size, first, count, plain, out, tree, pool, control).code;
  };
  CHECK(piece(0, 1) == Code::OK);
  CHECK(piece(1, 2) == Code::OK);
  CHECK(piece(3, 0) == Code::OK);
  CHECK(piece(3, 1) == Code::OK);
  CHECK(piece(4, 1) == Code::INVALID_ARGUMENT);
  CHECK(piece(1, UINT64_MAX) == Code::INVALID_ARGUMENT);
  CHECK(sealed == message.sealed);
  CHECK(tree.root() == message.tree.root());
  CHECK(encrypt_range(message.keys, View(prefix).from(1), size, 0, 1, plain, out, tree, pool, control).code ==
        Code::INVALID_ARGUMENT);
}

TEST_CASE("chunks that are reordered, doubled, dropped or of another message are refused, and the target is wiped") {
  work::Pool pool(2);
  work::Control control;
  Message message = seal(noise(3 * kChunk + 100, 7), pool, control, 7);
  Message other = seal(noise(3 * kChunk + 100, 8), pool, control, 8);
  std::vector<Bytes> c;
  for (uint64_t k = 0; k < 4; k++) c.push_back(sealed_chunk(message, k));
  Bytes flipped = c[1];
  flipped[12345] ^= 1;
  Bytes flipped_tag = c[3];
  flipped_tag.back() ^= 0x80;
  REQUIRE(open_all(message.keys, View(joined(message, c)), nullptr, pool, control).status.ok());
  const std::vector<std::vector<Bytes>> wrong = {{c[1], c[0], c[2], c[3]},
                                                 {c[0], c[0], c[2], c[3]},
                                                 {c[0], c[2], c[3]},
                                                 {c[0], c[1], c[3]},
                                                 {c[0], c[1], c[2], c[2]},
                                                 {c[1], c[2], c[3]},
                                                 {c[0], c[1], c[2], c[3], c[3]},
                                                 {c[3]},
                                                 {c[0], sealed_chunk(other, 1), c[2], c[3]},
                                                 {c[0], c[1], c[2], sealed_chunk(other, 3)},
                                                 {c[0], flipped, c[2], c[3]},
                                                 {c[0], c[1], c[2], flipped_tag}};
  for (size_t i = 0; i < wrong.size(); i++) {
    CAPTURE(i);
    Opening opening = open_all(message.keys, View(joined(message, wrong[i])), nullptr, pool, control);
    CHECK(!opening.status.ok());
    CHECK(opening.plain.empty());
  }
  CHECK(!open_all(other.keys, View(message.sealed), nullptr, pool, control).status.ok());

  Bytes bad = joined(message, {c[0], flipped, c[2], c[3]});
  MemorySource source{View(bad)};
  FlatTarget target(message.plain.size());
  Status status = decrypt_range(message.keys, message.plain.size(), 1, 1, source, target, nullptr, View(), pool, control);
  CHECK(status.code == Code::INTEGRITY_FAILED);
  for (size_t i = 0; i < kChunk; i++) REQUIRE(target.bytes[kChunk + i] == 0);
  CHECK(target.bytes[0] == 0xee);
  CHECK(target.bytes[2 * kChunk] == 0xee);
}

TEST_CASE("decrypt_range: refuses bad ranges and sources that end early") {
  work::Pool pool(1);
  work::Control control;
  Message message = seal(noise(130 * kChunk, 9), pool, control);
  const uint64_t size = message.plain.size(), chunks = chunk_count(size);
  MemorySource source{View(message.sealed)};
  FlatTarget target(size);
  Tree tree(size);
  auto run = [&](uint64_t first, uint64_t count, Tree* t) {
    return decrypt_range(message.keys, size, first, count, source, target, t, message.prefix(), pool, control).code;
  };
  CHECK(run(0, 0, nullptr) == Code::OK);
  CHECK(run(chunks, 0, nullptr) == Code::OK);
  CHECK(run(chunks, 1, nullptr) == Code::INVALID_ARGUMENT);
  CHECK(run(1, UINT64_MAX, nullptr) == Code::INVALID_ARGUMENT);
  CHECK(run(1, 63, &tree) == Code::INVALID_ARGUMENT);
  CHECK(run(0, 63, &tree) == Code::INVALID_ARGUMENT);
  CHECK(run(64, chunks - 64, &tree) == Code::OK);
  CHECK(tree.node(1) == message.tree.node(1));
  CHECK(tree.node(2) == message.tree.node(2));
  CHECK(run(63, 2, nullptr) == Code::OK);
  CHECK(equal(View(target.bytes).sub(63 * kChunk, 2 * kChunk), View(message.plain).sub(63 * kChunk, 2 * kChunk)));
  MemorySource truncated(View(message.sealed).sub(0, message.sealed.size() - 1));
  CHECK(decrypt_range(message.keys, size, 0, chunks, truncated, target, nullptr, View(), pool, control).code ==
        Code::CONTAINER_TRUNCATED);
  CHECK(decrypt_range(message.keys, kMaxPlaintext + 1, 0, 1, source, target, nullptr, View(), pool, control).code ==
        Code::INVALID_ARGUMENT);
}

TEST_CASE("random access equals a slice") {
  work::Pool pool(2);
  work::Control control;
  std::mt19937_64 random(test_seed());
  for (uint64_t size : {uint64_t(0), uint64_t(1), kChunk, 3 * kChunk + 5, 64 * kChunk, 130 * kChunk + 4321}) {
    CAPTURE(size);
    Message message = seal(noise(size, size), pool, control);
    MemorySource source{View(message.sealed)};
    Reader plain_reader(message.keys, message.prefix(), size, source, nullptr);
    Reader checked_reader(message.keys, message.prefix(), size, source, &message.tree);
    for (int i = 0; i < 60; i++) {
      uint64_t offset = random() % (size + 1), length = random() % (size - offset + 1);
      if (i % 3 == 0) length = std::min<uint64_t>(length, random() % 100);
      if (i % 5 == 0) offset = offset / kChunk * kChunk;
      if (i == 0) offset = 0, length = size;
      CAPTURE(offset);
      CAPTURE(length);
      for (Reader* reader : {&plain_reader, &checked_reader}) {
        Bytes out(length, 0xaa);
        Status status = reader->read(offset, Span(out), pool, control);
        REQUIRE_MESSAGE(status.ok(), status.what);
        REQUIRE(equal(View(out), View(message.plain).sub(offset, length)));
      }
    }
    Bytes one(1);
    CHECK(plain_reader.read(size, Span(one), pool, control).code == Code::INVALID_ARGUMENT);
    CHECK(plain_reader.read(UINT64_MAX, Span(one), pool, control).code == Code::INVALID_ARGUMENT);
    CHECK(plain_reader.read(size + 1, Span(), pool, control).code == Code::INVALID_ARGUMENT);
    CHECK(plain_reader.read(size, Span(), pool, control).ok());
  }
}

TEST_CASE("random access refuses a truncated payload even where the touched chunks are intact") {
  work::Pool pool(1);
  work::Control control;
  Message message = seal(noise(5 * kChunk + 5, 11), pool, control);
  int tried = 0;
  for (uint64_t length = chunk_offset(1) + kTag; length < message.sealed.size(); length += 997) {
    uint64_t size;
    if (!plaintext_size(length, &size)) continue;
    MemorySource source(View(message.sealed).sub(0, length));
    Reader reader(message.keys, message.prefix(), size, source, nullptr);
    Bytes out(10, 0xaa);
    CHECK(reader.read(0, Span(out), pool, control).code == Code::INTEGRITY_FAILED);
    CHECK(out == Bytes(10, 0));
    tried++;
  }
  CHECK(tried > 50);
  MemorySource source(View(message.sealed).sub(0, message.sealed.size() - 1));  // with the size of the whole one
  Reader reader(message.keys, message.prefix(), message.plain.size(), source, nullptr);
  Bytes out(10);
  CHECK(reader.read(0, Span(out), pool, control).code == Code::CONTAINER_TRUNCATED);
}

TEST_CASE("random access with a tree refuses a batch whose other chunks were exchanged") {
  work::Pool pool(1);
  work::Control control;
  Message message = seal(noise(130 * kChunk + 1, 12), pool, control);
  Bytes sealed = message.sealed;
  sealed[chunk_offset(70) + 3] ^= 4;
  MemorySource source{View(sealed)};
  Reader unchecked(message.keys, message.prefix(), message.plain.size(), source, nullptr);
  Reader checked(message.keys, message.prefix(), message.plain.size(), source, &message.tree);
  Bytes out(100);
  CHECK(unchecked.read(65 * kChunk, Span(out), pool, control).ok());
  CHECK(checked.read(65 * kChunk, Span(out), pool, control).code == Code::DIGEST_MISMATCH);
  CHECK(out == Bytes(100, 0));
  CHECK(checked.read(3 * kChunk, Span(out), pool, control).ok());
}

TEST_CASE("cancelling stops encryption and decryption between batches") {
  work::Pool pool(2);
  work::Control control;
  Message message = seal(noise(640 * kChunk, 13), pool, control);
  work::Control cancelled;
  cancelled.threads = 2;
  uint64_t done = 0;
  cancelled.progress = [&](uint64_t d) {
    done = d;
    cancelled.cancelled = true;
  };
  Opening opening = open_all(message.keys, View(message.sealed), nullptr, pool, cancelled);
  CHECK(opening.status.code == Code::ABORT_ERR);
  CHECK(done > 0);
  CHECK(done <= 2 * kBatchChunks * kChunk);  // what each of two threads had in hand
}

TEST_CASE("files: only regular ones, exact ranges, removed unless finished") {
  const std::string path = temporary("file"), pipe = temporary("pipe");
  const Bytes content = noise(100'000, 14);
  {
    Result<std::unique_ptr<FileSink>> sink = FileSink::create(path, 10);
    REQUIRE(sink.ok());
    REQUIRE((*sink)->write(50, View(content)).ok());
    CHECK(FileSink::create(path).status().code == Code::ALREADY_EXISTS);
    CHECK((*sink)->write(UINT64_MAX - 5, View(content)).code == Code::INTERNAL);
    REQUIRE((*sink)->finish().ok());
    CHECK(!(*sink)->finish().ok());
  }
  struct stat info;
  REQUIRE(stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  {
    Result<std::unique_ptr<FileSource>> source = FileSource::open(path, 60);
    REQUIRE(source.ok());
    REQUIRE((*source)->size() == content.size());
    Bytes out(1000);
    REQUIRE((*source)->read(99'000, Span(out)).ok());
    CHECK(equal(View(out), View(content).from(99'000)));
    CHECK((*source)->read(99'001, Span(out)).code == Code::CONTAINER_TRUNCATED);
    CHECK((*source)->read(UINT64_MAX, Span(out)).code == Code::CONTAINER_TRUNCATED);
    REQUIRE(truncate(path.c_str(), 50'000) == 0);
    CHECK((*source)->read(60'000, Span(out)).code == Code::CONTAINER_TRUNCATED);
    CHECK(FileSource::open(path, 50'000).ok());
    CHECK(FileSource::open(path, 50'001).status().code == Code::CONTAINER_TRUNCATED);
  }
  unlink(path.c_str());
  CHECK(FileSource::open(path).status().code == Code::NOT_FOUND);
  CHECK(FileSource::open("/tmp").status().code == Code::SOURCE_UNSUPPORTED);
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(FileSource::open(pipe).status().code == Code::SOURCE_UNSUPPORTED);  // at once: the pipe has no writer
  unlink(pipe.c_str());
  { REQUIRE(FileSink::create(path).ok()); }
  CHECK(access(path.c_str(), F_OK) != 0);
  CHECK(FileSink::create("/nowhere/file").status().code == Code::NOT_FOUND);
}

TEST_CASE("a sink that fails stops the work with its status") {
  struct Full : Sink {
    Status write(uint64_t offset, View) override {
      return offset > chunk_offset(100) ? Status(Code::NO_SPACE, "full") : Status();
    }
  } full;
  work::Pool pool(2);
  work::Control control;
  Message message = seal(Bytes(300 * kChunk), pool, control);
  MemorySource plain{View(message.plain)};
  Tree tree(message.plain.size());
  CHECK(encrypt_range(message.keys, message.prefix(), message.plain.size(), 0, tree.stored().size() / 32, plain, full, tree, pool,
                      control)
            .code == Code::NO_SPACE);
}
