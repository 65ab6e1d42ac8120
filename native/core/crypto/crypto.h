// Every cryptographic primitive of the project, over OpenSSL 3 (Node's own in a build from source); only this room uses OpenSSL.
// Many SHA-256 digests at once come from libipsec-mb, where it is compiled in (docs/decisions/0031).
// No function keeps a cipher context or a key beyond its call, except Gcm, whose context lives as long as the object.
// Functions return false (or a Status) instead of throwing; outputs are wiped on failure.
#pragma once
#include <array>

#include "bytes.h"
#include "memory/secret.h"
#include "status.h"

namespace mg::crypto {

// --- random.cc
Status random_bytes(Span out);
bool equal(View a, View b);  // constant time in the content; false where sizes differ
void wipe(Span bytes);       // survives the optimiser
// Has OpenSSL register its clean-up at exit now, where it has one (a prebuilt addon's has none). exit() runs in reverse order: a handler registered later runs before the clean-up.
void initialize();
// The OpenSSL that runs, as "3.5.7".
const char* library_version();
// Whether that is a copy inside this binary, and not the one of the program that loads it.
bool library_is_own();

// --- hash.cc
enum class Hash { sha256, sha384, sha512 };
size_t hash_size(Hash hash);
// Digest of the concatenation of parts; out.size must be hash_size(hash).
Status digest(Hash hash, std::initializer_list<View> parts, Span out);
Status hmac(Hash hash, View key, std::initializer_list<View> parts, Span out);
using Sha256 = std::array<uint8_t, 32>;
using Sha384 = std::array<uint8_t, 48>;

// Many small SHA-256 digests from one thread without a fetch or a new context each.
class Sha256Hasher {
 public:
  Sha256Hasher();
  ~Sha256Hasher();
  Sha256Hasher(const Sha256Hasher&) = delete;
  Sha256Hasher& operator=(const Sha256Hasher&) = delete;
  bool hash(std::initializer_list<View> parts, uint8_t out[32]);

 private:
  void* md_;
  void* ctx_;
};

// SHA-256 of bytes that come in pieces.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(const Sha256Stream&) = delete;
  Sha256Stream& operator=(const Sha256Stream&) = delete;
  void add(View piece);
  Result<Sha256> finish();  // once; INTERNAL where OpenSSL failed on any piece

 private:
  void* ctx_;
  bool ok_;
};

// --- sha256_many.cc
struct Message {
  View prefix;  // fewer than 64 bytes
  View body;
};
// SHA-256 of each prefix || body, several at a time where the processor can: fastest where their lengths are alike. For public data alone:
// nothing is wiped from registers or the stack. False if a prefix is too long or OpenSSL failed.
bool sha256_many(const Message* messages, size_t count, Sha256* digests);
// The engine that does so: "AVX-512", "SHA-NI" or "AVX2" in a prebuilt addon for x64, or "OpenSSL".
const char* sha256_many_engine();

// --- kdf.cc   RFC 5869, RFC 7914
Status hkdf_extract(Hash hash, View salt, View ikm, Span prk);  // prk.size == hash_size; empty salt = zeros (RFC 5869)
Status hkdf_expand(Hash hash, View prk, View info, Span out);   // out.size <= 255 * hash_size; any prk length
Status hkdf(Hash hash, View ikm, View salt, View info, Span out);
Status scrypt(View passphrase, View salt, unsigned log_n, unsigned r, unsigned p, Span out);

// --- aead.cc   AES-GCM, NIST SP 800-38D, 16-byte tag after the ciphertext
// An object is for one thread at a time. While it lives, OpenSSL holds the key schedule, and with it the key, in
// ordinary heap memory: keep the key in a Secret, and the object only while a piece of work lasts.
class Gcm {
 public:
  static constexpr size_t kMaxNonce = 128;  // OpenSSL's limit
  static Result<Gcm> create(View key);      // 16 or 32 bytes
  Gcm(Gcm&& other) noexcept;
  Gcm& operator=(Gcm&& other) noexcept;
  ~Gcm();
  // nonce: 12 bytes for everything we define (vectors may use other lengths). out may be the input's data (in place).
  bool seal(View nonce, View aad, View plain, uint8_t* out);  // writes plain.size + 16 bytes
  // Writes sealed.size - 16 bytes; false, and out wiped, if not authentic.
  bool open(View nonce, View aad, View sealed, uint8_t* out);

 private:
  explicit Gcm(void* ctx) : ctx_(ctx) {}
  void* ctx_;
};

// --- cbc.cc   AES-256-CBC, NIST SP 800-38A, for the legacy profile: whole blocks, no padding, not authenticated
// key 32 bytes, iv 16; out.size == in.size, a multiple of 16; out may be the input's data (in place).
Status cbc_encrypt(View key, View iv, View plain, Span out);
Status cbc_decrypt(View key, View iv, View sealed, Span out);

// --- public_key.cc   Checks of public keys from outside (docs/format.md, section 11): 32 bytes, canonical, not of small order. KEY_INVALID.
// The private key of a point of small order is no secret: a signature of such an Ed25519 key can be forged without it.
Status check_x25519_public(View key);
Status check_ed25519_public(View key);

// --- curve.cc   RFC 7748, RFC 8032. Private keys are 32-byte seeds.
Status x25519_public(View private_key, Span public_key);
Status x25519(View private_key, View peer_public, Span shared);  // refuses an all-zero shared secret
Status ed25519_public(View seed, Span public_key);
Status ed25519_sign(View seed, View message, Span signature);  // signature.size == 64
// Without cofactor, S below the group's order, R compared as bytes (docs/format.md, section 7). False too for a key that
// check_ed25519_public() refuses.
bool ed25519_verify(View public_key, View message, View signature);

}  // namespace mg::crypto
