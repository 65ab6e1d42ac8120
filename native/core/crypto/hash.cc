#include <openssl/core_names.h>
#include <openssl/params.h>

#include "crypto/evp.h"

namespace mg::crypto {
namespace {

const char* name_of(Hash hash) {
  switch (hash) {
    case Hash::sha256: return "SHA256";
    case Hash::sha384: return "SHA384";
    case Hash::sha512: return "SHA512";
  }
  return "";
}

const EVP_MD* md_of(Hash hash) {
  static CachedDigest sha256("SHA256"), sha384("SHA384"), sha512("SHA512");
  return (hash == Hash::sha256 ? sha256 : hash == Hash::sha384 ? sha384 : sha512).get();
}

bool digest_with(EVP_MD_CTX* ctx, const EVP_MD* md, std::initializer_list<View> parts, uint8_t* out) {
  if (!ctx || !md || EVP_DigestInit_ex2(ctx, md, nullptr) != 1) return false;
  for (View part : parts)
    if (part.size && EVP_DigestUpdate(ctx, part.data, part.size) != 1) return false;
  return EVP_DigestFinal_ex(ctx, out, nullptr) == 1;
}

}  // namespace

size_t hash_size(Hash hash) { return hash == Hash::sha256 ? 32 : hash == Hash::sha384 ? 48 : 64; }

Status digest(Hash hash, std::initializer_list<View> parts, Span out) {
  const ErrorMark mark;
  if (out.size != hash_size(hash)) return fail(out, Code::INTERNAL, wrong_size("a digest", hash_size(hash), out.size));
  const Owned<EVP_MD_CTX> ctx(EVP_MD_CTX_new());
  if (!digest_with(ctx.get(), md_of(hash), parts, out.data))
    return fail(out, Code::INTERNAL, std::string("OpenSSL cannot compute ") + name_of(hash));
  return {};
}

Status hmac(Hash hash, View key, std::initializer_list<View> parts, Span out) {  // RFC 2104
  const ErrorMark mark;
  if (out.size != hash_size(hash)) return fail(out, Code::INTERNAL, wrong_size("an HMAC", hash_size(hash), out.size));
  if (auto s = check_process(); !s.ok()) return fail(out, s.code, s.what);
  static CachedMac kept("HMAC");
  EVP_MAC* const mac = kept.get();
  const Owned<EVP_MAC_CTX> ctx(mac ? EVP_MAC_CTX_new(mac) : nullptr);
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, const_cast<char*>(name_of(hash)), 0),
      OSSL_PARAM_construct_end(),
  };
  bool done = ctx && EVP_MAC_init(ctx.get(), not_null(key), key.size, params) == 1;
  for (View part : parts)
    if (done && part.size) done = EVP_MAC_update(ctx.get(), part.data, part.size) == 1;
  size_t written = 0;
  done = done && EVP_MAC_final(ctx.get(), out.data, &written, out.size) == 1 && written == out.size;
  if (!done) return fail(out, Code::INTERNAL, std::string("OpenSSL cannot compute HMAC-") + name_of(hash));
  return {};
}

Sha256Hasher::Sha256Hasher() : md_(const_cast<EVP_MD*>(md_of(Hash::sha256))), ctx_(EVP_MD_CTX_new()) {}
Sha256Hasher::~Sha256Hasher() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(ctx_)); }

bool Sha256Hasher::hash(std::initializer_list<View> parts, uint8_t out[32]) {
  const ErrorMark mark;
  return digest_with(static_cast<EVP_MD_CTX*>(ctx_), static_cast<const EVP_MD*>(md_), parts, out);
}

Sha256Stream::Sha256Stream() : ctx_(EVP_MD_CTX_new()) {
  const ErrorMark mark;
  const EVP_MD* const md = md_of(Hash::sha256);
  ok_ = ctx_ && md && EVP_DigestInit_ex2(static_cast<EVP_MD_CTX*>(ctx_), md, nullptr) == 1;
}
Sha256Stream::~Sha256Stream() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(ctx_)); }

void Sha256Stream::add(View piece) {
  const ErrorMark mark;
  if (ok_ && piece.size) ok_ = EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(ctx_), piece.data, piece.size) == 1;
}

Result<Sha256> Sha256Stream::finish() {
  const ErrorMark mark;
  Sha256 out{};
  if (!ok_ || EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(ctx_), out.data(), nullptr) != 1)
    return Status(Code::INTERNAL, "OpenSSL cannot compute SHA256");
  ok_ = false;
  return out;
}

}  // namespace mg::crypto
