// The PCRs that a sealed value is bound to. Against a software TPM where there is one.
#include "hardware/tpm_support.h"
#include "support/swtpm.h"

using namespace tpm_test;
using test::StderrCapture;
using test::Swtpm;

TEST_CASE("tpm: a policy names one or more of PCRs 0 to 23") {
  for (uint32_t pcrs : {0u, 1u << 24, 0xffffffffu}) CHECK(tpm::seal(pcrs).status().code == Code::INVALID_ARGUMENT);
}

TEST_CASE("tpm: a policy over PCRs that the TPM does not have is refused, not left empty") {
  const auto swtpm = Swtpm::start();
  if (!swtpm) return;
  swtpm->use();
  REQUIRE(swtpm->tool({"tpm2_pcrallocate", "sha1:all+sha256:none"}));
  swtpm->restart();
  const auto sealed = tpm::seal(tpm::kDefaultPcrs);
  REQUIRE(!sealed.ok());
  CHECK(sealed.status().code == Code::TPM_UNAVAILABLE);
  CHECK(sealed.status().what == "the TPM has no SHA-256 bank with all of the PCRs asked for");
}

TEST_CASE("tpm: each PCR of a policy without a measurement is reported") {
  const auto tpm = Swtpm::start();
  if (!tpm) return;
  tpm->use();
  const uint32_t pcr1 = 1u << 1, pcr7 = 1u << 7, pcr17 = 1u << 17, all = (1u << 24) - 1;
  const auto unmeasured = [](uint32_t pcrs) { return seal(pcrs).unmeasured; };
  CHECK(unmeasured(pcr7) == pcr7);
  CHECK(unmeasured(pcr7 | pcr1) == (pcr7 | pcr1));
  CHECK(unmeasured(pcr17) == pcr17);                  // all bits are 1 until a late launch
  CHECK(unmeasured(pcr7 | pcr17) == (pcr7 | pcr17));  // zeros and ones in one policy
  CHECK(unmeasured(all) == all);                      // more than a TPM gives at a time
  tpm->extend(7);
  CHECK(unmeasured(pcr7) == 0);
  CHECK(unmeasured(pcr7 | pcr1) == pcr1);
  CHECK(unmeasured(pcr7 | pcr17) == pcr17);
  CHECK(unmeasured(all) == (all & ~pcr7));
  // The separators of the firmware: SHA-256 of four bytes of 00, and of ff.
  const uint32_t pcr2 = 1u << 2;
  tpm->extend(1, "df3f619804a92fdb4057192dc43dd748ea778adc52bc498ce80524c014b81119");
  tpm->extend(2, "ad95131bc0b799c0b1af477fb14fcf26a6a9f76079e48bf090acb7e8367bfd0e");
  CHECK(unmeasured(pcr1 | pcr2 | pcr7) == (pcr1 | pcr2));
  tpm->extend(1);
  CHECK(unmeasured(pcr1 | pcr2 | pcr7) == pcr2);
}

TEST_CASE("tpm: other PCR values than at the enrolment are refused, until they are back") {
  const auto swtpm = Swtpm::start();
  if (!swtpm) return;
  swtpm->use();
  const tpm::Sealed before = seal(), pair = seal(1u << 7 | 1u << 10);
  swtpm->extend(10);
  check_opens(before);
  const StderrCapture printed;
  check_refused(pair.blob, Code::TPM_REFUSED);
  swtpm->extend(7);
  check_refused(before.blob, Code::TPM_REFUSED);
  CHECK(printed.text() == "");  // what is expected to happen makes the library print nothing

  const tpm::Sealed after = seal();
  check_opens(after);
  swtpm->restart();
  check_opens(before);
  check_refused(after.blob, Code::TPM_REFUSED);
  swtpm->extend(7);
  check_opens(after);
  check_refused(before.blob, Code::TPM_REFUSED);
  CHECK(swtpm->is_clean());
}
