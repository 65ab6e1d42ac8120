#include <algorithm>
#include <atomic>

#include "crypto/sha256_lanes.h"

namespace mg::crypto {
namespace {

std::atomic<const Sha256Engine*>& chosen() {
  static std::atomic<const Sha256Engine*> engine{find_sha256_engine()};
  return engine;
}

}  // namespace

void use_sha256_engine(const Sha256Engine* engine) { chosen() = engine; }

const char* sha256_many_engine() {
  const Sha256Engine* const engine = chosen();
  return engine != nullptr ? engine->name : "OpenSSL";
}

bool sha256_many(const Message* messages, size_t count, Sha256* digests) {
  if (std::any_of(messages, messages + count, [](const Message& message) { return message.prefix.size >= 64; })) return false;
  const Sha256Engine* const engine = chosen();
  size_t done = 0;
  while (engine != nullptr && count - done >= engine->fewest) {
    const size_t together = std::min(count - done, engine->lanes);
    engine->hash(messages + done, together, digests + done);
    done += together;
  }
  if (done == count) return true;
  Sha256Hasher hasher;
  for (; done < count; done++)
    if (!hasher.hash({messages[done].prefix, messages[done].body}, digests[done].data())) return false;
  return true;
}

}  // namespace mg::crypto
