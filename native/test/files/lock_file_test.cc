// One holder at a time. If these fail, two processes send from one staging folder, or a crash leaves the folder locked.
#include "files/lock_file.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

using mg::files::lock_file;

namespace {

struct Folder {
  std::string path = "/tmp/model-guard-lock-XXXXXX";
  Folder() { REQUIRE(mkdtemp(path.data())); }
  ~Folder() {
    unlink(lock().c_str());
    rmdir(path.c_str());
  }
  std::string lock() const { return path + "/lock"; }
};

bool holds(const mg::Result<std::shared_ptr<mg::Fd>>& lock) {
  REQUIRE(lock.ok());
  return *lock != nullptr;
}

}  // namespace

TEST_CASE("a lock file has one holder until it is released") {
  Folder folder;
  {
    const auto held = lock_file(folder.lock());
    CHECK(holds(held));
    CHECK_FALSE(holds(lock_file(folder.lock())));
  }
  CHECK(holds(lock_file(folder.lock())));
}

TEST_CASE("a removed lock file no longer locks") {
  Folder folder;
  const auto held = lock_file(folder.lock());
  REQUIRE(holds(held));
  unlink(folder.lock().c_str());
  CHECK(holds(lock_file(folder.lock())));
}

TEST_CASE("a lock ends with its process") {
  Folder folder;
  int pipe_ends[2];
  REQUIRE(pipe(pipe_ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const auto held = lock_file(folder.lock());
    const char done = held.ok() && *held ? 'y' : 'n';
    if (write(pipe_ends[1], &done, 1) != 1) _exit(1);
    for (;;) pause();
  }
  char held = 0;
  REQUIRE(read(pipe_ends[0], &held, 1) == 1);
  CHECK(held == 'y');
  CHECK_FALSE(holds(lock_file(folder.lock())));
  kill(child, SIGKILL);
  REQUIRE(waitpid(child, nullptr, 0) == child);
  CHECK(holds(lock_file(folder.lock())));
  close(pipe_ends[0]);
  close(pipe_ends[1]);
}

TEST_CASE("a lock follows no link and needs its folder") {
  Folder folder;
  REQUIRE(symlink("/tmp/nothing", folder.lock().c_str()) == 0);
  CHECK_FALSE(lock_file(folder.lock()).ok());
  CHECK(lock_file(folder.path + "/none/lock").status().code == mg::Code::NOT_FOUND);
}
