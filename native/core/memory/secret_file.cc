#include "memory/secret_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "crypto/crypto.h"
#include "files/rename_new.h"
#include "memory/fd.h"
#include "text/text.h"

namespace mg {
namespace {

// Written through its descriptor. The caller opened the file behind it, so its content is the caller's decision.
constexpr const char* kStandardOutput = "/dev/stdout";

// Waits until a pipe has bytes or its writer is gone. Before a writer comes poll() reports nothing, where read() would say "end".
Status wait_for_writer(int fd, const std::atomic<bool>* cancelled) {
  for (;;) {
    pollfd ready{fd, POLLIN, 0};
    if (poll(&ready, 1, 100) > 0) return {};
    if (cancelled && cancelled->load()) return Status(Code::ABORT_ERR, "cancelled");
  }
}

Status already_exists(const std::string& path, const std::string& what) {
  return Status(Code::ALREADY_EXISTS, "'" + path + "' exists; a " + what + " is never overwritten");
}

// Node makes pipes non-blocking: one that is full is waited for.
Status write_all(int fd, const std::string& path, const std::string& what, View content) {
  for (size_t at = 0; at < content.size;) {
    const ssize_t n = write(fd, content.data + at, content.size - at);
    if (n < 0 && errno == EAGAIN) {
      pollfd ready{fd, POLLOUT, 0};
      poll(&ready, 1, 100);
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Status::from_errno(errno, "cannot write the " + what, path);
    at += size_t(n);
  }
  return {};
}

Status write_and_rename(int fd, const std::string& temporary, const std::string& path, const std::string& what, View content) {
  if (auto s = write_all(fd, path, what, content); !s.ok()) return s;
  if (fsync(fd) != 0) return Status::from_errno(errno, "cannot write the " + what, path);
  const Status renamed = files::rename_new(temporary, path);
  return renamed.code == Code::ALREADY_EXISTS ? already_exists(path, what) : renamed;
}

}  // namespace

bool is_open_to_others(mode_t mode, uid_t owner, uid_t user) { return (mode & 077) != 0 || (owner != user && owner != 0); }

Result<SecretFile> read_secret_file(const std::string& path, const std::string& what, Code empty, size_t max,
                                    const std::atomic<bool>* cancelled) {
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return Status::from_errno(errno, "cannot open the " + what, path);
  struct stat st;
  if (fstat(fd.get(), &st) != 0) return Status::from_errno(errno, "cannot read the " + what, path);
  // A pipe is fine: secrets are often handed over through one. A folder or a device is not.
  if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
    return Status(Code::SOURCE_UNSUPPORTED, "the " + what + " '" + path + "' is neither a file nor a pipe");
  auto buffer = Secret::allocate(max + 1);
  if (!buffer.ok()) return buffer.status();
  size_t size = 0;
  while (size <= max) {
    if (S_ISFIFO(st.st_mode)) {
      if (auto s = wait_for_writer(fd.get(), cancelled); !s.ok()) return s;
    }
    const ssize_t n = read(fd.get(), buffer->reveal_mut().data + size, max + 1 - size);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) return Status::from_errno(errno, "cannot read the " + what, path);
    if (n == 0) break;
    size += size_t(n);
  }
  if (size == 0) return Status(empty, "the " + what + " '" + path + "' is empty");
  if (size > max)
    return Status(Code::LIMIT_EXCEEDED, "the " + what + " '" + path + "' is larger than " + std::to_string(max / 1024) + " KiB");
  buffer->shrink(size);
  return SecretFile{std::move(*buffer), S_ISREG(st.st_mode) && is_open_to_others(st.st_mode, st.st_uid, geteuid())};
}

Status write_new_secret_file(const std::string& path, const std::string& what, View content) {
  if (path == kStandardOutput) return write_all(STDOUT_FILENO, path, what, content);
  if (access(path.c_str(), F_OK) == 0) return already_exists(path, what);
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  // Written beside its place and then renamed, so that a crash leaves no half secret. The name is as short as that of every temporary
  // file of this package, so that a file's own name may be as long as the system allows.
  uint8_t random[12];
  if (auto s = crypto::random_bytes(Span(random)); !s.ok()) return s;
  const std::string temporary = folder + "/.tmp-" + text::hex(View(random));
  Fd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (fd.get() < 0) return Status::from_errno(errno, "cannot create the " + what, path);
  const Status written = write_and_rename(fd.get(), temporary, path, what, content);
  if (!written.ok()) {
    unlink(temporary.c_str());
    return written;
  }
  Fd dir(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (dir.get() >= 0) fsync(dir.get());
  return {};
}

}  // namespace mg
