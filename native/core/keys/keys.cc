#include "keys/keys.h"

#include <algorithm>

#include "crypto/crypto.h"
#include "text/text.h"

namespace mg::keys {
namespace {

size_t encode_utf8(const std::u32string& points, uint8_t* out) {
  uint8_t* p = out;
  for (char32_t c : points) {
    if (c < 0x80) {
      *p++ = uint8_t(c);
    } else if (c < 0x800) {
      *p++ = uint8_t(0xC0 | c >> 6);
      *p++ = uint8_t(0x80 | (c & 63));
    } else if (c < 0x10000) {
      *p++ = uint8_t(0xE0 | c >> 12);
      *p++ = uint8_t(0x80 | (c >> 6 & 63));
      *p++ = uint8_t(0x80 | (c & 63));
    } else {
      *p++ = uint8_t(0xF0 | c >> 18);
      *p++ = uint8_t(0x80 | (c >> 12 & 63));
      *p++ = uint8_t(0x80 | (c >> 6 & 63));
      *p++ = uint8_t(0x80 | (c & 63));
    }
  }
  return size_t(p - out);
}

}  // namespace

const char* type_name(Type type) {
  switch (type) {
    case Type::master: return "master";
    case Type::device: return "device";
    case Type::signing: return "signing";
    case Type::passphrase: return "passphrase";
    case Type::legacy: return "legacy";
  }
  return "unknown";
}

size_t key_size(Type type) {
  switch (type) {
    case Type::device: return 64;
    case Type::passphrase:
    case Type::legacy: return 0;
    default: return 32;
  }
}

KeyId key_id(const PublicKey& key) {
  crypto::Sha256 hash{};
  // SHA-256 of a short public value fails only where OpenSSL itself is broken; zeros then match nothing.
  if (!crypto::digest(crypto::Hash::sha256, {View("model-guard/v1/id"), View(key.data(), key.size())},
                      Span(hash.data(), hash.size()))
           .ok()) {
    hash.fill(0);
  }
  KeyId id;
  std::copy_n(hash.begin(), id.size(), id.begin());
  return id;
}

Result<std::shared_ptr<const Key>> Key::generate(Type type) {
  auto secret = Secret::allocate(key_size(type));
  if (!secret.ok()) return secret.status();
  if (auto s = crypto::random_bytes(secret->reveal_mut()); !s.ok()) return s;
  return from_bytes(type, secret->reveal());
}

Result<std::shared_ptr<const Key>> Key::from_bytes(Type type, View bytes, Secret machine_secret) {
  if (type == Type::passphrase) return from_passphrase(bytes);
  if (type == Type::legacy && (bytes.size == 0 || bytes.size > 4096))
    return Status(Code::KEY_INVALID, "a legacy key string has 1 to 4,096 bytes, not " + std::to_string(bytes.size));
  if (type != Type::legacy && bytes.size != key_size(type))
    return Status(Code::KEY_INVALID, std::string("a ") + type_name(type) + " key has " + std::to_string(key_size(type)) +
                                         " bytes, not " + std::to_string(bytes.size));
  auto secret = Secret::copy(bytes);
  if (!secret.ok()) return secret.status();
  std::shared_ptr<Key> key(new Key(type, std::move(*secret)));
  key->machine_secret_ = std::move(machine_secret);
  if (type == Type::device) {
    auto s = crypto::x25519_public(key->x25519_private(), Span(key->x25519_.data(), 32));
    if (!s.ok()) return s;
  }
  if (type == Type::device || type == Type::signing) {
    auto s = crypto::ed25519_public(key->ed25519_seed(), Span(key->ed25519_.data(), 32));
    if (!s.ok()) return s;
  }
  return std::shared_ptr<const Key>(std::move(key));
}

Result<std::shared_ptr<const Key>> Key::from_passphrase(View utf8) {
  std::string_view text = utf8.text();
  if (!text.empty() && text.back() == '\n') {
    text.remove_suffix(1);
    if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
  }
  if (text.empty()) return Status(Code::PASSPHRASE_INVALID, "the passphrase is empty");
  // The limit holds for the normalised text; this one only bounds the work.
  if (text.size() > 4096) return Status(Code::PASSPHRASE_INVALID, "the passphrase is longer than 1,024 bytes");
  if (!text::is_utf8(text)) return Status(Code::PASSPHRASE_INVALID, "the passphrase is not UTF-8 text");
  std::u32string points;
  // Room for the worst decomposition (4 code points for one, UAX #15), so that growing leaves no copy behind.
  points.reserve(text.size() * 4 + 16);
  text::nfc_into(text, points);
  auto secret = Secret::allocate(points.size() * 4);
  if (secret.ok()) secret->shrink(encode_utf8(points, secret->reveal_mut().data));
  crypto::wipe(Span(reinterpret_cast<uint8_t*>(points.data()), points.capacity() * sizeof(char32_t)));
  if (!secret.ok()) return secret.status();
  if (secret->size() > 1024) return Status(Code::PASSPHRASE_INVALID, "the passphrase is longer than 1,024 bytes once normalised");
  return std::shared_ptr<const Key>(new Key(Type::passphrase, std::move(*secret)));
}

View Key::x25519_private() const { return secret_.reveal().sub(0, 32); }

View Key::ed25519_seed() const { return type_ == Type::device ? secret_.reveal().sub(32, 32) : secret_.reveal(); }

}  // namespace mg::keys
