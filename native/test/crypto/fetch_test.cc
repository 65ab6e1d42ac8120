// A failure to get an algorithm from OpenSSL is not kept: the next use tries again. One that was kept would disable AES-GCM until the
// process ends.
#include <doctest/doctest.h>

#include <string>

#include "crypto/cached_algorithm.h"

using mg::crypto::CachedAlgorithm;

namespace {

struct Algorithm {
  const char* name;
};
struct Library {};
int fetches = 0, releases = 0, failing = 0;

Algorithm* fetch(Library*, const char* name, const char*) {
  fetches++;
  if (failing > 0) return failing--, nullptr;
  return new Algorithm{name};
}
void release(Algorithm* algorithm) {
  releases++;
  delete algorithm;
}

}  // namespace

TEST_CASE("an algorithm that cannot be fetched once is fetched the next time, and then kept") {
  fetches = releases = 0;
  failing = 2;
  CachedAlgorithm<Algorithm, Library, fetch, release> kept("AES");
  CHECK(kept.get() == nullptr);
  CHECK(kept.get() == nullptr);
  Algorithm* const first = kept.get();
  REQUIRE(first != nullptr);
  CHECK(std::string(first->name) == "AES");
  CHECK(kept.get() == first);
  CHECK(fetches == 3);
  CHECK(releases == 0);
  release(first);
}
