#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>

#include "crypto/evp.h"

namespace mg::crypto {

Status random_bytes(Span out) {
  const ErrorMark mark;
  for (size_t done = 0; done < out.size;) {
    const size_t piece = std::min<size_t>(out.size - done, 1 << 20);
    // The private generator: its state is never shown through numbers that are sent out in the clear.
    if (RAND_priv_bytes(out.data + done, int(piece)) != 1)
      return fail(out, Code::INTERNAL, "the random number generator of OpenSSL failed");
    done += piece;
  }
  return {};
}

bool equal(View a, View b) { return a.size == b.size && CRYPTO_memcmp(not_null(a), not_null(b), a.size) == 0; }

void wipe(Span bytes) {
  if (bytes.size) OPENSSL_cleanse(bytes.data, bytes.size);
}

void initialize() { OPENSSL_init_crypto(0, nullptr); }

const char* library_version() { return OpenSSL_version(OPENSSL_VERSION_STRING); }

#ifdef MG_OWN_CRYPTO
// Node's headers hold those of another OpenSSL.
static_assert(OPENSSL_VERSION_MAJOR == 3 && OPENSSL_VERSION_MINOR >= 5,
              "compiled with the headers of another OpenSSL than MODEL_GUARD_CRYPTO's");
bool library_is_own() { return true; }
#else
bool library_is_own() { return false; }
#endif

}  // namespace mg::crypto
