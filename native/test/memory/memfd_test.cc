// Plaintext regions that are files: what other processes see of them, and what the limits of a process do to them.
#include <doctest/doctest.h>
#include <fcntl.h>
#ifdef __linux__
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <vector>

#include "memory/fd.h"
#include "memory/memfd.h"
#include "memory/region.h"
#include "support/asan.h"

#ifdef __linux__
using namespace mg;

namespace {

constexpr size_t kChunk = 65536;

// A sealed region of `size` bytes, each of them `byte`, that was filled in whole chunks.
Region sealed(size_t size, uint8_t byte = 7) {
  auto region = Region::allocate((size + kChunk - 1) / kChunk * kChunk, Pages::huge, Backing::memfd);
  REQUIRE(region.ok());
  if (size) std::memset(region->data(), byte, size);
  const Status status = region->seal(size);
  REQUIRE_MESSAGE(status.ok(), status.what);
  return std::move(*region);
}

std::string path_of(const Region& region) { return "/proc/self/fd/" + std::to_string(region.descriptor()); }

Bytes read_all(int fd) {
  Bytes bytes(size_t(lseek(fd, 0, SEEK_END)) + 10);
  const ssize_t size = pread(fd, bytes.data(), bytes.size(), 0);
  REQUIRE(size >= 0);
  bytes.resize(size_t(size));
  return bytes;
}

// A child in which `limit` is `value`; its status is that of `body`.
template <class Body>
int limited(__rlimit_resource_t limit, rlim_t value, Body body) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const rlimit to{value, value};
    if (setrlimit(limit, &to) != 0) _exit(99);
    _exit(body());
  }
  int status;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// From here on this process is one of a kernel that knows no seals. False where the system takes no filter.
bool refuse_seals() {
  sock_filter refusal[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fcntl, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[1])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1024 + 9, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{sizeof refusal / sizeof *refusal, refusal};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

}  // namespace

TEST_CASE("a sealed region is a file of exactly its size, and reads the same through its path") {
  for (const size_t size : {size_t(0), size_t(1), size_t(4096), size_t(5000), kChunk, 2 * kHugePage + 5}) {
    const Region region = sealed(size);
    CHECK(region.size() == size);
    CHECK(region.protection().memfd);
    struct stat st;
    REQUIRE(stat(path_of(region).c_str(), &st) == 0);
    CHECK(size_t(st.st_size) == size);
    CHECK((st.st_mode & 0777) == 0444);
    const Fd reader(open(path_of(region).c_str(), O_RDONLY | O_CLOEXEC));
    CHECK(read_all(reader.get()) == Bytes(size, 7));
    if (size == 0) continue;
    // The page behind the end is zeros, whatever was there while the chunk was filled.
    void* mapped = mmap(nullptr, size, PROT_READ, MAP_SHARED, reader.get(), 0);
    REQUIRE(mapped != MAP_FAILED);
    CHECK(std::memcmp(mapped, region.data(), size) == 0);
    munmap(mapped, size);
  }
}

TEST_CASE("a sealed region changes through its own mapping alone") {
  Region region = sealed(5000);
  const Fd writer(open(path_of(region).c_str(), O_RDWR | O_CLOEXEC));  // root may
  const int fd = writer.get() >= 0 ? writer.get() : region.descriptor();
  CHECK(pwrite(fd, "x", 1, 0) == -1);
  CHECK(ftruncate(fd, 0) == -1);
  CHECK(ftruncate(fd, 9000) == -1);
  CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == -1);
  CHECK(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
  CHECK(fcntl(fd, 1024 + 9, 0) == -1);  // no further seals
  CHECK(read_all(fd) == Bytes(5000, 7));
  region.data()[0] = 9;
  CHECK(read_all(fd)[0] == 9);
}

