#include "memory/memfd.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace mg::memfd {

#if defined(__linux__) && defined(SYS_memfd_create)
namespace {

// Of linux/memfd.h and linux/fcntl.h: the headers of older systems lack the newer ones.
constexpr unsigned kCloseOnExec = 1, kAllowSealing = 2, kNoExec = 8;
constexpr int kAddSeals = 1024 + 9, kSealSeal = 1, kSealShrink = 2, kSealGrow = 4, kSealFutureWrite = 16;

Status no_memfd(int error) {
  return Status(Code::INVALID_ARGUMENT, "this system has no files in memory that can be sealed (memfd_create, Linux 5.1)", error);
}

Status beyond_limit(const std::string& what, const char* limit, rlim_t value, int error) {
  return Status(Code::OUT_OF_MEMORY, what + ", and the limit of this process (" + limit + ") is " + std::to_string(value), error);
}

Status creation_error(int error) {
  if (error == ENOSYS || error == EPERM || error == EINVAL) return no_memfd(error);
  rlimit limit{};
  if (error == EMFILE && getrlimit(RLIMIT_NOFILE, &limit) == 0)
    return beyond_limit("a model as a path needs a descriptor for each file", "RLIMIT_NOFILE, ulimit -n", limit.rlim_cur, error);
  return Status(Code::OUT_OF_MEMORY, "no file in memory can be made", error);
}

// Beyond this limit the kernel also sends SIGXFSZ, which ends a process by default.
Status check_file_limit(size_t size) {
  rlimit limit{};
  if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || size <= limit.rlim_cur) return {};
  return beyond_limit("a file of the model needs " + std::to_string(size) + " bytes", "RLIMIT_FSIZE, ulimit -f", limit.rlim_cur,
                      EFBIG);
}

// Under strict accounting (vm.overcommit_memory = 2) the kernel can refuse a page of a memfd when it is first touched, which ends
// the process. Elsewhere pages are better had by the threads that fill them.
bool accounts_strictly() {
  std::FILE* file = std::fopen("/proc/sys/vm/overcommit_memory", "re");
  if (!file) return false;
  const int mode = std::fgetc(file);
  std::fclose(file);
  return mode == '2';
}

// False: errno says why.
bool grow(int fd, size_t size) {
  if (ftruncate(fd, off_t(size)) != 0) return false;
  if (size == 0 || !accounts_strictly()) return true;
  int failed;
  do {
    failed = fallocate(fd, 0, 0, off_t(size));
  } while (failed && errno == EINTR);
  return !failed;
}

// Empty. -1: errno says why.
int create_empty() {
  const auto open = [](unsigned flags) { return int(syscall(SYS_memfd_create, "model-guard", flags)); };
  const int fd = open(kCloseOnExec | kAllowSealing | kNoExec);
  return fd < 0 && errno == EINVAL ? open(kCloseOnExec | kAllowSealing) : fd;  // before Linux 6.3
}

// A file is sealed only after a model was decrypted into it. So an empty one is sealed before.
Status try_seals() {
  const int fd = create_empty();
  if (fd < 0) return creation_error(errno);
  Status status = seal(fd, 0);
  close(fd);
  return status;
}

}  // namespace

Result<int> create(size_t size) {
  if (auto s = check_file_limit(size); !s.ok()) return s;
  auto fd = create_writable();
  if (!fd.ok()) return fd.status();
  close_to_writers(*fd);
  if (grow(*fd, size)) return fd;
  const int error = errno;
  close(*fd);
  return Status(Code::OUT_OF_MEMORY, "no memory is left for " + std::to_string(size) + " bytes of a model", error);
}

Result<int> create_writable() {
  if (auto s = try_seals(); !s.ok()) return s;
  const int fd = create_empty();
  if (fd < 0) return creation_error(errno);
  fchmod(fd, 0600);
  return fd;
}

// A process that was given the descriptor may open its path whichever user it became; for others the path leads nowhere.
void close_to_writers(int fd) { fchmod(fd, 0444); }

Status seal(int fd, size_t size) {
  if (ftruncate(fd, off_t(size)) != 0) return Status::from_errno(errno, "cannot cut a file in memory to its size", "");
  // F_SEAL_WRITE fails while the file is mapped for writing, and it could never be wiped.
  if (fcntl(fd, kAddSeals, kSealFutureWrite | kSealGrow | kSealShrink | kSealSeal) != 0) return no_memfd(errno);
  return {};
}

void for_each_data(int fd, size_t size, const std::function<void(size_t at, size_t size)>& visit) {
  for (off_t at = 0; size_t(at) < size;) {
    const off_t data = lseek(fd, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) return;  // only a hole follows
    const off_t from = data < 0 ? at : data;
    const off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
    const size_t to = hole < 0 ? size : std::min(size, size_t(hole));
    if (size_t(from) < to) visit(size_t(from), to - size_t(from));
    at = off_t(to);
  }
}

#else
Result<int> create(size_t) { return Status(Code::INVALID_ARGUMENT, "only Linux has files in memory that can be sealed"); }
Result<int> create_writable() { return create(0); }
void close_to_writers(int) {}
Status seal(int, size_t) { return Status(Code::INTERNAL, "no file in memory can be there"); }
void for_each_data(int, size_t, const std::function<void(size_t at, size_t size)>&) {}
#endif

}  // namespace mg::memfd
