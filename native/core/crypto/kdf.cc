#include "crypto/evp.h"
#include "crypto/secret_buffer.h"

namespace mg::crypto {

// RFC 5869, 2.2. HMAC pads its key with zeros, so the empty salt is the RFC's string of HashLen zeros.
Status hkdf_extract(Hash hash, View salt, View ikm, Span prk) { return hmac(hash, salt, {ikm}, prk); }

// RFC 5869, 2.3: T(i) = HMAC(prk, T(i-1) || info || i). Whole blocks are computed where they belong, so that T(i-1) is
// read from `out`; only a short last block needs room of its own.
Status hkdf_expand(Hash hash, View prk, View info, Span out) {
  const size_t block = hash_size(hash);
  if (out.size > 255 * block) {
    return fail(out, Code::INTERNAL,
                "HKDF gives at most " + std::to_string(255 * block) + " bytes with this hash, not " + std::to_string(out.size));
  }
  uint8_t counter = 0;
  View previous;
  for (size_t done = 0; done < out.size; done += block) {
    const View number(&++counter, 1);
    const size_t wanted = out.size - done;
    SecretBuffer<64> last;
    const Span into = wanted >= block ? out.sub(done, block) : last.span(block);
    if (Status status = hmac(hash, prk, {previous, info, number}, into); !status.ok()) {
      wipe(out);
      return status;
    }
    if (wanted < block) std::memcpy(out.data + done, into.data, wanted);
    previous = into;
  }
  return {};
}

Status hkdf(Hash hash, View ikm, View salt, View info, Span out) {
  SecretBuffer<64> prk;
  if (Status status = hkdf_extract(hash, salt, ikm, prk.span(hash_size(hash))); !status.ok()) {
    wipe(out);
    return status;
  }
  return hkdf_expand(hash, prk.view(hash_size(hash)), info, out);
}

Status scrypt(View passphrase, View salt, unsigned log_n, unsigned r, unsigned p, Span out) {  // RFC 7914
  // A ceiling that keeps every product below far from overflow; callers set narrower ones.
  constexpr uint64_t kMostMemory = uint64_t(4) << 30;
  if (log_n < 1 || log_n > 24 || r < 1 || r > 64 || p < 1 || p > 64 || !out.size || out.size > 1024)
    return fail(out, Code::INVALID_ARGUMENT, "these scrypt parameters are out of range");
  const uint64_t memory = (uint64_t(128) * r << log_n) + uint64_t(128) * r * p + 256 * r;
  if (memory > kMostMemory)
    return fail(out, Code::LIMIT_EXCEEDED, "scrypt would need " + std::to_string(memory >> 20) + " MiB of memory");
  const ErrorMark mark;
  const StackWipe stack;
  if (EVP_PBE_scrypt(reinterpret_cast<const char*>(not_null(passphrase)), passphrase.size, not_null(salt), salt.size,
                     uint64_t(1) << log_n, r, p, memory + (1 << 20), out.data, out.size) != 1) {
    return fail(out, Code::OUT_OF_MEMORY, "scrypt failed; it needs " + std::to_string(memory >> 20) + " MiB of memory");
  }
  return {};
}

}  // namespace mg::crypto
