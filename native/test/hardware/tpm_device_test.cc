// The devices that MODEL_GUARD_TCTI may name. If this fails, commands for a TPM are written into a file of the caller's choice, or the
// fingerprint is wrong about the rights that a TPM needs.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "hardware/tpm_support.h"
#include "hardware/tss2.h"
#include "support/swtpm.h"

using namespace tpm_test;
using test::StderrCapture;

TEST_CASE("tpm: a device is a character device below /dev, wherever its links lead") {
  char folder[] = "/tmp/mg-tcti-XXXXXX";
  REQUIRE(mkdtemp(folder));
  const std::string file = std::string(folder) + "/file", to_device = std::string(folder) + "/null";
  const std::string shared = "/dev/shm/mg-tcti-" + std::to_string(getpid());
  for (const std::string& each : {file, shared}) REQUIRE(std::fclose(std::fopen(each.c_str(), "w")) == 0);
  REQUIRE(symlink("/dev/null", to_device.c_str()) == 0);
  const auto why = [](const std::string& path) {
    const StderrCapture quiet;
    const Environment named(("device:" + path).c_str());
    const auto sealed = tpm::seal(tpm::kDefaultPcrs);
    REQUIRE(!sealed.ok());
    CHECK(sealed.status().code == Code::TPM_UNAVAILABLE);
    return sealed.status().what;
  };
  const auto no_device = [](const std::string& path) {
    return "'" + path + "' is not a character device below /dev, which a TPM is";
  };
  for (const std::string& path :
       {file, "/dev/.." + file, "/dev/shm/../.." + file, shared, std::string("/dev"), std::string("/proc/self/mem")}) {
    CAPTURE(path);
    CHECK(why(path) == no_device(path));
  }
  CHECK(why("/dev/no-such-tpm").find("the TPM device /dev/no-such-tpm cannot be opened: ") == 0);
  // /dev/null is one: it takes every command and never answers.
  if (tss2::library().ok()) CHECK(why(to_device).find("the TPM cannot be reached through 'device:/dev/null' (0x") == 0);
  struct stat untouched;
  for (const std::string& each : {file, shared}) {
    REQUIRE(stat(each.c_str(), &untouched) == 0);
    CHECK(untouched.st_size == 0);
    unlink(each.c_str());
  }
  unlink(to_device.c_str());
  rmdir(folder);
}

TEST_CASE("tpm: needs_root() is true only where no group but root's may use the device") {
  char folder[] = "/tmp/mg-tcti-XXXXXX";
  REQUIRE(mkdtemp(folder));
  const std::string device = std::string(folder) + "/tpm";
  REQUIRE(std::fclose(std::fopen(device.c_str(), "w")) == 0);
  const auto needs_root = [&](mode_t mode) {
    REQUIRE(chmod(device.c_str(), mode) == 0);
    const Environment named(("device:" + device).c_str());
    return tpm::needs_root();
  };
  CHECK(needs_root(0600));
  CHECK(needs_root(0644));  // commands have to be written
  CHECK(!needs_root(0666));
  if (geteuid() == 0) {
    REQUIRE(chown(device.c_str(), 0, 0) == 0);
    CHECK(needs_root(0660));
    REQUIRE(chown(device.c_str(), 0, 1) == 0);
  }
  struct stat found;
  REQUIRE(stat(device.c_str(), &found) == 0);
  CHECK(needs_root(0660) == (found.st_gid == 0));
  unlink(device.c_str());
  rmdir(folder);
  const Environment elsewhere("tabrmd");
  CHECK(!tpm::needs_root());
}
