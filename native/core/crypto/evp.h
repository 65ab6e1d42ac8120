// Helpers around OpenSSL for the files of this room. No file outside of it includes an OpenSSL header.
#pragma once
#include <openssl/err.h>
#include <openssl/evp.h>

#include <memory>

#include "crypto/cached_algorithm.h"
#include "crypto/crypto.h"
#include "memory/secret.h"

namespace mg::crypto {

// Node shares OpenSSL's error queue of the thread. An error that stays in it would surface in an unrelated call of node:crypto.
class ErrorMark {
 public:
  ErrorMark() { ERR_set_mark(); }
  ~ErrorMark() { ERR_pop_to_mark(); }
  ErrorMark(const ErrorMark&) = delete;
  ErrorMark& operator=(const ErrorMark&) = delete;
};

struct Free {
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(EVP_PKEY_CTX* p) const { EVP_PKEY_CTX_free(p); }
  void operator()(EVP_MD_CTX* p) const { EVP_MD_CTX_free(p); }
  void operator()(EVP_MAC_CTX* p) const { EVP_MAC_CTX_free(p); }
  void operator()(EVP_CIPHER_CTX* p) const { EVP_CIPHER_CTX_free(p); }
};
using CachedCipher = CachedAlgorithm<EVP_CIPHER, OSSL_LIB_CTX, EVP_CIPHER_fetch, EVP_CIPHER_free>;
using CachedDigest = CachedAlgorithm<EVP_MD, OSSL_LIB_CTX, EVP_MD_fetch, EVP_MD_free>;
using CachedMac = CachedAlgorithm<EVP_MAC, OSSL_LIB_CTX, EVP_MAC_fetch, EVP_MAC_free>;

template <class T>
using Owned = std::unique_ptr<T, Free>;

// Several OpenSSL functions read a null pointer as "not given" even where the size says "empty".
inline const uint8_t* not_null(View v) {
  static const uint8_t nothing[1] = {0};
  return v.size ? v.data : nothing;
}

inline std::string wrong_size(const char* thing, size_t wanted, size_t got) {
  return std::string(thing) + " must be " + std::to_string(wanted) + " bytes, not " + std::to_string(got);
}

// Every failing path of a function that fills `out` ends here.
inline Status fail(Span out, Code code, std::string what) {
  wipe(out);
  return Status(code, std::move(what));
}

}  // namespace mg::crypto
