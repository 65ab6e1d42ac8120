// Many SHA-256 digests at once. If these fail, an engine computes another digest than OpenSSL: models that one machine protected are refused
// as damaged on another, or memory beside a message is read.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <random>
#include <thread>

#include "support/seed.h"
#include "support/sha256_engines.h"
#include "support/vectors.h"

using namespace mg;
using crypto::Message;
using crypto::Sha256;
using test::with_each_sha256_engine;

namespace {

std::string hex_of(const Sha256& digest) { return test::hex(View(digest)); }

Bytes noise(size_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  Bytes out(size);
  for (uint8_t& byte : out) byte = uint8_t(random());
  return out;
}

// OpenSSL's digest of prefix || body, in one piece.
Sha256 expected(const Message& message) {
  Bytes all = message.prefix.copy();
  append(all, message.body);
  Sha256 out;
  REQUIRE(crypto::digest(crypto::Hash::sha256, {View(all)}, Span(out.data(), out.size())).ok());
  return out;
}

void check(const std::vector<Message>& messages) {
  std::vector<Sha256> digests(messages.size());
  REQUIRE(crypto::sha256_many(messages.data(), messages.size(), digests.data()));
  for (size_t i = 0; i < messages.size(); i++) {
    CAPTURE(i);
    CAPTURE(messages[i].prefix.size);
    CAPTURE(messages[i].body.size);
    REQUIRE(hex_of(digests[i]) == hex_of(expected(messages[i])));
  }
}

}  // namespace

TEST_CASE("many digests: the examples of NIST for SHA-256, in every lane") {
  const std::string million(1'000'000, 'a');
  const std::pair<std::string_view, const char*> examples[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
       "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
      {million, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
  };
  with_each_sha256_engine([&] {
    for (const auto& [text, digest] : examples) {
      CAPTURE(text.size());
      const std::vector<Message> messages(33, Message{View(), View(text)});
      std::vector<Sha256> digests(messages.size());
      REQUIRE(crypto::sha256_many(messages.data(), messages.size(), digests.data()));
      for (const Sha256& each : digests) REQUIRE(hex_of(each) == digest);
    }
  });
}

TEST_CASE("many digests: every length from 0 to 200 and around 16 and 64 KiB, with and without a prefix, 1 to 64 together") {
  std::vector<size_t> lengths;
  for (size_t length = 0; length <= 200; length++) lengths.push_back(length);
  for (size_t border : {16384, 65536})
    for (size_t length = border - 66; length <= border + 66; length++) lengths.push_back(length);
  const Bytes bytes = noise(65536 + 66 + 64, 1), prefix = noise(63, 2);
  with_each_sha256_engine([&] {
    for (size_t i = 0; i < lengths.size(); i++) {
      std::vector<Message> messages;
      for (size_t k = 0; k < 1 + i % 64; k++)
        messages.push_back({View(prefix).sub(0, k % 3 == 0 ? 0 : (i + k) % 64), View(bytes).sub(k, lengths[i])});
      check(messages);
    }
  });
}

TEST_CASE("many digests: a short prefix fills the first block with every length of the body") {
  const Bytes bytes = noise(200, 3), prefix = noise(63, 4);
  with_each_sha256_engine([&] {
    for (size_t head = 0; head < 64; head++) {
      std::vector<Message> messages;
      for (size_t length = 0; length <= 200; length++)
        messages.push_back({View(prefix).sub(0, head), View(bytes).sub(0, length)});
      check(messages);
    }
  });
}

TEST_CASE("many digests: lengths that have nothing in common") {
  std::mt19937_64 random(test::test_seed());
  const Bytes bytes = noise(100'000, random());
  with_each_sha256_engine([&] {
    for (int round = 0; round < 100; round++) {
      std::vector<Message> messages(1 + random() % 64);
      for (Message& message : messages) {
        const size_t most = random() % 4 == 0 ? 40'000 : 300;
        message = {View(bytes).sub(random() % 1000, random() % 64), View(bytes).sub(random() % 1000, random() % most)};
      }
      check(messages);
    }
  });
}

TEST_CASE("many digests: a message is read up to its last byte, and no further") {
  const size_t page = size_t(sysconf(_SC_PAGESIZE)), size = 8 * page;
  auto* const start =
      static_cast<uint8_t*>(mmap(nullptr, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  REQUIRE(start != MAP_FAILED);
  REQUIRE(mprotect(start + size, page, PROT_NONE) == 0);  // a read there ends the process
  const Bytes bytes = noise(size, 5), prefix = noise(63, 6);
  std::copy(bytes.begin(), bytes.end(), start);
  with_each_sha256_engine([&] {
    for (size_t length = 0; length < 400; length++) {
      std::vector<Message> messages;
      for (size_t k = 0; k < 17; k++)
        messages.push_back({View(prefix).sub(0, k), View(start + size - length - k * 300, length + k * 300)});
      check(messages);
    }
  });
  REQUIRE(munmap(start, size + page) == 0);
}

TEST_CASE("many digests: none at all, and a prefix of a whole block, which is refused") {
  const Bytes bytes = noise(100, 7);
  with_each_sha256_engine([&] {
    CHECK(crypto::sha256_many(nullptr, 0, nullptr));
    std::vector<Message> messages(20, Message{View(), View(bytes)});
    messages[19].prefix = View(bytes).sub(0, 64);
    std::vector<Sha256> digests(20);
    CHECK_FALSE(crypto::sha256_many(messages.data(), messages.size(), digests.data()));
  });
}

TEST_CASE("many digests: eight threads at once") {
  const Bytes bytes = noise(64 * 1000 + 64, 8);
  std::vector<Message> messages;
  for (size_t k = 0; k < 64; k++) messages.push_back({View(bytes).sub(k, 1), View(bytes).sub(k * 1000, 900 + k)});
  std::vector<Sha256> right;
  for (const Message& message : messages) right.push_back(expected(message));
  with_each_sha256_engine([&] {
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; t++)
      threads.emplace_back([&] {
        std::vector<Sha256> digests(messages.size());
        for (int round = 0; round < 50; round++)
          if (!crypto::sha256_many(messages.data(), messages.size(), digests.data()) || digests != right) wrong++;
      });
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
  });
}

#ifdef MG_IPSEC_MB
TEST_CASE("many digests: the engine is the fastest of those that /proc/cpuinfo has the flags for") {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line) && line.rfind("flags", 0) != 0) {
  }
  line += ' ';
  const auto has = [&](const char* flag) { return line.find(' ' + std::string(flag) + ' ') != std::string::npos; };
  const bool avx512 = has("avx512f") && has("avx512bw") && has("avx512dq") && has("avx512vl");
  const char* const fastest = avx512 ? "AVX-512" : has("sha_ni") ? "SHA-NI" : has("avx2") ? "AVX2" : "OpenSSL";
  CHECK(crypto::sha256_many_engine() == std::string_view(fastest));
}
#endif
