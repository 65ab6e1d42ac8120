#include "files/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

namespace mg::files {

Result<std::shared_ptr<Fd>> lock_file(const std::string& path) {
  for (;;) {
    auto fd = std::make_shared<Fd>(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (fd->get() < 0) return Status::from_errno(errno, "cannot open the lock", path);
    if (flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno == EWOULDBLOCK) return std::shared_ptr<Fd>();
      return Status::from_errno(errno, "cannot lock", path);
    }
    // The last holder may have removed the file after it was opened here. Then another process may make and lock a new one.
    struct stat held, there;
    if (fstat(fd->get(), &held) != 0) return Status::from_errno(errno, "cannot look up the lock", path);
    if (lstat(path.c_str(), &there) == 0) {
      if (held.st_dev == there.st_dev && held.st_ino == there.st_ino) return fd;
    } else if (errno != ENOENT) {
      return Status::from_errno(errno, "cannot look up the lock", path);
    }
  }
}

}  // namespace mg::files
