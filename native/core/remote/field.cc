#include "remote/field.h"

#include "crypto/secret_buffer.h"

namespace mg::remote {
namespace {

constexpr size_t kKey = 32;
using Key = crypto::SecretBuffer<kKey>;

// A key of one use. The field key is random, so it needs no extraction.
Status sub_key(const keys::Key& field_key, View label, Key& out) {
  if (auto s = check_type(field_key, keys::Type::master); !s.ok()) return s;
  return crypto::hkdf_expand(crypto::Hash::sha384, field_key.secret().reveal(), label, out.span());
}

Status wrap_key(const keys::Key& field_key, View subject, Key& out) {
  if (auto s = check_size("a subject", subject, kSubject); !s.ok()) return s;
  return sub_key(field_key, View("model-guard/v1/field-wrap"), out);
}

// K_s
Status unwrap(const keys::Key& field_key, View wrapped, View subject, Key& out) {
  Key wrap;
  if (auto s = wrap_key(field_key, subject, wrap); !s.ok()) return s;
  return open_under(wrap.view(), subject, wrapped, out.span());
}

}  // namespace

Result<Bytes> new_subject_key(const keys::Key& field_key, View subject) {
  const crypto::StackWipe stack;
  Key wrap, key;
  if (auto s = wrap_key(field_key, subject, wrap); !s.ok()) return s;
  if (auto s = crypto::random_bytes(key.span()); !s.ok()) return s;
  return seal_under(wrap.view(), subject, key.view());
}

Result<Bytes> seal_box(const keys::Key& field_key, View wrapped, View subject, View aad, View plain) {
  const crypto::StackWipe stack;
  Key key;
  if (auto s = unwrap(field_key, wrapped, subject, key); !s.ok()) return s;
  return seal_under(key.view(), aad, plain);
}

Result<Region> open_box(const keys::Key& field_key, View wrapped, View subject, View aad, View box) {
  const crypto::StackWipe stack;
  Key key;
  if (auto s = unwrap(field_key, wrapped, subject, key); !s.ok()) return s;
  if (box.size < kGcmOverhead) return Status(Code::INTEGRITY_FAILED, "the box is too short to be one");
  auto plain = Region::allocate(box.size - kGcmOverhead);
  if (!plain.ok()) return plain;
  if (auto s = open_under(key.view(), aad, box, Span(plain->data(), plain->size())); !s.ok()) return s;
  return plain;
}

Result<crypto::Sha256> field_mac(const keys::Key& field_key, MacUse use, View message) {
  const crypto::StackWipe stack;
  Key key;
  const char* label = use == MacUse::index ? "model-guard/v1/field-mac/index" : "model-guard/v1/field-mac/url";
  if (auto s = sub_key(field_key, View(label), key); !s.ok()) return s;
  crypto::Sha256 mac{};
  if (auto s = crypto::hmac(crypto::Hash::sha256, key.view(), {message}, Span(mac.data(), mac.size())); !s.ok()) return s;
  return mac;
}

}  // namespace mg::remote
