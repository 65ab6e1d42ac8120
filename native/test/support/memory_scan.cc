#include "memory_scan.h"

#include <cstdio>
#include <stdexcept>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define MG_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__linux__)
#define MG_SANITIZED 1
#endif

namespace mg::test {

Hidden Hidden::made_up(size_t size, unsigned seed) {
  Hidden hidden;
  uint32_t state = seed * 2654435761u + 12345;
  for (size_t i = 0; i < size; i++) {
    state = state * 1664525 + 1013904223;
    hidden.masked_.push_back(uint8_t(state >> 24));
  }
  return hidden;
}

Hidden Hidden::of(const Secret& secret) {
  Hidden hidden;
  for (uint8_t b : secret.reveal()) hidden.masked_.push_back(b ^ kMask);
  return hidden;
}

Hidden Hidden::from_hex(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  Hidden hidden;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    hidden.masked_.push_back(uint8_t((digit(hex[i]) << 4 | digit(hex[i + 1])) ^ kMask));
  return hidden;
}

Secret Hidden::show() const {
  auto secret = Secret::allocate(masked_.size());
  if (!secret.ok()) throw std::runtime_error(secret.status().what);
  for (size_t i = 0; i < masked_.size(); i++) secret->reveal_mut().data[i] = masked_[i] ^ kMask;
  return std::move(*secret);
}

#ifdef MG_SANITIZED
std::optional<size_t> copies_in_memory(const Hidden&) { return std::nullopt; }
#else
std::optional<size_t> copies_in_memory(const Hidden& needle) {
  constexpr size_t kWindow = 16;
  const Bytes& masked = needle.masked_;
  if (masked.size() < kWindow) throw std::runtime_error("a needle is 16 bytes or longer");
  bool starts[256] = {};
  for (size_t i = 0; i + kWindow <= masked.size(); i++) starts[masked[i] ^ Hidden::kMask] = true;

  FILE* maps = std::fopen("/proc/self/maps", "r");
  if (!maps) return std::nullopt;
  size_t found = 0;
  char line[512];
  while (std::fgets(line, sizeof line, maps)) {
    unsigned long from = 0, to = 0;
    char rights[5] = {};
    if (std::sscanf(line, "%lx-%lx %4s", &from, &to, rights) != 3 || rights[0] != 'r' || rights[1] != 'w') continue;
    if (std::strstr(line, "/dev/") || std::strstr(line, "[v")) continue;
    for (; from + kWindow <= to; from++) {
      const auto* p = reinterpret_cast<const volatile uint8_t*>(from);
      if (!starts[*p]) continue;
      for (size_t i = 0; i + kWindow <= masked.size(); i++) {
        size_t same = 0;
        while (same < kWindow && (p[same] ^ Hidden::kMask) == masked[i + same]) same++;
        if (same == kWindow) found++;
      }
    }
  }
  std::fclose(maps);
  return found;
}
#endif

}  // namespace mg::test
