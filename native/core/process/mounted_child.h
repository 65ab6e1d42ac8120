// A forked process on its way to the program: it makes a mount that it alone sees, copies the model there and executes the program.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace mg::process {

enum class Step : int32_t { namespaces, identity, privacy, mount, fill, seal, execute };

// The child writes to its pipe a step that failed; and before it executes the program, that step without an error. The pipe closes when the
// program runs, or the child was killed.
struct Report {
  Step step;
  int32_t error;  // errno
};

// Made before the fork. Its pointers lead to memory that the child has a copy of.
struct Plan {
  struct File {
    const char* path;  // within the mount
    int descriptor;
    off_t size;
  };
  const char* mount_point;
  std::vector<const char*> folders;  // within the mount, outer ones first
  std::vector<File> files;
  char uid_map[40], gid_map[40];
  std::vector<const char*> programs;  // the files to try, as execvp(3) does
  std::vector<const char*> words;     // and a null
  std::vector<const char*>
      for_shell;  // the same, for a script without a first line that names its interpreter: [1] is the script
  std::vector<const char*> environment;  // and a null
  int report;                            // the pipe
};

// All that happens in the child. Other threads may have held locks at the fork, so it calls only what signal-safety(7) allows, and system
// calls.
[[noreturn]] void run_mounted_child(Plan& plan) noexcept;

}  // namespace mg::process