TEST_CASE("a program that is executed does not inherit the file") {
  const Region region = sealed(10);
  CHECK((fcntl(region.descriptor(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("after a wipe holders of the file see zeros, the addresses stay mapped, and the descriptor is closed") {
  for (const size_t size : {size_t(5000), 2 * kHugePage + 5}) {
    Region region = sealed(size);
    const Fd holder(open(path_of(region).c_str(), O_RDONLY | O_CLOEXEC));
    const int fd = region.descriptor();
    const uint8_t* data = region.data();
    region.wipe();
    CHECK(read_all(holder.get()) == Bytes(size, 0));
    CHECK(Bytes(data, data + size) == Bytes(size, 0));
    CHECK(!is_open(fd));
    CHECK(region.descriptor() == -1);
    region.wipe();
  }
}

TEST_CASE("a region that is dropped before it is sealed leaves zeros and no descriptor") {
  int fd;
  Fd* holder;
  {
    auto region = Region::allocate(3 * kChunk, Pages::huge, Backing::memfd);
    REQUIRE(region.ok());
    region->data()[kChunk + 1] = 7;
    fd = region->descriptor();
    holder = new Fd(open(path_of(*region).c_str(), O_RDONLY | O_CLOEXEC));
    Region moved = std::move(*region);
    CHECK(region->descriptor() == -1);
    CHECK(moved.descriptor() == fd);
  }
  CHECK(!is_open(fd));
  CHECK(read_all(holder->get()) == Bytes(3 * kChunk, 0));
  delete holder;
}

TEST_CASE("wiping touches no page that holds nothing") {
  auto region = Region::allocate(64 * kHugePage, Pages::ordinary, Backing::memfd);
  REQUIRE(region.ok());
  region->data()[10 * kHugePage] = 7;
  const Fd holder(open(path_of(*region).c_str(), O_RDONLY | O_CLOEXEC));
  struct stat before, after;
  REQUIRE(fstat(holder.get(), &before) == 0);
  region->wipe();
  REQUIRE(fstat(holder.get(), &after) == 0);
  CHECK(after.st_blocks == before.st_blocks);
  uint8_t byte;
  REQUIRE(pread(holder.get(), &byte, 1, 10 * kHugePage) == 1);
  CHECK(byte == 0);
}

TEST_CASE("a file that a program wrote becomes a region of its bytes, closed to writers") {
  for (const size_t size : {size_t(0), size_t(1), size_t(5000), 2 * kHugePage + 5}) {
    auto made = memfd::create_writable();
    REQUIRE(made.ok());
    const Fd writer(open(("/proc/self/fd/" + std::to_string(*made)).c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
    REQUIRE(writer.get() >= 0);
    const Bytes written(size, 7);
    REQUIRE(write(writer.get(), written.data(), size) == ssize_t(size));
    auto region = Region::adopt(*made);
    REQUIRE_MESSAGE(region.ok(), region.status().what);
    CHECK(region->size() == size);
    CHECK(Bytes(region->data(), region->data() + size) == written);
    CHECK(region->protection().memfd);
    CHECK(write(writer.get(), "x", 1) == -1);
    struct stat st;
    REQUIRE(fstat(region->descriptor(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0444);
    const Fd holder(open(path_of(*region).c_str(), O_RDONLY | O_CLOEXEC));
    region->wipe();
    CHECK(read_all(holder.get()) == Bytes(size, 0));
    CHECK(!is_open(*made));
  }
}

// If this fails, a child that exits normally wipes the model of the process that forked it.
TEST_CASE("a forked child that drops a region takes nothing from its parent") {
  for (const size_t size : {size_t(5000), 2 * kHugePage + 5}) {
    Region region = sealed(size);
    const int status = limited(RLIMIT_CORE, 0, [&] {
      const int fd = region.descriptor();
      region.wipe();
      return region.data()[0] == 0 && !is_open(fd) ? 7 : 1;
    });
    CHECK(status == 7);
    CHECK(Bytes(region.data(), region.data() + size) == Bytes(size, 7));
    CHECK(read_all(region.descriptor()) == Bytes(size, 7));
  }
}

// If this fails, a whole model is decrypted before the load is refused.
TEST_CASE("a system without the seals is refused before there is a file to fill") {
  const int status = limited(RLIMIT_CORE, 0, [] {
    if (!refuse_seals()) return 98;
    const auto region = Region::allocate(kChunk, Pages::huge, Backing::memfd);
    return !region.ok() && region.status().code == Code::INVALID_ARGUMENT ? 7 : 1;
  });
  if (status == 98) MESSAGE("SKIPPED: this system takes no seccomp filter");
  else CHECK(status == 7);
}

// If this fails, a limit that a service manager sets ends the process (SIGXFSZ), or the error does not name the limit.
TEST_CASE("limits of the process are errors that name them") {
  const auto refusal = [](const char* name) {
    return [name] {
      const auto region = Region::allocate(4 * kChunk, Pages::huge, Backing::memfd);
      if (region.ok()) return 1;
      if (region.status().code != Code::OUT_OF_MEMORY) return 2;
      return region.status().what.find(name) == std::string::npos ? 3 : 7;
    };
  };
  CHECK(limited(RLIMIT_FSIZE, kChunk, refusal("ulimit -f")) == 7);
  CHECK(limited(RLIMIT_NOFILE, 3, refusal("ulimit -n")) == 7);
  CHECK(limited(RLIMIT_FSIZE, 4 * kChunk,
                [] { return Region::allocate(4 * kChunk, Pages::huge, Backing::memfd).ok() ? 7 : 1; }) == 7);
}

#ifndef MG_UNDER_ASAN
TEST_CASE("a region for which no addresses are left is an error, and leaves no descriptor") {
  const int status = limited(RLIMIT_AS, size_t(1) << 32, [] {
    const auto region = Region::allocate(size_t(1) << 40, Pages::huge, Backing::memfd);
    if (region.ok()) return 1;
    if (region.status().code != Code::OUT_OF_MEMORY) return 2;
    const int next = dup(0);
    const int other = dup(0);
    return other == next + 1 ? 7 : 3;
  });
  CHECK(status == 7);
}
#endif

TEST_CASE("a file in memory is left out of core dumps, and reports what the kernel gave") {
  const Region region = sealed(3 * kHugePage);
  const Protection achieved = region.protection();
  CHECK(achieved.dontdump);
  std::FILE* setting = std::fopen("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "r");
  char modes[128] = "[never]";
  if (setting) {
    if (!std::fgets(modes, sizeof modes, setting)) modes[0] = 0;
    std::fclose(setting);
  }
  if (std::string(modes).find("[never]") != std::string::npos) CHECK(!achieved.hugePages);
}
#endif
