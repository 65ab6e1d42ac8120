#include "hardware/tpm_connection.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "hardware/tpm.h"
#include "hardware/tpm_response.h"
#include "memory/fd.h"

namespace mg::hardware::tpm {
namespace {

// The kernel's resource manager first: it shares the TPM between programs.
constexpr const char* kDevices[] = {"/dev/tpmrm0", "/dev/tpm0"};

// secure_getenv: a program with capabilities of its own does not take this from its caller.
std::string configured() {
#ifdef __linux__
  const char* value = secure_getenv("MODEL_GUARD_TCTI");
#else
  const char* value = std::getenv("MODEL_GUARD_TCTI");
#endif
  return value ? value : "";
}

const char* device() {
  for (const char* path : kDevices) {
    if (access(path, F_OK) == 0) return path;
  }
  return nullptr;
}

// MODEL_GUARD_TCTI=device:PATH
constexpr std::string_view kDeviceTransport = "device:";

Status not_opened(const std::string& path, int error) {
  const std::string name = "the TPM device " + path;
  if (error == EACCES || error == EPERM) return Status(Code::TPM_UNAVAILABLE, "this user may not use " + name, error);
  if (error == EBUSY) return Status(Code::TPM_UNAVAILABLE, name + " is in use by another program", error);
  return Status(Code::TPM_UNAVAILABLE, name + " cannot be opened: " + std::strerror(error), error);
}

// The transport of a character device below /dev, with every link resolved: commands carry secrets, which must not end in a file. Opens the
// device once, because the library gives no reason for a failure.
Result<std::string> transport_of(const std::string& path) {
  char resolved[PATH_MAX];
  if (!realpath(path.c_str(), resolved)) return not_opened(path, errno);
  const Status no_device(Code::TPM_UNAVAILABLE, "'" + path + "' is not a character device below /dev, which a TPM is");
  struct stat found;
  if (std::strncmp(resolved, "/dev/", 5) != 0 || stat(resolved, &found) != 0 || !S_ISCHR(found.st_mode)) return no_device;
  const Fd fd(open(resolved, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY));
  if (fd.get() < 0) return not_opened(path, errno);
  if (fstat(fd.get(), &found) != 0 || !S_ISCHR(found.st_mode)) return no_device;
  return std::string("device:") + resolved;
}

// Other transports would load a library of any path, run a command, or trust any listener on a port.
Result<std::string> named_transport(const std::string& given) {
  if (given == "tabrmd") return given;
  if (given.rfind(kDeviceTransport, 0) == 0) return transport_of(given.substr(kDeviceTransport.size()));
#ifdef MG_TEST_MACHINE
  const std::string name = given.substr(0, given.find(':'));
  if (!name.empty() && name != "tabrmd" && name != "device") return given;  // a software TPM
#endif
  return Status(Code::TPM_UNAVAILABLE, "MODEL_GUARD_TCTI is neither device:/dev/… nor tabrmd: '" + given + "'");
}

// Always with a name: without one, the loader would try all transports, TCP ports and D-Bus among them.
Result<std::string> transport() {
  const std::string given = configured();
  if (!given.empty()) return named_transport(given);
  const char* path = device();
  if (!path) return Status(Code::TPM_UNAVAILABLE, "this machine has no TPM: there is neither /dev/tpmrm0 nor /dev/tpm0");
  return transport_of(path);
}

}  // namespace

bool present() { return !configured().empty() || device(); }

bool needs_root() {
  std::string path = configured();
  if (path.rfind(kDeviceTransport, 0) == 0) path.erase(0, kDeviceTransport.size());
  else if (!path.empty() || !device()) return false;
  else path = device();
  struct stat found;
  if (stat(path.c_str(), &found) != 0) return false;
  const auto may_use = [&](mode_t both) { return (found.st_mode & both) == both; };
  return !may_use(S_IROTH | S_IWOTH) && (found.st_gid == 0 || !may_use(S_IRGRP | S_IWGRP));
}

Result<std::unique_ptr<Connection>> Connection::open(const std::atomic<bool>& abandoned) {
  auto tss = tss2::library();
  if (!tss.ok()) return tss.status();
  auto where = transport();
  if (!where.ok()) return where.status();
  std::unique_ptr<Connection> connection(new Connection(**tss, abandoned));
  tss2::Rc rc = (*tss)->tcti_initialize(where->c_str(), &connection->tcti_);
  if (rc == 0) rc = (*tss)->initialize(&connection->esys_, connection->tcti_, nullptr);
  if (rc == 0) return connection;
  if (!connection->tcti_) {
    if (auto again = transport(); !again.ok()) return again.status();  // another program opened the device in between
  }
  return connection->check(rc, "be reached through '" + *where + "'");
}

Connection::~Connection() {
  if (esys_) tss_.finalize(&esys_);
  if (tcti_) tss_.tcti_finalize(&tcti_);
}

Status Connection::check(tss2::Rc rc, const std::string& action) {
  auto s = check_response(rc, action);
  if (!abandoned_) return s;
  transient_ = false;
  return Status(Code::ABORT_ERR, "cancelled");
}

Status Connection::check_response(tss2::Rc rc, const std::string& action) {
  if (rc == 0) return {};
  transient_ = classify(rc) == ResponseClass::retry;
  return refusal(rc, action);
}

}  // namespace mg::hardware::tpm
