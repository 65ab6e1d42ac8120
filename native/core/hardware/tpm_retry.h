// How long a call waits for a TPM, and how often it tries again.
#pragma once
#include <chrono>
#include <functional>

#include "status.h"

namespace mg::hardware::tpm {

constexpr std::chrono::seconds kAnswerTime{30};  // for the work on the TPM
constexpr std::chrono::seconds kDeviceTime{35};  // for other programs to leave the device
constexpr std::chrono::seconds kTurnTime{70};    // for earlier calls of this process to end
static_assert(kTurnTime > kDeviceTime + kAnswerTime, "a call waits longer for its turn than another call may take");

struct Try {
  enum class Outcome : uint8_t {
    done,    // it succeeded, or a repetition would not help
    busy,    // the TPM answered that it cannot do the work yet, or a PCR changed between a policy and its use
    in_use,  // another program holds the TPM's device
  } outcome;
  Status status;
};
// Waits that long. False: the call was abandoned, which ends the pause at once.
using Pause = std::function<bool(std::chrono::milliseconds)>;

// Tries until the outcome is final, and returns the last status. A busy TPM is tried five times, after pauses that double, 3 seconds
// together; a device in use for kDeviceTime. ABORT_ERR.
Status repeat(const std::function<Try()>& attempt, const Pause& pause);

}  // namespace mg::hardware::tpm
