#include "memory/wipe_stack.h"

#include <cstddef>
#include <cstdint>

namespace mg {

// Not inlined, so that its array lies where the frames of earlier callees lay.
#if defined(__GNUC__)
__attribute__((noinline))
#endif
void wipe_stack() {
  constexpr size_t kWords = 32768 / sizeof(uint64_t);
  uint64_t below[kWords];
  volatile uint64_t* const words = below;
  for (size_t i = 0; i < kWords; i++) words[i] = 0;
}

}  // namespace mg
