// Values that a TPM keeps: they open on that TPM in that state, and nowhere else. Against a software TPM where there is one.
#include "hardware/tpm.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <thread>

#include "hardware/tpm_blob.h"
#include "hardware/tpm_response.h"
#include "hardware/tss2.h"
#include "support/memory_scan.h"
#include "support/scale.h"
#include "support/seed.h"
#include "support/swtpm.h"

using namespace mg;
using namespace mg::hardware;
using test::StderrCapture;
using test::Swtpm;

namespace {

tpm::Sealed seal(uint32_t pcrs = tpm::kDefaultPcrs) {
  auto sealed = tpm::seal(pcrs);
  REQUIRE_MESSAGE(sealed.ok(), sealed.status().what);
  return std::move(*sealed);
}

void check_opens(const tpm::Sealed& sealed) {
  const auto value = tpm::unseal(sealed.blob);
  REQUIRE_MESSAGE(value.ok(), value.status().what);
  CHECK(equal(value->reveal(), sealed.value.reveal()));
}

void check_refused(View blob, Code code) {
  const auto value = tpm::unseal(blob);
  REQUIRE(!value.ok());
  CHECK_MESSAGE(value.status().code == code, code_name(value.status().code), ": ", value.status().what);
}

// A blob in the form of a real one, with contents made up.
tpm::Blob made_up_blob() {
  tpm::Blob blob;
  blob.pcrs = 0x81;
  blob.parent = {0x00, 0x0b};
  blob.parent.resize(34, 0x11);
  blob.public_area = tpm::sealed_template(Bytes(32, 0x22));
  blob.public_area.back() = 32;
  blob.public_area.resize(blob.public_area.size() + 32, 0x33);
  blob.public_area[1] = uint8_t(blob.public_area.size() - 2);
  blob.private_area = {0x00, 0x50};
  blob.private_area.resize(2 + 0x50, 0x44);
  return blob;
}

// Makes one call of one library function give a response code in place of its work, while it lives.
int calls_before_fault;
int faults;
uint32_t fault_code;

template <auto Function>
class Fault;
template <class... A, tss2::Rc (*tss2::Library::*Function)(A...)>
class Fault<Function> {
 public:
  Fault() : library_(const_cast<tss2::Library&>(**tss2::library())) {
    original_ = library_.*Function;
    library_.*Function = call;
  }
  ~Fault() { library_.*Function = original_; }

 private:
  static tss2::Rc call(A... arguments) {
    if (calls_before_fault-- > 0 || faults <= 0) return original_(arguments...);
    faults--;
    return fault_code;
  }
  static inline tss2::Rc (*original_)(A...);
  tss2::Library& library_;
};

struct Environment {  // MODEL_GUARD_TCTI for one test
  explicit Environment(const char* value) { value ? setenv("MODEL_GUARD_TCTI", value, 1) : unsetenv("MODEL_GUARD_TCTI"); }
  ~Environment() { unsetenv("MODEL_GUARD_TCTI"); }
};

}  // namespace

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
  CHECK(tpm::blob_pcrs(bytes) == 0x81);

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

TEST_CASE("tpm: without a TPM that answers, the error says why") {
  const auto why = [] {
    const StderrCapture quiet;
    const auto sealed = tpm::seal(tpm::kDefaultPcrs);
    REQUIRE(!sealed.ok());
    CHECK(sealed.status().code == Code::TPM_UNAVAILABLE);
    const auto name = tpm::endorsement_name();
    REQUIRE(!name.ok());
    CHECK(name.status().what == sealed.status().what);
    check_refused(made_up_blob().encode(), Code::TPM_UNAVAILABLE);
    return sealed.status().what;
  };
  {
    const Environment nowhere(nullptr);
    if (access("/dev/tpmrm0", F_OK) != 0 && access("/dev/tpm0", F_OK) != 0) {
      CHECK(!tpm::present());
      CHECK(why() == "this machine has no TPM: there is neither /dev/tpmrm0 nor /dev/tpm0");
    } else {
      CHECK(tpm::present());
    }
  }
  const Environment empty(":host=127.0.0.1");
  CHECK(tpm::present());
  CHECK(why() == "MODEL_GUARD_TCTI names no transport: ':host=127.0.0.1'");
  const Environment unknown("no-such-transport:");
  if (!tss2::library().ok()) {
    CHECK(why().find("the TPM library cannot be loaded: ") == 0);
    return;
  }
  CHECK(why().find("the TPM cannot be reached through 'no-such-transport:' (0x") != std::string::npos);
  const Environment closed("swtpm:host=127.0.0.1,port=1");
  CHECK(why().find("the TPM cannot be reached through 'swtpm:host=127.0.0.1,port=1' (0x") != std::string::npos);
}

