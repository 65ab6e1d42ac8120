// A stack buffer for a secret that lives shorter than one call; a Secret is for anything that outlives it.
#pragma once
#include "crypto/crypto.h"
#include "memory/wipe_stack.h"

namespace mg::crypto {

template <size_t N>
class SecretBuffer {
 public:
  SecretBuffer() = default;
  SecretBuffer(const SecretBuffer&) = delete;
  SecretBuffer& operator=(const SecretBuffer&) = delete;
  ~SecretBuffer() { wipe(Span(bytes_)); }

  Span span() { return Span(bytes_); }
  Span span(size_t size) { return Span(bytes_, size); }  // size <= N
  View view() const { return View(bytes_); }
  View view(size_t size) const { return View(bytes_, size); }

 private:
  uint8_t bytes_[N] = {};
};

// Wipes the stack below a function when it returns. OpenSSL's X25519 leaves the shared secret in a local of its own
// (x86-64 with ADX: field elements there have the layout of the encoded point), seen in a memory scan.
class StackWipe {
 public:
  StackWipe() = default;
  StackWipe(const StackWipe&) = delete;
  StackWipe& operator=(const StackWipe&) = delete;
  ~StackWipe() { wipe_stack(); }
};

}  // namespace mg::crypto
