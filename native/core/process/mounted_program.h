// A program that sees the files of a model in a mount of its own: a tmpfs, read-only, which ends with the last of its processes. Linux.
#pragma once
#include <sys/types.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "memory/fd.h"
#include "status.h"

namespace mg::process {

struct MountedFile {
  std::string path;  // within the mount, segments separated by /
  int descriptor;    // of its content; needed until started() returns
  uint64_t size;
};

struct MountedRequest {
  std::string mount_point;  // an existing folder
  std::vector<MountedFile> files;
  std::vector<std::string> words;        // the program, looked up in the environment's PATH as execvp(3) does, and its arguments
  std::vector<std::string> environment;  // NAME=value
};

constexpr int kEndedBefore = -1;

// Its waits may run on two threads at a time, one of each.
class MountedProgram {
 public:
  // Forks. All the rest happens in the child: started() tells how it went.
  static Result<std::shared_ptr<MountedProgram>> start(const MountedRequest& request);

  // 0 when the program runs; kEndedBefore where a signal ended its process before; the errno with which it could not be executed. MOUNT_REFUSED where the system
  // does not allow the mount, OUT_OF_MEMORY where it has no room, ABORT_ERR after interrupt().
  Result<int> started();
  // As a shell has it: the exit code, or 128 and the number of the signal that ended it. ABORT_ERR after interrupt().
  Result<int> ended();
  // Ends both waits. The program goes on.
  void interrupt();
  // Nothing happens to a program that has ended, or has become another user.
  void kill(int signal);

 private:
  MountedProgram(pid_t pid, int report, int wake, int lock);
  bool is_ready(const Fd& fd) const;

  const pid_t pid_;
  const Fd report_, process_, wake_, lock_;
  std::mutex mutex_;
  bool reaped_ = false;  // the id may belong to another process
};

}  // namespace mg::process
