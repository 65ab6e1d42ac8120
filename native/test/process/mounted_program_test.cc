// A program with a mount of its own, without Node. If these fail, it reads another model, its end is lost, or a wait cannot be ended.
#ifdef __linux__
#include "process/mounted_program.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <string>

using namespace mg;
using process::MountedProgram;
using process::MountedRequest;

namespace {

struct Folder {
  std::string path = "/tmp/mg-mounted-XXXXXX";
  Folder() { REQUIRE(mkdtemp(path.data()) != nullptr); }
  ~Folder() { rmdir(path.c_str()); }
};

struct File {
  std::FILE* const file = std::tmpfile();
  explicit File(const std::string& text) {
    std::fputs(text.c_str(), file);
    std::fflush(file);
  }
  ~File() { std::fclose(file); }
  int descriptor() const { return fileno(file); }
};

MountedRequest request(const Folder& folder, std::vector<std::string> words) {
  return {folder.path, {}, std::move(words), {"PATH=/missing:/usr/bin:/bin"}};
}

}  // namespace

TEST_CASE("a mounted program finds its files, and the wait gives its exit code") {
  const Folder folder;
  const File one("one"), two("two");
  MountedRequest asked = request(folder, {"sh", "-c", "test \"$(cat a/b/c)\" = one && test \"$(cat a/d)\" = two && exit 9"});
  asked.words[2] = "cd " + folder.path + " && " + asked.words[2];
  asked.files = {{"a/b/c", one.descriptor(), 3}, {"a/d", two.descriptor(), 3}};
  auto program = MountedProgram::start(asked);
  REQUIRE(program.ok());
  CHECK(*(*program)->started() == 0);
  CHECK(*(*program)->ended() == 9);
}

TEST_CASE("a mounted program whose file is shorter than it was said to be is not started") {
  const Folder folder;
  const File one("one");
  MountedRequest asked = request(folder, {"true"});
  asked.files = {{"a", one.descriptor(), 4}};
  auto program = MountedProgram::start(asked);
  REQUIRE(program.ok());
  CHECK((*program)->started().status().code == Code::IO_FAILED);
  CHECK((*program)->ended().ok());
}

TEST_CASE("a mounted program that cannot be executed gives the errno of execvp") {
  const Folder folder;
  const auto error_of = [&](const std::string& name) {
    auto program = MountedProgram::start(request(folder, {name}));
    REQUIRE(program.ok());
    const int error = *(*program)->started();
    CHECK(*(*program)->ended() == 127);
    return error;
  };
  CHECK(error_of("no-such-program") == ENOENT);
  CHECK(error_of("") == ENOENT);
  CHECK(error_of("/etc/passwd") == EACCES);
  CHECK(error_of("/etc/passwd/program") == ENOTDIR);
  CHECK(error_of(std::string(300, 'a')) == ENAMETOOLONG);
}

TEST_CASE("a mounted program gets signals until it has ended, and none afterwards") {
  const Folder folder;
  auto program = MountedProgram::start(request(folder, {"sleep", "1000"}));
  REQUIRE(program.ok());
  CHECK(*(*program)->started() == 0);
  (*program)->kill(SIGTERM);
  CHECK(*(*program)->ended() == 128 + SIGTERM);
  (*program)->kill(SIGTERM);
}

TEST_CASE("a mounted program that is killed before it runs is told from one that ran") {
  const Folder folder;
  int started = 0;
  // The signal may come late where the machine is busy.
  for (int attempts = 0; started != process::kEndedBefore && attempts < 1000; attempts++) {
    auto program = MountedProgram::start(request(folder, {"sleep", "1000"}));
    REQUIRE(program.ok());
    (*program)->kill(SIGKILL);
    started = *(*program)->started();
    CHECK((started == 0 || started == process::kEndedBefore));
    CHECK(*(*program)->ended() == 128 + SIGKILL);
  }
  CHECK(started == process::kEndedBefore);
}

TEST_CASE("the waits for a mounted program can be interrupted") {
  const Folder folder;
  auto program = MountedProgram::start(request(folder, {"sleep", "1000"}));
  REQUIRE(program.ok());
  REQUIRE(*(*program)->started() == 0);
  (*program)->interrupt();
  CHECK((*program)->started().status().code == Code::ABORT_ERR);
  CHECK((*program)->ended().status().code == Code::ABORT_ERR);
  (*program)->kill(SIGKILL);
  while (wait(nullptr) < 0 && errno == EINTR) continue;
}

TEST_CASE("another user than root gets a mounted program, too, and stays that user") {
  const Folder folder;
  const File one("one");
  chmod(folder.path.c_str(), 0777);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (geteuid() == 0 && (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0)) _exit(100);
    prctl(PR_SET_DUMPABLE, 1);  // as a program that this user started: else its files in /proc are root's
    const std::string id = std::to_string(geteuid());
    MountedRequest asked = request(folder, {"sh", "-c",
                                            "test $(id -u) = " + id + " && test -O " + folder.path + "/a && cat " + folder.path +
                                                "/a >&2 && ! touch " + folder.path + "/b 2>&-"});
    asked.files = {{"a", one.descriptor(), 3}};
    auto program = MountedProgram::start(asked);
    if (!program.ok() || !(*program)->started().ok()) _exit(101);
    _exit(*(*program)->ended());
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WEXITSTATUS(status) == 0);
}
#endif
