// Looks for copies of a key in this process's own writable memory, the way an attacker with a memory dump would.
#pragma once
#include <array>
#include <optional>

#include "memory/secret.h"

namespace mg::test {

// Bytes that never lie in ordinary memory in the clear: kept XOR a mask, shown only on a Secret's pages.
class Hidden {
 public:
  static Hidden made_up(size_t size, unsigned seed);
  static Hidden of(const Secret& secret);
  static Hidden from_hex(std::string_view hex);  // lower case
  Secret show() const;
  size_t size() const { return masked_.size(); }

 private:
  friend std::optional<size_t> copies_in_memory(const Hidden& needle);
  static constexpr uint8_t kMask = 0xa5;
  Bytes masked_;
};

// In how many places a 16-byte window of `needle` lies (Secrets included: let them go first).
// None if that is unknown: outside of Linux, or under a sanitizer, which keeps freed memory.
std::optional<size_t> copies_in_memory(const Hidden& needle);

// Runs `work` far down the stack, where what its frames leave behind is not overwritten by the search that follows.
template <class Work>
__attribute__((noinline)) void run_deep(const Work& work) {
  volatile uint8_t distance[128 * 1024];
  distance[0] = 0;
  work();
  distance[sizeof distance - 1] = 0;
}

}  // namespace mg::test
