#include "salts/salts.h"

#include "crypto/crypto.h"
#include "salts/baked.inc"  // by bake.mjs, for each build: kId, kSeed, kMasked

namespace mg::salts {

constexpr size_t kRoom = 2 + kMaxLegacySalt;  // u16 size || salt || zeros, so that no masked salt shows its length
static_assert(sizeof kMasked == 4 * kRoom && sizeof kSeed == 32 && sizeof kId == sizeof(Id));

const char* salt_name(Name name) {
  switch (name) {
    case Name::pepper: return "pepper";
    case Name::download: return "legacy-download";
    case Name::hardware: return "legacy-hardware";
    case Name::resource: return "legacy-resource";
  }
  return "unknown";
}

// Unmasked in secret pages, by a keystream that only OpenSSL computes: a compiler cannot do it beforehand.
Result<Secret> compiled_in(Name name) {
  auto room = Secret::allocate(kRoom);
  if (!room.ok()) return room.status();
  const Span bytes = room->reveal_mut();
  const uint8_t number[] = {uint8_t(name)};
  if (auto s = crypto::hkdf(crypto::Hash::sha384, kSeed, {}, number, bytes); !s.ok()) return s;
  for (size_t i = 0; i < kRoom; i++) bytes.data[i] ^= kMasked[size_t(name)][i];
  const size_t size = read_be<uint16_t>(bytes.data);
  if (size == 0) return Status(Code::SALTS_INVALID, std::string("this build of model-guard has no salt ") + salt_name(name));
  return Secret::copy(View(bytes).sub(2, size));
}

Id id() {
  Id id;
  std::memcpy(id.data(), kId, id.size());
  return id;
}

bool is_default() { return id() == kDefaultId; }

}  // namespace mg::salts
