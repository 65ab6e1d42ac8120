#include <algorithm>

#include "crypto/evp.h"

namespace mg::crypto {
namespace {

constexpr size_t kTag = 16;

const EVP_CIPHER* cipher_of(size_t key_size) {
  static CachedCipher aes128("AES-128-GCM"), aes256("AES-256-GCM");
  return (key_size == 16 ? aes128 : aes256).get();
}

bool start(EVP_CIPHER_CTX* ctx, View nonce, View aad, bool encrypt) {
  if (!ctx || nonce.size < 1 || nonce.size > Gcm::kMaxNonce) return false;
  if (size_t(EVP_CIPHER_CTX_get_iv_length(ctx)) != nonce.size &&
      EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, int(nonce.size), nullptr) != 1) {
    return false;
  }
  // No key: the schedule of create() is used again, in either direction.
  if (EVP_CipherInit_ex2(ctx, nullptr, nullptr, nonce.data, encrypt, nullptr) != 1) return false;
  int n = 0;
  for (size_t done = 0; done < aad.size; done += size_t(n)) {
    const size_t piece = std::min<size_t>(aad.size - done, 1 << 30);
    if (EVP_CipherUpdate(ctx, nullptr, &n, aad.data + done, int(piece)) != 1 || size_t(n) != piece) return false;
  }
  return true;
}

bool update(EVP_CIPHER_CTX* ctx, View in, uint8_t* out) {  // sizes of OpenSSL are ints
  int n = 0;
  for (size_t done = 0; done < in.size; done += size_t(n)) {
    const size_t piece = std::min<size_t>(in.size - done, 1 << 30);
    if (EVP_CipherUpdate(ctx, out + done, &n, in.data + done, int(piece)) != 1 || size_t(n) != piece) return false;
  }
  return true;
}

}  // namespace

Result<Gcm> Gcm::create(View key) {
  const ErrorMark mark;
  if (key.size != 16 && key.size != 32)
    return Status(Code::KEY_INVALID, "an AES-GCM key must be 16 or 32 bytes, not " + std::to_string(key.size));
  if (auto s = check_process(); !s.ok()) return s;
  Owned<EVP_CIPHER_CTX> ctx(EVP_CIPHER_CTX_new());
  const EVP_CIPHER* cipher = cipher_of(key.size);
  if (!ctx || !cipher || EVP_CipherInit_ex2(ctx.get(), cipher, key.data, nullptr, 1, nullptr) != 1)
    return Status(Code::INTERNAL, "OpenSSL cannot set up AES-GCM");
  return Gcm(ctx.release());
}

Gcm::Gcm(Gcm&& other) noexcept : ctx_(std::exchange(other.ctx_, nullptr)) {}

Gcm& Gcm::operator=(Gcm&& other) noexcept {
  std::swap(ctx_, other.ctx_);
  return *this;
}

Gcm::~Gcm() { EVP_CIPHER_CTX_free(static_cast<EVP_CIPHER_CTX*>(ctx_)); }  // wipes the key schedule

bool Gcm::seal(View nonce, View aad, View plain, uint8_t* out) {
  const ErrorMark mark;
  EVP_CIPHER_CTX* ctx = static_cast<EVP_CIPHER_CTX*>(ctx_);
  const size_t size = plain.size;
  uint8_t unused[kTag];
  int n = 0;
  if (start(ctx, nonce, aad, true) && update(ctx, plain, out) && EVP_CipherFinal_ex(ctx, unused, &n) == 1 &&
      EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, int(kTag), out + size) == 1) {
    return true;
  }
  wipe(Span(out, size + kTag));
  return false;
}

bool Gcm::open(View nonce, View aad, View sealed, uint8_t* out) {
  const ErrorMark mark;
  if (sealed.size < kTag) return false;
  EVP_CIPHER_CTX* ctx = static_cast<EVP_CIPHER_CTX*>(ctx_);
  const size_t size = sealed.size - kTag;
  uint8_t unused[kTag];
  int n = 0;
  // OpenSSL compares the tag in constant time, and only after the plaintext has been written: hence the wipe below.
  if (start(ctx, nonce, aad, false) &&
      EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, int(kTag), const_cast<uint8_t*>(sealed.data + size)) == 1 &&
      update(ctx, sealed.sub(0, size), out) && EVP_CipherFinal_ex(ctx, unused, &n) == 1) {
    return true;
  }
  wipe(Span(out, size));
  return false;
}

}  // namespace mg::crypto
