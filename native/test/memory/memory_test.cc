// Compares the promises of secret pages and plaintext regions with the kernel's own account.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cinttypes>
#include <csignal>
#include <cstdio>

#include "memory/region.h"
#include "memory/secret.h"
#include "support/asan.h"

using namespace mg;

namespace {

// The VmFlags line of the mapping that holds `address`; empty if there is none.
std::string vm_flags(const void* address) {
  std::FILE* smaps = std::fopen("/proc/self/smaps", "r");
  REQUIRE(smaps);
  char line[512];
  bool inside = false;
  std::string flags;
  while (std::fgets(line, sizeof line, smaps)) {
    uintptr_t start, end;
    if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &start, &end) == 2)
      inside = reinterpret_cast<uintptr_t>(address) >= start && reinterpret_cast<uintptr_t>(address) < end;
    else if (inside && std::string(line).rfind("VmFlags:", 0) == 0) flags = std::string(line) + " ";
  }
  std::fclose(smaps);
  return flags;
}

bool has(const std::string& flags, const char* flag) { return flags.find(std::string(" ") + flag + " ") != std::string::npos; }

// The end of a child that runs `body`: its exit status, or minus the signal.
template <class Body>
int in_child(Body body) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGSEGV, SIG_DFL);  // a sanitizer would report and exit
    std::signal(SIGBUS, SIG_DFL);
    body();
    _exit(0);
  }
  int status;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace

TEST_CASE("a secret is left out of core dumps, zero in a forked child, and locked if it reports so") {
  auto secret = Secret::copy(View("a key of thirty-two bytes, really"));
  REQUIRE(secret.ok());
  const std::string flags = vm_flags(secret->reveal().data);
  CHECK(has(flags, "dd"));
  CHECK(has(flags, "wf"));
#ifndef MG_UNDER_ASAN
  CHECK(has(flags, "lo") == secret->locked());
#endif
  CHECK(in_child([&] { _exit(secret->reveal()[0] == 0 ? 7 : 8); }) == 7);
  CHECK(secret->reveal().text() == "a key of thirty-two bytes, really");
}

#ifndef MG_UNDER_ASAN
TEST_CASE("a read past either end of a secret's pages ends the process") {
  auto secret = Secret::allocate(32);
  REQUIRE(secret.ok());
  volatile const uint8_t* p = secret->reveal().data;
  CHECK(in_child([&] { (void)p[32]; }) == -SIGSEGV);
  CHECK(in_child([&] { (void)*(p - 4096); }) == -SIGSEGV);
}
#endif

TEST_CASE("a moved secret leaves nothing behind, and shrinking wipes the rest") {
  auto secret = Secret::copy(View("0123456789abcdef"));
  REQUIRE(secret.ok());
  Secret moved = std::move(*secret);
  CHECK(secret->size() == 0);
  const uint8_t* data = moved.reveal().data;
  moved.shrink(4);
  CHECK(moved.reveal().text() == "0123");
  CHECK(data[4] == 0);
  CHECK(data[15] == 0);
}

TEST_CASE("sizes out of range are refused") {
  CHECK(!Secret::allocate(0).ok());
  CHECK(!Secret::allocate(64 * 1024 + 1).ok());
  CHECK(Region::allocate(SIZE_MAX - 1).status().code == Code::OUT_OF_MEMORY);
  auto empty = Region::allocate(0);
  REQUIRE(empty.ok());
  CHECK(empty->size() == 0);
  empty->wipe();
}

TEST_CASE("a region reports the protection that the kernel reports") {
  for (const size_t size : {size_t(1), size_t(100000), 3 * kHugePage + 5}) {
    auto region = Region::allocate(size);
    REQUIRE(region.ok());
    for (size_t i = 0; i < size; i += 4096) region->data()[i] = 1;
    const std::string flags = vm_flags(region->data());
    CHECK(has(flags, "dd") == region->protection().dontdump);
    CHECK(has(flags, "lo") == region->protection().locked);
    CHECK(!has(flags, "wf"));  // only secrets have this flag
    if (size >= kHugePage) CHECK(reinterpret_cast<uintptr_t>(region->data()) % kHugePage == 0);
  }
}

TEST_CASE("a wiped region reads as zeros and stays mapped") {
  for (const size_t size : {size_t(5000), 2 * kHugePage}) {
    auto region = Region::allocate(size);
    REQUIRE(region.ok());
    region->data()[0] = region->data()[size - 1] = 9;
    region->wipe();
    CHECK(region->data()[0] == 0);
    CHECK(region->data()[size - 1] == 0);
  }
}
