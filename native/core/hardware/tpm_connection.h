// One connection to the TPM, and the objects that a call holds in the TPM's memory. They are freed when the call ends: a TPM without a
// resource manager has room for three objects.
#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "bytes.h"
#include "hardware/tss2.h"

namespace mg::hardware::tpm {

class Connection {
 public:
  // TPM_UNAVAILABLE; with EBUSY in `sys` where another program holds the device. `abandoned` ends the work at the next check().
  static Result<std::unique_ptr<Connection>> open(const std::atomic<bool>& abandoned);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  const tss2::Library& tss() const { return tss_; }
  tss2::Esys* esys() const { return esys_; }

  // The Status of a response code; `action` reads like "create its storage key". ABORT_ERR: the work was abandoned meanwhile.
  Status check(tss2::Rc rc, const std::string& action);
  // The same without ABORT_ERR: for a response that has to be wiped.
  Status check_response(tss2::Rc rc, const std::string& action);
  // Whether the last failure is transient, so that the work may succeed when it is repeated.
  bool is_transient() const { return transient_; }

 private:
  Connection(const tss2::Library& tss, const std::atomic<bool>& abandoned) : tss_(tss), abandoned_(abandoned) {}
  const tss2::Library& tss_;
  const std::atomic<bool>& abandoned_;
  tss2::Tcti* tcti_ = nullptr;
  tss2::Esys* esys_ = nullptr;
  bool transient_ = false;
};

// A buffer that the library allocates and must free.
template <class T>
class LibraryBuffer {
 public:
  explicit LibraryBuffer(const Connection& connection) : tss_(connection.tss()) {}
  ~LibraryBuffer() { tss_.free(value_); }
  LibraryBuffer(const LibraryBuffer&) = delete;
  LibraryBuffer& operator=(const LibraryBuffer&) = delete;
  T** out() { return &value_; }
  T* get() const { return value_; }
  T* operator->() const { return value_; }

 private:
  const tss2::Library& tss_;
  T* value_ = nullptr;
};

template <size_t N>
View view(const tss2::Sized<N>& sized) {
  return View(sized.buffer, sized.size < N ? sized.size : N);
}

// A session or a transient object, flushed at the end.
class TransientHandle {
 public:
  explicit TransientHandle(const Connection& connection) : connection_(&connection) {}
  TransientHandle(TransientHandle&& other) noexcept
      : connection_(other.connection_), handle_(std::exchange(other.handle_, tss2::kNone)) {}
  TransientHandle& operator=(TransientHandle&&) = delete;
  ~TransientHandle() {
    if (handle_ != tss2::kNone) connection_->tss().flush_context(connection_->esys(), handle_);
  }
  tss2::Handle* out() { return &handle_; }
  tss2::Handle handle() const { return handle_; }

 private:
  const Connection* connection_;
  tss2::Handle handle_ = tss2::kNone;
};

// TPM2_GetCapability: up to `count` values from `property` on.
template <class Data>
Status get_capability(Connection& tpm, uint32_t capability, uint32_t property, uint32_t count,
                      LibraryBuffer<tss2::Capability<Data>>* out) {
  uint8_t more = 0;
  const tss2::Rc rc = tpm.tss().get_capability(tpm.esys(), tss2::kNone, tss2::kNone, tss2::kNone, capability, property, count,
                                               &more, reinterpret_cast<void**>(out->out()));
  return tpm.check(rc, "read its capabilities");
}

}  // namespace mg::hardware::tpm
