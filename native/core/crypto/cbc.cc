#include <algorithm>

#include "crypto/evp.h"

namespace mg::crypto {
namespace {

constexpr size_t kKey = 32, kBlock = 16;

const EVP_CIPHER* cipher() {
  static CachedCipher aes256("AES-256-CBC");
  return aes256.get();
}

bool process(View key, View iv, View in, uint8_t* out, bool encrypt) {
  const Owned<EVP_CIPHER_CTX> ctx(EVP_CIPHER_CTX_new());  // freeing it wipes the key schedule
  const EVP_CIPHER* const aes256 = cipher();
  if (!ctx || !aes256 || EVP_CipherInit_ex2(ctx.get(), aes256, key.data, iv.data, encrypt, nullptr) != 1 ||
      EVP_CIPHER_CTX_set_padding(ctx.get(), 0) != 1) {
    return false;
  }
  int n = 0;
  for (size_t done = 0; done < in.size; done += size_t(n)) {
    const size_t piece = std::min<size_t>(in.size - done, 1 << 30);  // sizes of OpenSSL are ints
    if (EVP_CipherUpdate(ctx.get(), out + done, &n, in.data + done, int(piece)) != 1 || size_t(n) != piece) return false;
  }
  return true;
}

Status run(View key, View iv, View in, Span out, bool encrypt) {
  const ErrorMark mark;
  if (key.size != kKey) return fail(out, Code::KEY_INVALID, wrong_size("an AES-256 key", kKey, key.size));
  if (iv.size != kBlock) return fail(out, Code::INTERNAL, wrong_size("a CBC initialisation vector", kBlock, iv.size));
  if (in.size % kBlock != 0 || out.size != in.size) return fail(out, Code::INTERNAL, "CBC takes whole blocks and gives as many");
  if (auto s = check_process(); !s.ok()) return fail(out, s.code, s.what);
  if (!process(key, iv, in, out.data, encrypt)) return fail(out, Code::INTERNAL, "OpenSSL cannot compute AES-256-CBC");
  return {};
}

}  // namespace

Status cbc_encrypt(View key, View iv, View plain, Span out) { return run(key, iv, plain, out, true); }

Status cbc_decrypt(View key, View iv, View sealed, Span out) { return run(key, iv, sealed, out, false); }

}  // namespace mg::crypto
