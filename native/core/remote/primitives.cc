#include "remote/primitives.h"

#include "crypto/hpke.h"
#include "crypto/secret_buffer.h"

namespace mg::remote {
namespace {

constexpr size_t kNonce = 12;

}  // namespace

Bytes with_label(std::string_view label, std::initializer_list<View> parts) {
  Bytes out = View(label).copy();
  out.push_back(0);
  for (View part : parts) append(out, part);
  return out;
}

Status check_size(const char* what, View bytes, size_t size) {
  if (bytes.size == size) return {};
  return Status(Code::INVALID_ARGUMENT,
                std::string(what) + " has " + std::to_string(size) + " bytes, not " + std::to_string(bytes.size));
}

Status check_type(const keys::Key& key, keys::Type type) {
  if (key.type() == type) return {};
  return Status(Code::KEY_TYPE_WRONG,
                std::string("this needs a ") + keys::type_name(type) + " key, not a " + keys::type_name(key.type()) + " key");
}

Result<Bytes> seal_to(View x25519, View info, View aad, View plain) {
  if (auto s = check_size("an X25519 public key", x25519, kPublicKey); !s.ok()) return s;
  const crypto::StackWipe stack;
  return hpke::seal(x25519, info, aad, plain);
}

Result<Secret> open_with(const keys::Key& key, View info, View aad, View sealed, size_t least, size_t most) {
  if (auto s = check_type(key, keys::Type::device); !s.ok()) return s;
  constexpr size_t overhead = hpke::kEnc + hpke::kTag;
  if (sealed.size < overhead + least || sealed.size > overhead + most)
    return Status(Code::INTEGRITY_FAILED,
                  "what was sealed has a length that it cannot have: " + std::to_string(sealed.size) + " bytes");
  const crypto::StackWipe stack;
  return hpke::open(sealed.sub(0, hpke::kEnc), key.x25519_private(), info, aad, sealed.from(hpke::kEnc));
}

Result<Bytes> seal_under(View key, View aad, View plain) {
  const crypto::StackWipe stack;
  Bytes out(plain.size + kGcmOverhead);
  if (auto s = crypto::random_bytes(Span(out).sub(0, kNonce)); !s.ok()) return s;
  auto cipher = crypto::Gcm::create(key);
  if (!cipher.ok()) return cipher.status();
  if (!cipher->seal(View(out).sub(0, kNonce), aad, plain, out.data() + kNonce))
    return Status(Code::INTERNAL, "OpenSSL cannot encrypt with AES-GCM");
  return out;
}

Status open_under(View key, View aad, View sealed, Span plain) {
  const crypto::StackWipe stack;
  const Status refused(Code::INTEGRITY_FAILED, "what was sealed was changed, or belongs elsewhere");
  if (sealed.size < kGcmOverhead || plain.size != sealed.size - kGcmOverhead) return refused;
  auto cipher = crypto::Gcm::create(key);
  if (!cipher.ok()) return cipher.status();
  uint8_t nothing[1];
  uint8_t* out = plain.size ? plain.data : nothing;
  return cipher->open(sealed.sub(0, kNonce), aad, sealed.from(kNonce), out) ? Status() : refused;
}

}  // namespace mg::remote
