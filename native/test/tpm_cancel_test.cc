// A call that is cancelled while the TPM is at any of its commands: its thread ends, and nothing stays in the TPM.
#include <future>

#include "hardware/tss2.h"
#include "support/swtpm.h"
#include "tpm_support.h"

using namespace tpm_test;
using test::Swtpm;

namespace {

tpm::Cancelled cancelled;
int calls_before;
std::promise<void>* returned;  // set when the cancelled call has returned to its caller

// While a Pause lives, the library function cancels the call that makes it, and does its work only when that call has returned.
template <auto Function>
class Pause;
template <class... A, tss2::Rc (*tss2::Library::*Function)(A...)>
class Pause<Function> {
 public:
  Pause() : library_(const_cast<tss2::Library&>(**tss2::library())) {
    original_ = library_.*Function;
    library_.*Function = call;
  }
  ~Pause() { library_.*Function = original_; }

 private:
  static tss2::Rc call(A... arguments) {
    if (calls_before-- == 0) {
      cancelled = true;
      returned->get_future().wait();
    }
    return original_(arguments...);
  }
  static inline tss2::Rc (*original_)(A...);
  tss2::Library& library_;
};

// Counts the calls of a library function while it lives.
template <auto Function>
class Count;
template <class... A, tss2::Rc (*tss2::Library::*Function)(A...)>
class Count<Function> {
 public:
  Count() : library_(const_cast<tss2::Library&>(**tss2::library())) {
    made = 0;
    original_ = library_.*Function;
    library_.*Function = [](A... arguments) {
      made++;
      return original_(arguments...);
    };
  }
  ~Count() { library_.*Function = original_; }
  static inline int made;

 private:
  static inline tss2::Rc (*original_)(A...);
  tss2::Library& library_;
};

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
#define MG_CANCEL(function)                                                                                        \
  do {                                                                                                             \
    const Pause<&tss2::Library::function> pause;                                                                   \
    const int times = cancel_each(*swtpm, #function, [&] { return tpm::unseal(sealed.blob, &cancelled).status(); }); \
    CHECK_MESSAGE(times > 0, std::string(#function));                                                              \
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
  const Count<&tss2::Library::load> loads;
  const Count<&tss2::Library::flush_context> flushes;
  const Pause<&tss2::Library::create_primary> pause;
  std::promise<void> signal;
  returned = &signal, calls_before = 0, cancelled = false;
  CHECK(tpm::unseal(sealed.blob, &cancelled).status().code == Code::ABORT_ERR);
  signal.set_value();
  tpm::join_cancelled();
  CHECK(loads.made == 0);
  CHECK(flushes.made == 1);
}
