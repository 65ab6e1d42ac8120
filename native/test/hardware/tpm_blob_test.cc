// The blob that is stored beside a TPM value, and the classes of a TPM's response codes. Needs no TPM.
#include <functional>

#include "hardware/tpm_response.h"
#include "hardware/tpm_support.h"
#include "support/seed.h"

using namespace tpm_test;

TEST_CASE("tpm: the class of each response code") {
  using tpm::ResponseClass;
  struct Case {
    uint32_t rc;
    ResponseClass meaning;
  };
  const Case cases[] = {
      {0x00000000, ResponseClass::success},      {0x0000099d, ResponseClass::refused},  // POLICY_FAIL, session 1
      {0x0000029d, ResponseClass::refused},                                             // the same, other place
      {0x0000009d, ResponseClass::refused},                                             // the same, without a place
      {0x000c099d, ResponseClass::refused},                                             // the same, relayed by a resource manager
      {0x000001df, ResponseClass::foreign},                                             // INTEGRITY, parameter 1
      {0x0000018b, ResponseClass::foreign},                                             // HANDLE, handle 1
      {0x000001e5, ResponseClass::foreign},                                             // BINDING, parameter 1
      {0x0000098e, ResponseClass::unauthorized},                                        // AUTH_FAIL, session 1
      {0x000009a2, ResponseClass::unauthorized},                                        // BAD_AUTH, session 1
      {0x00000921, ResponseClass::locked},                                              // LOCKOUT
      {0x000c0921, ResponseClass::locked},       {0x00000128, ResponseClass::retry},    // PCR_CHANGED
      {0x00000922, ResponseClass::retry},                                               // RETRY
      {0x00000908, ResponseClass::retry},                                               // YIELDED
      {0x0000090a, ResponseClass::retry},                                               // TESTING
      {0x00000909, ResponseClass::retry},                                               // CANCELED
      {0x00000920, ResponseClass::retry},                                               // NV_RATE
      {0x000c0920, ResponseClass::retry},                                               // the same, relayed by a resource manager
      {0x00000100, ResponseClass::unavailable},                                         // INITIALIZE
      {0x00000101, ResponseClass::unavailable},                                         // FAILURE
      {0x00000902, ResponseClass::unavailable},                                         // OBJECT_MEMORY
      {0x00000120, ResponseClass::unavailable},                                         // DISABLED
      {0x0000001e, ResponseClass::unavailable},                                         // BAD_TAG: a TPM 1.2
      {0x00000521, ResponseClass::unavailable},                                         // a vendor's
      {0x000a0921, ResponseClass::unavailable},  // numbers of other layers mean other things: TCTI
      {0x0007009d, ResponseClass::unavailable},  // ESYS
      {0x000b0921, ResponseClass::unavailable},  // the resource manager itself
      {0x000c0000, ResponseClass::unavailable},  {0x00001921, ResponseClass::unavailable},  // no such code
      {0x01000000, ResponseClass::unavailable},
  };
  for (const Case& one : cases) {
    INFO("rc ", one.rc);
    CHECK(tpm::classify(one.rc) == one.meaning);
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
