// A TPM that is busy, and one that fails, at every call that we make.
#include <functional>
#include <new>
#include <system_error>

#include "hardware/tpm_support.h"
#include "support/swtpm.h"

using namespace tpm_test;
using test::Swtpm;

namespace {

// While a Fault lives, calls of its library function give `fault_code` in place of their work: `faults` of them, after the first
// `calls_before_fault`.
int calls_before_fault;
int faults;
uint32_t fault_code;

tss2::Rc fault() {
  if (calls_before_fault-- > 0 || faults <= 0) return 0;
  faults--;
  return fault_code;
}
template <auto Function>
using Fault = Hooked<Function, fault>;

tss2::Rc throw_bad_alloc() { throw std::bad_alloc(); }
tss2::Rc throw_system_error() { throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again)); }

}  // namespace

TEST_CASE("tpm: a busy TPM and a PCR that changes meanwhile are tried again, a few times") {
  const auto swtpm = Swtpm::start();
  if (!swtpm) return;
  swtpm->use();
  const tpm::Sealed sealed = seal();
  for (const uint32_t code : {0x128u, 0x908u, 0x90au, 0x920u, 0x922u}) {
    const Fault<&tss2::Library::unseal> fault;
    calls_before_fault = 0, faults = 1, fault_code = code;
    check_opens(sealed);
    CHECK(faults == 0);
  }
  {
    const Fault<&tss2::Library::unseal> fault;
    calls_before_fault = 0, faults = 1000, fault_code = 0x922;
    check_refused(sealed.blob, Code::TPM_UNAVAILABLE);
    CHECK(faults == 1000 - 5);
  }
  {
    const Fault<&tss2::Library::unseal> fault;
    calls_before_fault = 0, faults = 1000, fault_code = 0x99d;
    check_refused(sealed.blob, Code::TPM_REFUSED);
    CHECK(faults == 999);  // a refusal is final
  }
  CHECK(swtpm->is_clean());
}

TEST_CASE("tpm: an exception on the thread of a call becomes its status, and the next call has its turn") {
  const auto swtpm = Swtpm::start();
  if (!swtpm) return;
  swtpm->use();
  const tpm::Sealed sealed = seal();
  {
    const Hooked<&tss2::Library::load, throw_bad_alloc> throwing;
    check_refused(sealed.blob, Code::OUT_OF_MEMORY);
  }
  {
    const Hooked<&tss2::Library::load, throw_system_error> throwing;
    check_refused(sealed.blob, Code::INTERNAL);
  }
  check_opens(sealed);
  CHECK(swtpm->is_clean());
}

TEST_CASE("tpm: whichever call fails, the error is passed on and nothing stays in the TPM") {
  const auto swtpm = Swtpm::start();
  if (!swtpm) return;
  swtpm->use();
  const tpm::Sealed sealed = seal();
  // Fails the first call of the function, then the second, and so on, until the work makes fewer.
  const auto fail_each = [&](const std::string& function, const std::function<Status()>& work) {
    int failed = 0;
    for (;; failed++) {
      calls_before_fault = failed, faults = 1, fault_code = 0x101;
      const Status status = work();
      if (faults == 1) {
        CHECK_MESSAGE(status.ok(), function, ": ", status.what);
        return failed;
      }
      CHECK_MESSAGE(status.code == Code::TPM_UNAVAILABLE, function, ", call ", failed, ": ", status.what);
    }
  };
  const std::function<Status()> works[] = {[] { return tpm::seal(tpm::kDefaultPcrs).status(); },
                                           [&] { return tpm::unseal(sealed.blob).status(); },
                                           [] { return tpm::endorsement_name().status(); }};
  int failed = 0;
#define MG_FAIL(function)                                               \
  do {                                                                  \
    const Fault<&tss2::Library::function> fault;                        \
    int times = 0;                                                      \
    for (const auto& work : works) times += fail_each(#function, work); \
    CHECK_MESSAGE(times > 0, std::string(#function));                   \
    CHECK_MESSAGE(swtpm->is_clean(), std::string(#function));           \
    failed += times;                                                    \
  } while (false)
  const auto all = [&] {
    MG_FAIL(initialize);
    MG_FAIL(get_name);
    MG_FAIL(create);
    MG_FAIL(load);
    MG_FAIL(unseal);
    MG_FAIL(start_auth_session);
    MG_FAIL(set_attributes);
    MG_FAIL(policy_pcr);
    MG_FAIL(pcr_read);
    MG_FAIL(policy_get_digest);
    MG_FAIL(get_capability);
    MG_FAIL(marshal_public);
    MG_FAIL(unmarshal_public);
  };
  all();
  MG_FAIL(create_primary);
  // With a persistent key, other calls are made.
  REQUIRE(swtpm->tool({"tpm2_createprimary", "-C", "o", "-G", "ecc", "-c", "storage.ctx"}));
  REQUIRE(swtpm->tool({"tpm2_evictcontrol", "-C", "o", "-c", "storage.ctx", "0x81000001"}));
  REQUIRE(swtpm->tool({"tpm2_flushcontext", "-t"}));
  all();
  MG_FAIL(from_tpm_public);
  MG_FAIL(read_public);
#undef MG_FAIL
  CHECK(failed > 50);
}
