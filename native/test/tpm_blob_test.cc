// What is stored beside a value that a TPM keeps, and what a TPM's response codes mean. Needs no TPM.
#include <functional>

#include "hardware/tpm_response.h"
#include "support/seed.h"
#include "tpm_support.h"

using namespace tpm_test;

TEST_CASE("tpm: what a response code means") {
  using tpm::Meaning;
  struct Case {
    uint32_t rc;
    Meaning meaning;
  };
  const Case cases[] = {
      {0x00000000, Meaning::success},
      {0x0000099d, Meaning::refused},       // POLICY_FAIL, session 1
      {0x0000029d, Meaning::refused},       // the same, other place
      {0x0000009d, Meaning::refused},       // the same, without a place
      {0x000c099d, Meaning::refused},       // the same, relayed by a resource manager
      {0x000001df, Meaning::elsewhere},     // INTEGRITY, parameter 1
      {0x0000018b, Meaning::elsewhere},     // HANDLE, handle 1
      {0x000001e5, Meaning::elsewhere},     // BINDING, parameter 1
      {0x0000098e, Meaning::unauthorized},  // AUTH_FAIL, session 1
      {0x000009a2, Meaning::unauthorized},  // BAD_AUTH, session 1
      {0x00000921, Meaning::locked},        // LOCKOUT
      {0x000c0921, Meaning::locked},
      {0x00000128, Meaning::again},         // PCR_CHANGED
      {0x00000922, Meaning::again},         // RETRY
      {0x00000908, Meaning::again},         // YIELDED
      {0x0000090a, Meaning::again},         // TESTING
      {0x00000100, Meaning::unavailable},   // INITIALIZE
      {0x00000101, Meaning::unavailable},   // FAILURE
      {0x00000902, Meaning::unavailable},   // OBJECT_MEMORY
      {0x00000120, Meaning::unavailable},   // DISABLED
      {0x0000001e, Meaning::unavailable},   // BAD_TAG: a TPM 1.2
      {0x00000521, Meaning::unavailable},   // a vendor's
      {0x000a0921, Meaning::unavailable},   // numbers of other layers mean other things: TCTI
      {0x0007009d, Meaning::unavailable},   // ESYS
      {0x000b0921, Meaning::unavailable},   // the resource manager itself
      {0x000c0000, Meaning::unavailable},
      {0x00001921, Meaning::unavailable},   // no such code
      {0x01000000, Meaning::unavailable},
  };
  for (const Case& one : cases) {
    INFO("rc ", one.rc);
    CHECK(tpm::meaning(one.rc) == one.meaning);
  }

  CHECK(tpm::refusal(0x921, "work").code == Code::TPM_LOCKED);
  CHECK(tpm::refusal(0x99d, "work").code == Code::TPM_REFUSED);
  CHECK(tpm::refusal(0x1df, "work").code == Code::HARDWARE_MISMATCH);
  CHECK(tpm::refusal(0x98e, "work").code == Code::TPM_UNAVAILABLE);
  CHECK(tpm::refusal(0x922, "work").code == Code::TPM_UNAVAILABLE);
  CHECK(tpm::refusal(0x101, "work").code == Code::TPM_UNAVAILABLE);
  CHECK(tpm::refusal(0x101, "work").what == "the TPM cannot work (0x00000101)");
}

TEST_CASE("tpm: a blob parses strictly and encodes to the same bytes") {
  const tpm::Blob blob = made_up_blob();
  const Bytes bytes = blob.encode();
  auto parsed = tpm::parse_blob(bytes);
  REQUIRE(parsed.ok());
  CHECK(parsed->encode() == bytes);
  CHECK(equal(parsed->policy(), Bytes(32, 0x22)));
  CHECK(tpm::is_blob(bytes));
  CHECK(tpm::parse_blob(bytes)->pcrs == 0x81);

  for (size_t size = 0; size < bytes.size(); size++) CHECK(!tpm::is_blob(View(bytes).sub(0, size)));
  Bytes longer = bytes;
  longer.push_back(0);
  CHECK(!tpm::is_blob(longer));

  const auto refuses = [&](const char* what, const std::function<void(tpm::Blob&)>& change) {
    tpm::Blob changed = blob;
    change(changed);
    CHECK_MESSAGE(!tpm::is_blob(changed.encode()), std::string(what));
    check_refused(changed.encode(), Code::KEY_INVALID);
  };
  refuses("no PCR", [](tpm::Blob& b) { b.pcrs = 0; });
  refuses("PCR 24", [](tpm::Blob& b) { b.pcrs = 1u << 24 | 1u << 7; });
  refuses("a name of another algorithm", [](tpm::Blob& b) { b.parent[1] = 0x04; });
  refuses("a name too long", [](tpm::Blob& b) { b.parent.push_back(0); });
  refuses("no name", [](tpm::Blob& b) { b.parent.clear(); });
  refuses("a public area of another type", [](tpm::Blob& b) { b.public_area[3] = 0x23; });
  refuses("a public area that a password opens", [](tpm::Blob& b) { b.public_area[9] |= 0x40; });
  refuses("a public area with another size", [](tpm::Blob& b) { b.public_area[1]++; });
  refuses("a public area too long", [](tpm::Blob& b) { b.public_area.push_back(0); });
  refuses("a private area with another size", [](tpm::Blob& b) { b.private_area[1]++; });
  refuses("an empty private area", [](tpm::Blob& b) { b.private_area = {0, 0}; });
  refuses("larger than allowed", [](tpm::Blob& b) {
    b.private_area = Bytes(tpm::kMaxBlob);
    write_be(b.private_area.data(), uint16_t(b.private_area.size() - 2));
  });

  std::mt19937_64 random(test::test_seed());
  size_t still_blobs = 0;
  for (int round = 0; round < 20000; round++) {
    Bytes changed = bytes;
    for (int change = 0; change < 1 + round % 3; change++) changed[random() % changed.size()] ^= uint8_t(1 + random() % 255);
    auto again = tpm::parse_blob(changed);
    if (!again.ok()) continue;
    still_blobs++;
    CHECK(again->encode() == changed);
  }
  CHECK(still_blobs > 0);
}
