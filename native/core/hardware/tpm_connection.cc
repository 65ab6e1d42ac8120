#include "hardware/tpm_connection.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "hardware/tpm.h"
#include "hardware/tpm_response.h"

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

// Other transports would load a library of any path, run a command, or trust whoever listens on a port.
bool is_local(const std::string& transport) {
#ifdef MG_TEST_MACHINE
  return transport[0] != ':';
#else
  return transport == "tabrmd" || transport.rfind("tabrmd:", 0) == 0 || transport.rfind("device:/dev/", 0) == 0;
#endif
}

const char* device() {
  for (const char* path : kDevices) {
    if (access(path, F_OK) == 0) return path;
  }
  return nullptr;
}

// Opened here first, because the library tells no reason.
Status try_device(const char* path) {
  const int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (fd >= 0) {
    close(fd);
    return {};
  }
  const int error = errno;
  const std::string name = std::string("the TPM device ") + path;
  if (error == EACCES || error == EPERM) return Status(Code::TPM_UNAVAILABLE, "this user may not use " + name, error);
  if (error == EBUSY) return Status(Code::TPM_UNAVAILABLE, name + " is in use by another program", error);
  return Status(Code::TPM_UNAVAILABLE, name + " cannot be opened: " + std::strerror(error), error);
}

// Always a transport by name: without one, the loader would go through all it knows, TCP ports and D-Bus among them.
Result<std::string> transport() {
  const std::string given = configured();
  if (!given.empty()) {
    if (!is_local(given)) return Status(Code::TPM_UNAVAILABLE, "MODEL_GUARD_TCTI names no device and no tabrmd: '" + given + "'");
    return given;
  }
  const char* path = device();
  if (!path) return Status(Code::TPM_UNAVAILABLE, "this machine has no TPM: there is neither /dev/tpmrm0 nor /dev/tpm0");
  if (auto s = try_device(path); !s.ok()) return s;
  return std::string("device:") + path;
}

}  // namespace

bool present() { return !configured().empty() || device(); }

Result<std::unique_ptr<Connection>> Connection::open() {
  auto where = transport();
  if (!where.ok()) return where.status();
  auto tss = tss2::library();
  if (!tss.ok()) return tss.status();
  std::unique_ptr<Connection> connection(new Connection(**tss));
  tss2::Rc rc = (*tss)->tcti_initialize(where->c_str(), &connection->tcti_);
  if (rc == 0) rc = (*tss)->initialize(&connection->esys_, connection->tcti_, nullptr);
  if (auto s = connection->check(rc, "be reached through '" + *where + "'"); !s.ok()) return s;
  return connection;
}

Connection::~Connection() {
  if (esys_) tss_.finalize(&esys_);
  if (tcti_) tss_.tcti_finalize(&tcti_);
}

Status Connection::check(tss2::Rc rc, const std::string& action) {
  if (rc == 0) return {};
  passing_ = meaning(rc) == Meaning::again;
  return refusal(rc, action);
}

}  // namespace mg::hardware::tpm
