// The engines of sha256_many(), for tests that run over each of them.
#pragma once
#include <doctest/doctest.h>

#include <cstdio>

#include "crypto/sha256_lanes.h"

namespace mg::test {

// Calls work() once with OpenSSL and once with each engine. Prints one line that says SKIPPED for an engine that cannot run here.
template <class Work>
void with_each_sha256_engine(const Work& work) {
  struct Restore {
    const crypto::Sha256Engine* before = crypto::find_sha256_engine(crypto::sha256_many_engine());
    ~Restore() { crypto::use_sha256_engine(before); }
  } restore;
  for (const char* name : {"OpenSSL", "AVX-512", "SHA-NI", "AVX2"}) {
    CAPTURE(name);
    const crypto::Sha256Engine* const engine = crypto::find_sha256_engine(name);
    if (engine == nullptr && name != std::string_view("OpenSSL")) {
      std::printf("SKIPPED: SHA-256 by %s: this build or this processor is without it\n", name);
      continue;
    }
    crypto::use_sha256_engine(engine);
    REQUIRE(crypto::sha256_many_engine() == std::string_view(name));
    work();
  }
}

}  // namespace mg::test
