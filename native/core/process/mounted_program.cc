#include "process/mounted_program.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#if defined(__linux__)
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <set>

#include "process/mounted_child.h"
#endif

namespace mg::process {

#if defined(__linux__)
namespace {

constexpr long kPidfdOpen = 434;  // of all processors; older headers lack it
constexpr int kSignaled = 128;

// The files that execvp(3) tries for a name.
std::vector<std::string> programs_for(const std::string& name, const std::vector<std::string>& environment) {
  if (name.empty() || name.find('/') != std::string::npos) return {name};
  std::string path = "/bin:/usr/bin";
  for (const std::string& variable : environment)
    if (variable.compare(0, 5, "PATH=") == 0) path = variable.substr(5);
  std::vector<std::string> programs;
  for (size_t at = 0, end = 0; end != std::string::npos; at = end + 1) {
    end = path.find(':', at);
    const std::string folder = path.substr(at, end == std::string::npos ? end : end - at);
    programs.push_back(folder.empty() ? name : folder + "/" + name);
  }
  return programs;
}

// Of all files, outer ones first: a name sorts behind its beginning.
std::set<std::string> folders_of(const std::vector<MountedFile>& files) {
  std::set<std::string> folders;
  for (const MountedFile& file : files)
    for (size_t at = file.path.find('/'); at != std::string::npos; at = file.path.find('/', at + 1))
      folders.insert(file.path.substr(0, at));
  return folders;
}

template <class Strings>
std::vector<const char*> pointers(const Strings& strings) {
  std::vector<const char*> list;
  for (const std::string& one : strings) list.push_back(one.c_str());
  return list;
}

Plan plan_of(const MountedRequest& request, const std::vector<std::string>& programs, const std::set<std::string>& folders) {
  Plan plan{};
  plan.mount_point = request.mount_point.c_str();
  plan.folders = pointers(folders);
  for (const MountedFile& file : request.files) plan.files.push_back({file.path.c_str(), file.descriptor, off_t(file.size)});
  std::snprintf(plan.uid_map, sizeof plan.uid_map, "%u %u 1", geteuid(), geteuid());
  std::snprintf(plan.gid_map, sizeof plan.gid_map, "%u %u 1", getegid(), getegid());
  plan.programs = pointers(programs);
  plan.words = pointers(request.words);
  plan.for_shell = {"/bin/sh", nullptr};
  plan.for_shell.insert(plan.for_shell.end(), plan.words.begin() + 1, plan.words.end());
  plan.environment = pointers(request.environment);
  for (auto* list : {&plan.words, &plan.for_shell, &plan.environment}) list->push_back(nullptr);
  return plan;
}

// Services that clean folders for temporary files leave a locked one alone (tmpfiles.d(5)). Removing it would take the mount away.
int lock_folder(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) flock(fd, LOCK_EX | LOCK_NB);
  return fd;
}

// No signal reaches the handlers of this process in the child.
pid_t fork_quietly(Plan& plan) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = fork();
  if (pid == 0) run_mounted_child(plan);
  const int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return pid;
}

const char* call_of(Step step) {
  if (step == Step::namespaces) return "unshare";
  return step == Step::identity ? "uid_map" : "mount";
}

Status status_of(const Report& failure) {
  const int error = failure.error;
  if (error == ENOMEM || (failure.step == Step::fill && error == ENOSPC))
    return Status(Code::OUT_OF_MEMORY, "no memory is left for the copy of the model in the program's own mount", error);
  if (failure.step == Step::fill) return Status::from_errno(error, "cannot copy the model into the program's own mount", "");
  return Status(Code::MOUNT_REFUSED,
                std::string("this system does not let the program have a mount of its own (") + call_of(failure.step) + ": " +
                    std::strerror(error) + ")",
                error);
}

}  // namespace

Result<std::shared_ptr<MountedProgram>> MountedProgram::start(const MountedRequest& request) {
  if (request.words.empty()) return Status(Code::INVALID_ARGUMENT, "there is no program to start");
  const auto programs = programs_for(request.words.front(), request.environment);
  const auto folders = folders_of(request.files);
  Plan plan = plan_of(request, programs, folders);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Status::from_errno(errno, "cannot make a pipe", "");
  const Fd write_end(ends[1]);
  plan.report = ends[1];
  const int wake = eventfd(0, EFD_CLOEXEC), lock = lock_folder(request.mount_point);
  const pid_t pid = wake < 0 ? -1 : fork_quietly(plan);
  if (pid >= 0) return std::shared_ptr<MountedProgram>(new MountedProgram(pid, ends[0], wake, lock));
  const Status status = Status::from_errno(errno, "cannot start a process", "");
  for (const int fd : {ends[0], wake, lock})
    if (fd >= 0) close(fd);
  return status;
}

MountedProgram::MountedProgram(pid_t pid, int report, int wake, int lock)
    : pid_(pid), report_(report), process_(int(syscall(kPidfdOpen, pid, 0))), wake_(wake), lock_(lock) {}

// False: interrupted.
bool MountedProgram::is_ready(const Fd& fd) const {
  pollfd events[] = {{fd.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
  while (poll(events, 2, -1) < 0 && errno == EINTR) continue;
  return events[1].revents == 0;
}

Result<int> MountedProgram::started() {
  bool executes = false;
  for (;;) {
    if (!is_ready(report_)) return Status(Code::ABORT_ERR, "cancelled");
    Report report{};
    const ssize_t size = read(report_.get(), &report, sizeof report);
    if (size < 0 && errno == EINTR) continue;
    if (size != sizeof report) return executes ? 0 : kEndedBefore;
    if (report.step != Step::execute) return status_of(report);
    if (report.error != 0) return int(report.error);
    executes = true;
  }
}

Result<int> MountedProgram::ended() {
  // Before Linux 5.3 a process has no descriptor, and this wait cannot be interrupted.
  if (process_.get() >= 0 && !is_ready(process_)) return Status(Code::ABORT_ERR, "cancelled");
  siginfo_t info{};
  while (waitid(P_PID, id_t(pid_), &info, WEXITED | WNOWAIT) != 0)
    if (errno != EINTR) return Status::from_errno(errno, "cannot wait for the program", "");
  std::lock_guard<std::mutex> lock(mutex_);
  reaped_ = true;
  waitpid(pid_, nullptr, 0);
  return info.si_code == CLD_EXITED ? info.si_status : kSignaled + info.si_status;
}

void MountedProgram::interrupt() {
  const uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof one);
}

void MountedProgram::kill(int signal) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!reaped_) ::kill(pid_, signal);
}

#else
Result<std::shared_ptr<MountedProgram>> MountedProgram::start(const MountedRequest&) {
  return Status(Code::INVALID_ARGUMENT, "only Linux has mounts that one program alone sees");
}
MountedProgram::MountedProgram(pid_t pid, int report, int wake, int lock)
    : pid_(pid), report_(report), process_(-1), wake_(wake), lock_(lock) {}
Result<int> MountedProgram::started() { return Status(Code::INTERNAL, "no program can be there"); }
Result<int> MountedProgram::ended() { return started(); }
void MountedProgram::interrupt() {}
void MountedProgram::kill(int) {}
#endif

}  // namespace mg::process
