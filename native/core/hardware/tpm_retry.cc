#include "hardware/tpm_retry.h"

namespace mg::hardware::tpm {
namespace {

using std::chrono::milliseconds;

constexpr int kTries = 5;
constexpr milliseconds kFirstPause{200};  // a TPM that limits its NV writes takes seconds to recover
constexpr milliseconds kDevicePause{250};

}  // namespace

Status repeat(const std::function<Try()>& attempt, const Pause& pause) {
  milliseconds next = kFirstPause, waited{0};
  for (int busy = 0;;) {
    Try made = attempt();
    milliseconds length{0};
    switch (made.outcome) {
      case Try::Outcome::done: return made.status;
      case Try::Outcome::busy:
        if (++busy == kTries) return made.status;
        length = next;
        next *= 2;
        break;
      case Try::Outcome::in_use:
        if (waited >= kDeviceTime) {
          made.status.what += ", for more than " + std::to_string(kDeviceTime.count()) + " seconds";
          return made.status;
        }
        length = kDevicePause;
        waited += length;
        break;
    }
    if (!pause(length)) return Status(Code::ABORT_ERR, "cancelled");
  }
}

}  // namespace mg::hardware::tpm
