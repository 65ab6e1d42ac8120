// Values sealed by a TPM open on that TPM in that state, and nowhere else. Against a software TPM where there is one.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "hardware/tpm_support.h"
#include "hardware/tss2.h"
#include "support/memory_scan.h"
#include "support/scale.h"
#include "support/seed.h"
#include "support/swtpm.h"

using namespace tpm_test;
using test::StderrCapture;
using test::Swtpm;

namespace {

// A TPM that takes every connection and never answers: a port for commands and the next one for control, as swtpm has them. Its
// destructor closes the connections that still wait.
class Silent {
 public:
  Silent() {
    for (unsigned port = 20000; fds_.size() < 2; port++) {
      for (const int fd : std::exchange(fds_, {})) close(fd);
      for (const unsigned one : {port, port + 1}) {
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(uint16_t(one));
        const bool ours = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 && listen(fd, 8) == 0;
        if (ours) fds_.push_back(fd);
        else close(fd);
      }
      tcti = "swtpm:host=127.0.0.1,port=" + std::to_string(port);
    }
  }
  ~Silent() {
    for (const int fd : fds_) close(fd);
  }
  void take() { fds_.push_back(accept(fds_[0], nullptr, nullptr)); }
  std::string tcti;

 private:
  std::vector<int> fds_;
};

}  // namespace

TEST_CASE("tpm: a TPM that never answers is abandoned when the caller cancels") {
  if (!tss2::library().ok()) {
    std::puts("SKIPPED: a silent TPM, because the TPM library is absent");
    return;
  }
  const StderrCapture quiet;
  Silent silent;
  const Environment environment(silent.tcti.c_str());
  std::atomic<bool> cancelled{false};
  std::thread canceller([&] {
    silent.take();
    cancelled = true;
  });
  CHECK(tpm::endorsement_name(&cancelled).status().code == Code::ABORT_ERR);
  canceller.join();
}

TEST_CASE("tpm: without a TPM that answers, the error gives the reason") {
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
  CHECK(why() == "MODEL_GUARD_TCTI is neither device:/dev/… nor tabrmd: ':host=127.0.0.1'");
  // The other end of "tabrmd:" would be a bus of the caller's choice.
  for (const char* given : {"tabrmd:", "tabrmd:bus_type=session", "device", "device:"}) {
    CAPTURE(given);
    const Environment parameters(given);
    CHECK(why().find("the TPM cannot be reached") == std::string::npos);
  }
  const Environment unknown("no-such-transport:");
  if (!tss2::library().ok()) {
    CHECK(why().find("the TPM library cannot be loaded: ") == 0);
    return;
  }
  CHECK(why().find("the TPM cannot be reached through 'no-such-transport:' (0x") != std::string::npos);
  const Environment closed("swtpm:host=127.0.0.1,port=1");
  CHECK(why().find("the TPM cannot be reached through 'swtpm:host=127.0.0.1,port=1' (0x") != std::string::npos);
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
  CHECK(tpm::parse_blob(one.blob)->pcrs == tpm::kDefaultPcrs);
  CHECK(tpm::parse_blob(other.blob)->pcrs == (1u << 23 | 1u << 7 | 1u));
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
  REQUIRE(swtpm->tool({"tpm2_createprimary", "-C", "o", "-G", "ecc256:aes128cfb", "-g", "sha256", "-a", attributes, "-u",
                       "unique", "-c", "key.ctx"}));
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
