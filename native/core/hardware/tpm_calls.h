// Runs work on the TPM, one call at a time in this process. The library waits for an answer without a bound, and a transport may never give
// one. So each call has a thread that owns everything it needs. The caller abandons the call when it is cancelled, or when its time is over:
// the thread then ends after the command that the TPM is at, and removes from the TPM what it loaded.
#pragma once
#include <functional>
#include <memory>
#include <optional>

#include "hardware/tpm.h"
#include "hardware/tpm_connection.h"

namespace mg::hardware::tpm {

// Repeats `work` where tpm_retry.h says so. Its own errors, or TPM_UNAVAILABLE, ABORT_ERR.
Status run_call(std::function<Status(Connection&)> work, const Cancelled* cancelled);

// The same with a value. The value is shared with the thread, which may outlive this call.
template <class T>
Result<T> with_tpm(std::function<Result<T>(Connection&)> work, const Cancelled* cancelled) {
  auto value = std::make_shared<std::optional<T>>();
  Status status = run_call(
      [work = std::move(work), value](Connection& tpm) -> Status {
        Result<T> made = work(tpm);
        if (!made.ok()) return made.status();
        value->emplace(std::move(*made));
        return {};
      },
      cancelled);
  if (!status.ok()) return status;
  return std::move(**value);
}

}  // namespace mg::hardware::tpm
