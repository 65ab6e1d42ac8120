// One seed for every random test of a run, printed once; MG_TEST_SEED repeats it.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace mg::test {

inline uint64_t test_seed() {
  static const uint64_t seed = [] {
    const char* given = std::getenv("MG_TEST_SEED");
    const uint64_t value = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    std::printf("C++ tests: MG_TEST_SEED=%llu\n", static_cast<unsigned long long>(value));
    return value;
  }();
  return seed;
}

}  // namespace mg::test
