#include "process/mounted_child.h"

#if defined(__linux__)
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace mg::process {
namespace {

// Of linux/close_range.h and the table of system calls, which is the same for all processors since Linux 5.0: older headers lack them.
constexpr long kCloseRange = 436;
constexpr unsigned kCloseOnExec = 4;
constexpr int kStandardStreams = 3;

constexpr unsigned long kMountFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
// Without a limit: the default, half of the memory, is no fit for a model, and nothing can be added once it is read-only.
constexpr const char* kOptions = "mode=0700,size=0,nr_inodes=0";
constexpr const char* kUnswappedOptions = "mode=0700,size=0,nr_inodes=0,noswap";

// Before the mask is emptied: the handlers are those of the parent, and write to pipes that it reads.
void reset_signals() {
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  for (int number = 1; number < 32; number++) sigaction(number, &standard, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

bool write_text(const char* path, const char* text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const ssize_t size = ssize_t(strlen(text));
  const bool written = write(fd, text, size_t(size)) == size;
  const int error = errno;
  close(fd);
  errno = error;
  return written;
}

// The user stays the same in a user namespace. A group can be named there only by a process that gives up on setgroups(2).
bool keep_identity(const Plan& plan) {
  return write_text("/proc/self/uid_map", plan.uid_map) && write_text("/proc/self/setgroups", "deny") &&
         write_text("/proc/self/gid_map", plan.gid_map);
}

// Swap can be turned off only outside of user namespaces, and since Linux 6.4. Null: errno says why there is no mount.
const char* mount_memory(const Plan& plan) {
  for (const char* options : {kUnswappedOptions, kOptions}) {
    if (mount("model-guard", plan.mount_point, "tmpfs", kMountFlags, options) == 0) return options;
    if (errno != EINVAL) return nullptr;
  }
  return nullptr;
}

bool copy(const Plan::File& file, int to) {
  for (off_t at = 0; at < file.size;) {
    const ssize_t copied = sendfile(to, file.descriptor, &at, size_t(file.size - at));
    if (copied < 0 && errno == EINTR) continue;
    if (copied == 0) errno = EIO;
    if (copied <= 0) return false;
  }
  return true;
}

bool add_file(int root, const Plan::File& file) {
  const int to = openat(root, file.path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
  if (to < 0) return false;
  const bool copied = copy(file, to);
  const int error = errno;
  close(to);
  errno = error;
  return copied;
}

bool fill(const Plan& plan) {
  const int root = open(plan.mount_point, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return false;
  const mode_t mask = umask(0);
  for (const char* folder : plan.folders)
    if (mkdirat(root, folder, 0700) != 0) return false;
  for (const Plan::File& file : plan.files)
    if (!add_file(root, file)) return false;
  umask(mask);
  return true;
}

int number_in(const char* digits) {
  int number = 0;
  for (; *digits >= '0' && *digits <= '9'; digits++) number = number * 10 + (*digits - '0');
  return number;
}

// Before Linux 5.11. Not all numbers up to the limit, which can be a billion, and lower than some that are open.
void leave_listed() {
  const int folder = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  char entries[4096];
  long size;
  while ((size = syscall(SYS_getdents64, folder, entries, sizeof entries)) > 0)
    for (long at = 0; at < size;) {
      // struct linux_dirent64 of getdents(2): u64, s64, the length of the entry (u16), the type (u8), the name.
      const int fd = number_in(entries + at + 19);
      if (fd >= kStandardStreams) fcntl(fd, F_SETFD, FD_CLOEXEC);
      uint16_t length;
      memcpy(&length, entries + at + 16, sizeof length);
      at += length;
    }
}

// The program has the standard streams, as Node's own spawn() leaves them, and no other descriptor.
void leave_descriptors() {
  for (int fd = 0; fd < kStandardStreams; fd++) {
    fcntl(fd, F_SETFD, 0);
    const int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK)) fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
  }
  if (syscall(kCloseRange, unsigned(kStandardStreams), ~0U, kCloseOnExec) != 0) leave_listed();
}

// As execvp(3) does. The errno of its failure.
int execute(Plan& plan) {
  const auto run = [&](const char* file, const std::vector<const char*>& words) {
    execve(file, const_cast<char**>(words.data()), const_cast<char**>(plan.environment.data()));
  };
  bool denied = false;
  int error = ENOENT;
  for (const char* program : plan.programs) {
    run(program, plan.words);
    if (errno == ENOEXEC) {
      plan.for_shell[1] = program;
      run("/bin/sh", plan.for_shell);
    }
    error = errno;
    denied |= error == EACCES;
    const bool next =
        error == EACCES || error == ENOENT || error == ENOTDIR || error == ESTALE || error == ENODEV || error == ETIMEDOUT;
    if (!next) return error;
  }
  return denied ? EACCES : error;
}

void report(const Plan& plan, Step step, int error) {
  const Report report{step, error};
  (void)!write(plan.report, &report, sizeof report);
}

[[noreturn]] void fail(const Plan& plan, Step step, int error) {
  report(plan, step, error);
  _exit(127);
}

}  // namespace

void run_mounted_child(Plan& plan) noexcept {
  const auto need = [&](bool done, Step step) {
    if (!done) fail(plan, step, errno);
  };
  reset_signals();
  if (unshare(CLONE_NEWNS) != 0) {
    need(errno == EPERM && unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0, Step::namespaces);
    need(keep_identity(plan), Step::identity);
  }
  // This copy of its parent must leave no core dump, and no other process may look into it. The execution of the program ends that.
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  // Other namespaces see no mount of this one; it goes on seeing theirs, as of a disk that is attached later.
  need(mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) == 0, Step::privacy);
  const char* options = mount_memory(plan);
  need(options != nullptr, Step::mount);
  need(fill(plan), Step::fill);
  // With the same options: without noswap this would ask for swap.
  need(mount(nullptr, plan.mount_point, nullptr, MS_REMOUNT | MS_RDONLY | kMountFlags, options) == 0, Step::seal);
  leave_descriptors();
  report(plan, Step::execute, 0);
  fail(plan, Step::execute, execute(plan));
}

}  // namespace mg::process
#endif
