#include "files/rename_new.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#ifdef __linux__
#include <linux/fs.h>
#include <sys/syscall.h>
#endif

#include "files/lock_file.h"

namespace mg::files {
namespace {

// A rename takes far less than a millisecond. A lock that is held longer belongs to a process that hangs.
constexpr int kAttempts = 500;
constexpr useconds_t kPauseMicroseconds = 10'000;
// A temporary file by its name, so that collecting a store removes one that a crash has left.
constexpr const char* kLock = ".tmp-000000000000000000000000";

// File systems answer a request that they cannot do with any of these. EPERM also comes from a folder that refuses changes: there the
// last way fails as well, and its error is the one that is reported.
bool is_unsupported(int error) {
  return error == EINVAL || error == ENOSYS || error == EPERM || error == ENOTSUP || error == EOPNOTSUPP;
}

Status failure(int error, const std::string& path) { return Status::from_errno(error, "cannot write", path); }

// 0 or the error. The system call itself: older C libraries have no function for it.
int rename_no_replace(const char* from, const char* to) {
#ifdef __linux__
  return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0 ? 0 : errno;
#else
  return renamex_np(from, to, RENAME_EXCL) == 0 ? 0 : errno;
#endif
}

Status rename_locked(const std::string& temporary, const std::string& path) {
  const std::string lock = path.substr(0, path.rfind('/') + 1) + kLock;
  for (int attempt = 0; attempt < kAttempts; attempt++, usleep(kPauseMicroseconds)) {
    auto held = lock_file(lock);
    if (!held.ok()) return failure(held.status().sys, path);
    if (!*held) continue;
    int error = 0;
    struct stat there;
    if (lstat(path.c_str(), &there) == 0) error = EEXIST;
    else if (errno != ENOENT || rename(temporary.c_str(), path.c_str()) != 0) error = errno;
    unlink(lock.c_str());
    return error == 0 ? Status() : failure(error, path);
  }
  return Status(Code::IO_FAILED, "cannot write '" + path + "': another process holds the lock '" + lock + "'");
}

}  // namespace

Status rename_new(const std::string& temporary, const std::string& path) {
  if (link(temporary.c_str(), path.c_str()) == 0) {
    unlink(temporary.c_str());
    return {};
  }
  if (!is_unsupported(errno)) return failure(errno, path);
  const int error = rename_no_replace(temporary.c_str(), path.c_str());
  if (error == 0) return {};
  return is_unsupported(error) ? rename_locked(temporary, path) : failure(error, path);
}

}  // namespace mg::files