TEST_CASE("tpm: a policy names one or more of PCRs 0 to 23") {
  for (uint32_t pcrs : {0u, 1u << 24, 0xffffffffu}) CHECK(tpm::seal(pcrs).status().code == Code::INVALID_ARGUMENT);
}

TEST_CASE("tpm: what is sealed opens, again and again, and leaves nothing in the TPM") {
  const auto swtpm = Swtpm::start();
  if (!swtpm) return;
  swtpm->use();
  CHECK(tpm::present());
  const tpm::Sealed one = seal(), other = seal(1u << 23 | 1u << 7 | 1u);
  CHECK(one.value.size() == 32);
  CHECK(!equal(one.value.reveal(), other.value.reveal()));
  CHECK(tpm::is_blob(one.blob));
  CHECK(tpm::blob_pcrs(one.blob) == tpm::kDefaultPcrs);
  CHECK(tpm::blob_pcrs(other.blob) == (1u << 23 | 1u << 7 | 1u));
  for (int round = 0; round < 4; round++) {  // a TPM without a resource manager has room for three objects and three sessions
    check_opens(one);
    check_opens(other);
    seal();
  }
  CHECK(swtpm->is_clean());
}

TEST_CASE("tpm: threads seal and open side by side") {
  const auto swtpm = Swtpm::start();
  if (!swtpm) return;
  swtpm->use();
  const tpm::Sealed sealed = seal();
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&] {
      for (int round = 0; round < 3; round++) {
        const auto value = tpm::unseal(sealed.blob);
        const auto fresh = tpm::seal(tpm::kDefaultPcrs);
        good += value.ok() && fresh.ok() && equal(value->reveal(), sealed.value.reveal());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(good == 12);
  CHECK(swtpm->is_clean());
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

TEST_CASE("tpm: another TPM refuses, and so does the same after it was cleared") {
  const auto mine = Swtpm::start(), other = Swtpm::start();
  if (!mine || !other) return;
  mine->use();
  const tpm::Sealed sealed = seal();
  const StderrCapture printed;
  other->use();
  check_refused(sealed.blob, Code::HARDWARE_MISMATCH);
  CHECK(other->is_clean());
  mine->use();
  check_opens(sealed);
  REQUIRE(mine->tool({"tpm2_clear", "-c", "p"}));
  check_refused(sealed.blob, Code::HARDWARE_MISMATCH);
  CHECK(printed.text() == "");
}

TEST_CASE("tpm: a blob changed in any byte never gives the value") {
  const auto swtpm = Swtpm::start();
  if (!swtpm) return;
  swtpm->use();
  const tpm::Sealed sealed = seal();
  std::mt19937_64 random(test::test_seed());
  const size_t step = size_t(1 / test::scale());
  const StderrCapture quiet;  // the library complains about each
  size_t tried = 0;
  for (size_t at = random() % step; at < sealed.blob.size(); at += step) {
    Bytes changed = sealed.blob;
    changed[at] ^= uint8_t(1 + random() % 255);
    tried += tpm::is_blob(changed);
    const auto value = tpm::unseal(changed);
    INFO("byte ", at);
    REQUIRE(!value.ok());
    const Code code = value.status().code;
    const bool right = code == (at < 4 ? Code::TPM_REFUSED : Code::HARDWARE_MISMATCH) || code == Code::KEY_INVALID;
    CHECK_MESSAGE(right, code_name(code), ": ", value.status().what);
  }
  CHECK(tried > 0);
  for (const size_t size : {sealed.blob.size() + 1, size_t(1600), tpm::kMaxBlob}) {  // a private area too long for any TPM
    auto blob = tpm::parse_blob(sealed.blob);
    blob->private_area.resize(blob->private_area.size() + size - sealed.blob.size());
    write_be(blob->private_area.data(), uint16_t(blob->private_area.size() - 2));
    CHECK(tpm::is_blob(blob->encode()));
    CHECK(!tpm::unseal(blob->encode()).ok());
  }
  CHECK(swtpm->is_clean());
  check_opens(sealed);
}

TEST_CASE("tpm: without a persistent key, the parent is TCG's storage key") {
  const auto swtpm = Swtpm::start();
  if (!swtpm) return;
  swtpm->use();
  const tpm::Sealed sealed = seal();
  std::string unique;  // two coordinates of 32 zeros, as they lie in the library's memory: each with room for 128 bytes
  for (int i = 0; i < 2; i++) unique += std::string("\x20\0", 2) + std::string(128, '\0');
  std::ofstream(swtpm->folder() + "/unique", std::ios::binary) << unique;
  const std::string attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt";
  REQUIRE(swtpm->tool({"tpm2_createprimary", "-C", "o", "-G", "ecc256:aes128cfb", "-g", "sha256", "-a", attributes, "-u", "unique",
                       "-c", "key.ctx"}));
  CHECK(tpm::parse_blob(sealed.blob)->parent == swtpm->name_of("key.ctx"));
}

TEST_CASE("tpm: the persistent storage key is the parent where there is one") {
  const auto swtpm = Swtpm::start();
  if (!swtpm) return;
  swtpm->use();
  const tpm::Sealed under_template = seal();
  REQUIRE(swtpm->tool({"tpm2_createprimary", "-C", "o", "-G", "rsa2048", "-c", "storage.ctx"}));
  REQUIRE(swtpm->tool({"tpm2_evictcontrol", "-C", "o", "-c", "storage.ctx", "0x81000001"}));
  REQUIRE(swtpm->tool({"tpm2_flushcontext", "-t"}));
  const Bytes name = swtpm->name_of("0x81000001");
  const tpm::Sealed under_persistent = seal();
  CHECK(tpm::parse_blob(under_persistent.blob)->parent == name);
  CHECK(tpm::parse_blob(under_template.blob)->parent != name);
  check_opens(under_persistent);
  check_opens(under_template);  // a key made persistent later does no harm
  CHECK(swtpm->is_clean());

  const StderrCapture printed;
  REQUIRE(swtpm->tool({"tpm2_evictcontrol", "-C", "o", "-c", "0x81000001"}));
  check_refused(under_persistent.blob, Code::HARDWARE_MISMATCH);
  check_opens(under_template);
  CHECK(printed.text() == "");
}

TEST_CASE("tpm: a persistent key that cannot be a parent is passed over") {
  const auto swtpm = Swtpm::start();
  if (!swtpm) return;
  swtpm->use();
  const std::string attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign";
  REQUIRE(swtpm->tool({"tpm2_createprimary", "-C", "o", "-G", "ecc", "-a", attributes, "-c", "signing.ctx"}));
  REQUIRE(swtpm->tool({"tpm2_evictcontrol", "-C", "o", "-c", "signing.ctx", "0x81000001"}));
  REQUIRE(swtpm->tool({"tpm2_flushcontext", "-t"}));
  const StderrCapture printed;
  check_opens(seal());
  CHECK(printed.text() == "");
  CHECK(swtpm->is_clean());
}

TEST_CASE("tpm: a password of the owner, and lock-out") {
  const auto swtpm = Swtpm::start();
  if (!swtpm) return;
  swtpm->use();
  const tpm::Sealed before = seal();
  // A storage key with a password that counts towards lock-out, and one wrong try allowed.
  REQUIRE(swtpm->tool({"tpm2_createprimary", "-C", "o", "-G", "ecc", "-p", "secret", "-c", "storage.ctx"}));
  REQUIRE(swtpm->tool({"tpm2_evictcontrol", "-C", "o", "-c", "storage.ctx", "0x81000001"}));
  REQUIRE(swtpm->tool({"tpm2_flushcontext", "-t"}));
  REQUIRE(swtpm->tool({"tpm2_dictionarylockout", "-s", "-n", "1", "-t", "1000", "-l", "1000"}));
  const StderrCapture quiet;
  auto sealed = tpm::seal(tpm::kDefaultPcrs);
  REQUIRE(!sealed.ok());
  CHECK(sealed.status().code == Code::TPM_UNAVAILABLE);
  CHECK_MESSAGE(sealed.status().what.find("password") != std::string::npos, sealed.status().what);
  sealed = tpm::seal(tpm::kDefaultPcrs);
  REQUIRE(!sealed.ok());
  CHECK_MESSAGE(sealed.status().code == Code::TPM_LOCKED, sealed.status().what);
  check_opens(before);  // nothing of ours can be guessed, so lock-out does not touch it
  CHECK(swtpm->is_clean());

  REQUIRE(swtpm->tool({"tpm2_evictcontrol", "-C", "o", "-c", "0x81000001"}));
  REQUIRE(swtpm->tool({"tpm2_changeauth", "-c", "o", "secret"}));
  sealed = tpm::seal(tpm::kDefaultPcrs);
  REQUIRE(!sealed.ok());
  CHECK(sealed.status().code == Code::TPM_UNAVAILABLE);
  CHECK_MESSAGE(sealed.status().what.find("password") != std::string::npos, sealed.status().what);
  CHECK(swtpm->is_clean());
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

TEST_CASE("tpm: the endorsement key's name is TCG's, stays, and is another on another TPM") {
  const auto swtpm = Swtpm::start(), other = Swtpm::start();
  if (!swtpm || !other) return;
  swtpm->use();
  const auto name = tpm::endorsement_name();
  REQUIRE_MESSAGE(name.ok(), name.status().what);
  CHECK(swtpm->is_clean());
  REQUIRE(swtpm->tool({"tpm2_createek", "-G", "ecc", "-c", "ek.ctx"}));
  CHECK(name->size() == 34);
  CHECK(*name == swtpm->name_of("ek.ctx"));
  swtpm->restart();
  CHECK(*tpm::endorsement_name() == *name);
  other->use();
  CHECK(*tpm::endorsement_name() != *name);
}

TEST_CASE("tpm: a busy TPM and a PCR that changes meanwhile are asked again, a few times") {
  const auto swtpm = Swtpm::start();
  if (!swtpm) return;
  swtpm->use();
  const tpm::Sealed sealed = seal();
  for (const uint32_t code : {0x128u, 0x922u, 0x908u}) {
    const Fault<&tss2::Library::unseal> fault;
    calls_before_fault = 0, faults = 4, fault_code = code;
    check_opens(sealed);
    CHECK(faults == 0);
    calls_before_fault = 0, faults = 1000;
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
  const auto to_seal = [] { return tpm::seal(tpm::kDefaultPcrs).status(); };
  const auto to_unseal = [&] { return tpm::unseal(sealed.blob).status(); };
  const auto to_name = [] { return tpm::endorsement_name().status(); };
  int failed = 0;
#define MG_FAIL(function)                                                                     \
  do {                                                                                        \
    const Fault<&tss2::Library::function> fault;                                              \
    const int times = fail_each(#function, to_seal) + fail_each(#function, to_unseal) + fail_each(#function, to_name); \
    CHECK_MESSAGE(times > 0, std::string(#function));                                         \
    CHECK_MESSAGE(swtpm->is_clean(), std::string(#function));                                 \
    failed += times;                                                                          \
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

TEST_CASE("tpm: the value never crosses the bus as it is") {
  const auto swtpm = Swtpm::start();
  if (!swtpm) return;
  const std::string capture = swtpm->folder() + "/bus.pcap";
  setenv("TCTI_PCAP_FILE", capture.c_str(), 1);  // the library's own recorder
  setenv("MODEL_GUARD_TCTI", ("pcap:" + swtpm->tcti()).c_str(), 1);
  const StderrCapture quiet;
  auto sealed = tpm::seal(tpm::kDefaultPcrs);
  const bool recorded = sealed.ok();
  if (recorded) check_opens(*sealed);
  unsetenv("TCTI_PCAP_FILE");
  unsetenv("MODEL_GUARD_TCTI");
  if (!recorded) {
    std::printf("SKIPPED: no recording of a TPM's bus: %s\n", sealed.status().what.c_str());
    return;
  }
  std::ifstream file(capture, std::ios::binary);
  const std::string bus((std::istreambuf_iterator<char>(file)), {});
  const auto crossed = [&](View bytes) { return bus.find(std::string(bytes.text())) != std::string::npos; };
  const auto blob = tpm::parse_blob(sealed->blob);
  REQUIRE(blob.ok());
  CHECK(crossed(blob->policy()));  // the search finds what crosses
  CHECK(crossed(View(blob->private_area).sub(0, 16)));
  for (size_t at = 0; at + 8 <= sealed->value.size(); at++) CHECK(!crossed(sealed->value.reveal().sub(at, 8)));
}

TEST_CASE("tpm: no copy of the value stays in ordinary memory") {
  const auto swtpm = Swtpm::start();
  if (!swtpm) return;
  swtpm->use();
  Bytes blob;
  test::Hidden value = test::Hidden::made_up(32, 41);
  test::run_deep([&] {
    const tpm::Sealed sealed = seal();
    blob = sealed.blob;
    value = test::Hidden::of(sealed.value);
  });
  if (!test::copies_in_memory(value)) return;  // a sanitizer keeps what is freed
  CHECK(*test::copies_in_memory(value) == 0);
  test::run_deep([&] { CHECK(tpm::unseal(blob).ok()); });
  CHECK(*test::copies_in_memory(value) == 0);
  const Secret shown = value.show();
  CHECK(*test::copies_in_memory(value) > 0);  // the search finds what is there
}
