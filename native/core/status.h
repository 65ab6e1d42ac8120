// Errors as values. Nothing in native/core throws; the addon turns a Status into a ModelGuardError.
#pragma once
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <utility>

namespace mg {

// One entry per documented code (docs/errors.md); the spelling crosses the boundary, never the number.
// clang-format off
#define MG_CODES(X)                                                                              \
  X(OK) X(ABORT_ERR) X(INVALID_ARGUMENT) X(NOT_A_CONTAINER) X(CONTAINER_TRUNCATED)               \
  X(CONTAINER_MALFORMED) X(VERSION_UNSUPPORTED) X(CRITICAL_UNSUPPORTED) X(LIMIT_EXCEEDED)        \
  X(MANIFEST_INVALID) X(REFERENCE_MISMATCH) X(PARTS_MISMATCH) X(INTEGRITY_FAILED)                \
  X(DIGEST_MISMATCH) X(SIGNATURE_MISSING) X(SIGNATURE_INVALID) X(LEASE_UNTRUSTED)                \
  X(LEASE_NOT_YET_VALID) X(LEASE_EXPIRED) X(POLICY_PRESENT) X(NO_MATCHING_IDENTITY)              \
  X(DERIVATIONS_EXCEEDED) X(KEY_INVALID) X(KEY_TYPE_WRONG) X(PASSPHRASE_INVALID) X(HARDWARE_MISMATCH)                    \
  X(HARDWARE_UNREADABLE) X(MACHINE_FILE_INVALID) X(MACHINE_POLICY_WEAK) X(SALTS_MISMATCH)        \
  X(SALTS_INVALID) X(TPM_UNAVAILABLE) X(TPM_LOCKED) X(TPM_REFUSED) X(LEGACY_FAILED)              \
  X(NAME_INVALID) X(SOURCE_UNSUPPORTED) X(SOURCE_EMPTY) X(SOURCE_CHANGED) X(NOT_FOUND)           \
  X(ALREADY_EXISTS) X(PERMISSION_DENIED) X(READ_ONLY) X(NO_SPACE) X(IO_FAILED) X(OUT_OF_MEMORY)  \
  X(DISPOSED) X(PROCESS_FORKED) X(MOUNT_REFUSED) X(INTERNAL)
// clang-format on

enum class Code : uint8_t {
#define X(name) name,
  MG_CODES(X)
#undef X
};

const char* code_name(Code code);

// `what` is one sentence about this occurrence; the advice for the code lives with the SDK's messages.
struct [[nodiscard]] Status {
  Code code = Code::OK;
  std::string what;
  int sys = 0;  // errno, where there was one

  Status() = default;
  Status(Code c, std::string w, int e = 0) : code(c), what(std::move(w)), sys(e) {}
  bool ok() const { return code == Code::OK; }

  // Maps errno to the code a person can act on; `action` reads like "cannot write the big part", `path` may be empty.
  static Status from_errno(int error, const std::string& action, const std::string& path);
  // Of an exception of the standard library: OUT_OF_MEMORY, which needs no memory itself, or INTERNAL.
  static Status from_exception(const std::exception& error) noexcept;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}
  Result(Status status) : status_(std::move(status)) {}
  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace mg
