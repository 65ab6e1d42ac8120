// A call that is cancelled while the TPM is at any of its commands: its thread ends, and nothing stays in the TPM.
#include <future>

#include "hardware/tpm_support.h"
#include "support/swtpm.h"

using namespace tpm_test;
using test::Swtpm;

namespace {

tpm::Cancelled cancelled;
int calls_before;
std::promise<void>* returned;  // set when the cancelled call has returned to its caller

// While a Pause lives, the library function cancels the call that makes it, and does its work only when that call has returned.
tss2::Rc cancel_and_wait() {
  if (calls_before-- == 0) {
    cancelled = true;
    returned->get_future().wait();
  }
  return 0;
}
template <auto Function>
using Pause = Hooked<Function, cancel_and_wait>;

int loads, flushes;
tss2::Rc count_load() { return loads++, 0; }
tss2::Rc count_flush() { return flushes++, 0; }

// Cancels the first call of the function, then the second, and so on, until the work makes fewer. Returns how many it made.
template <class Work>
int cancel_each(const Swtpm& swtpm, const std::string& function, Work work) {
  for (int made = 0;; made++) {
    std::promise<void> signal;
    returned = &signal;
    calls_before = made;
    cancelled = false;
    const Status status = work();
    signal.set_value();
    tpm::join_cancelled();
    if (!cancelled) {
      CHECK_MESSAGE(status.ok(), function, ": ", status.what);
      return made;
    }
    CHECK_MESSAGE(status.code == Code::ABORT_ERR, function, ", call ", made, ": ", status.what);
    CHECK_MESSAGE(swtpm.is_clean(), function, ", call ", made);
  }
}

}  // namespace

TEST_CASE("tpm: whichever command a call is cancelled at, nothing stays in the TPM") {
  const auto swtpm = Swtpm::start();
  if (!swtpm) return;
  swtpm->use();
  const tpm::Sealed sealed = seal();
#define MG_CANCEL(function)                                                                                          \
  do {                                                                                                               \
    const Pause<&tss2::Library::function> pause;                                                                     \
    const int times = cancel_each(*swtpm, #function, [&] { return tpm::unseal(sealed.blob, &cancelled).status(); }); \
    CHECK_MESSAGE(times > 0, std::string(#function));                                                                \
  } while (false)
  MG_CANCEL(create_primary);
  MG_CANCEL(load);
  MG_CANCEL(start_auth_session);
  MG_CANCEL(policy_pcr);
  MG_CANCEL(unseal);
#undef MG_CANCEL
  {
    const Pause<&tss2::Library::create> pause;
    CHECK(cancel_each(*swtpm, "create", [] { return tpm::seal(tpm::kDefaultPcrs, &cancelled).status(); }) == 1);
  }
  check_opens(sealed);
}

TEST_CASE("tpm: a call that was cancelled makes no further command but to take out what it loaded") {
  const auto swtpm = Swtpm::start();
  if (!swtpm) return;
  swtpm->use();
  const tpm::Sealed sealed = seal();
  loads = flushes = 0;
  const Hooked<&tss2::Library::load, count_load> loading;
  const Hooked<&tss2::Library::flush_context, count_flush> flushing;
  const Pause<&tss2::Library::create_primary> pause;
  std::promise<void> signal;
  returned = &signal, calls_before = 0, cancelled = false;
  CHECK(tpm::unseal(sealed.blob, &cancelled).status().code == Code::ABORT_ERR);
  signal.set_value();
  tpm::join_cancelled();
  CHECK(loads == 0);
  CHECK(flushes == 1);
}
