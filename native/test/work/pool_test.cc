#include "work/pool.h"

#include <doctest/doctest.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

using namespace mg;
using namespace mg::work;

namespace {

// A fake root with the cgroup files that a test names.
class Root {
 public:
  Root() {
    char name[] = "/tmp/mg-pool-test-XXXXXX";
    path_ = mkdtemp(name);
  }
  ~Root() {
    for (auto it = made_.rbegin(); it != made_.rend(); ++it) std::remove(it->c_str());
    std::remove(path_.c_str());
  }
  Root& file(const std::string& name, const std::string& text) {
    for (size_t at = name.find('/', 1); at != std::string::npos; at = name.find('/', at + 1)) {
      std::string folder = path_ + name.substr(0, at);
      if (mkdir(folder.c_str(), 0700) == 0) made_.push_back(folder);
    }
    FILE* out = std::fopen((path_ + name).c_str(), "w");
    REQUIRE(out != nullptr);
    std::fwrite(text.data(), 1, text.size(), out);
    std::fclose(out);
    made_.push_back(path_ + name);
    return *this;
  }
  unsigned threads() const { return cgroup_threads(path_); }

 private:
  std::string path_;
  std::vector<std::string> made_;
};

}  // namespace

TEST_CASE("pool: every task once, in rising order of start, on any number of threads") {
  for (unsigned size : {0u, 1u, 2u, 4u}) {
    Pool pool(size);
    CHECK(pool.size() == size);
    for (uint64_t count : {0, 1, 2, 500}) {
      Control control;
      std::mutex mutex;
      std::vector<uint64_t> started;
      Status status = pool.parallel(count, control, [&](uint64_t i) {
        std::lock_guard<std::mutex> lock(mutex);
        started.push_back(i);
        return Status();
      });
      CHECK(status.ok());
      CHECK(std::set<uint64_t>(started.begin(), started.end()).size() == count);
      CHECK(started.size() == count);
      if (size <= 1)
        for (uint64_t i = 0; i < count; i++) CHECK(started[i] == i);
    }
  }
}

TEST_CASE("pool: no more threads than asked for, with a name, and with signals blocked") {
  Pool pool(4);
  Control control;
  control.threads = 2;
  std::mutex mutex;
  std::set<pthread_t> threads;
  const pthread_t caller = pthread_self();
  bool named = true, blocked = true;
  for (int round = 0; round < 50; round++) {
    std::set<pthread_t> seen;
    REQUIRE(pool.parallel(64, control,
                          [&](uint64_t) {
                            std::lock_guard<std::mutex> lock(mutex);
                            seen.insert(pthread_self());
                            if (!pthread_equal(pthread_self(), caller)) {
                              char name[32] = "";
                              pthread_getname_np(pthread_self(), name, sizeof name);
                              named = named && std::string(name) == "mg-engine";
                              sigset_t mask;
                              pthread_sigmask(SIG_SETMASK, nullptr, &mask);
                              blocked = blocked && sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGINT) == 1 &&
                                        sigismember(&mask, SIGSEGV) == 0;
                            }
                            return Status();
                          })
                .ok());
    CHECK(seen.size() <= 2);
    threads.insert(seen.begin(), seen.end());
  }
  CHECK(named);
  CHECK(blocked);
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  CHECK(sigismember(&mask, SIGTERM) == 0);
}

TEST_CASE("pool: the failure with the lowest index wins and stops the rest") {
  Pool pool(3);
  Control control;
  for (int round = 0; round < 50; round++) {
    std::atomic<uint64_t> ran{0};
    Status status = pool.parallel(10'000, control, [&](uint64_t i) {
      ran++;
      return i >= 100 ? Status(Code::IO_FAILED, std::to_string(i)) : Status();
    });
    CHECK(status.code == Code::IO_FAILED);
    CHECK(status.what == "100");
    CHECK(ran <= 100 + 4);  // one per thread after the first failure
  }
}

TEST_CASE("pool: after the flag is set each thread finishes at most the task it has in hand") {
  Pool pool(4);
  for (unsigned threads : {1u, 2u, 4u}) {
    Control control;
    control.threads = threads;
    std::atomic<uint64_t> started_after{0}, ran{0};
    Status status = pool.parallel(10'000, control, [&](uint64_t i) {
      if (control.cancelled) started_after++;
      ran++;
      if (i == 50) control.cancelled = true;
      return Status();
    });
    CHECK(status.code == Code::ABORT_ERR);
    CHECK(started_after <= threads - 1);  // taken before the flag, begun after it
    CHECK(ran >= 51);
    if (threads == 1) CHECK(ran == 51);
  }
  Control before;
  before.cancelled = true;
  uint64_t ran = 0;
  CHECK(pool.parallel(5, before, [&](uint64_t) { return ran++, Status(); }).code == Code::ABORT_ERR);
  CHECK(ran == 0);
  Control late;  // nothing was withheld, so there is nothing to report
  late.threads = 1;
  CHECK(pool.parallel(3, late, [&](uint64_t i) { return late.cancelled = i == 2, Status(); }).ok());
}

TEST_CASE("pool: parallel within jobs and within tasks never waits for the busy pool") {
  for (unsigned size : {0u, 1u, 2u, 3u}) {
    std::atomic<uint64_t> leaves{0}, jobs{0};
    Control control;  // outlives the jobs
    {
      Pool pool(size);
      for (int job = 0; job < 8; job++)
        pool.submit([&] {
          Status status = pool.parallel(4, control, [&](uint64_t) {
            return pool.parallel(
                4, control, [&](uint64_t) { return pool.parallel(4, control, [&](uint64_t) { return leaves++, Status(); }); });
          });
          if (status.ok()) jobs++;
        });
      CHECK(pool.parallel(16, control, [&](uint64_t) { return leaves++, Status(); }).ok());
    }  // the destructor drops nothing
    CHECK(jobs == 8);
    CHECK(leaves == 8 * 64 + 16);
  }
}

TEST_CASE("pool: several callers at once") {
  Pool pool(2);
  std::atomic<uint64_t> ran{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; i++)
    callers.emplace_back([&] {
      for (int round = 0; round < 100; round++) {
        Control control;
        (void)pool.parallel(7, control, [&](uint64_t) { return ran++, Status(); });
      }
    });
  for (std::thread& caller : callers) caller.join();
  CHECK(ran == 2800);
}

TEST_CASE("available threads: limits of control groups") {
  CHECK(available_threads() >= 1);
  CHECK(Root().threads() == 0);
  const std::string v2 = "/sys/fs/cgroup", self = "/proc/self/cgroup";
  auto at_root = [&](const std::string& text) { return Root().file(self, "0::/\n").file(v2 + "/cpu.max", text).threads(); };
  CHECK(at_root("max 100000\n") == 0);
  CHECK(at_root("200000 100000\n") == 2);
  CHECK(at_root("150000 100000\n") == 2);  // rounded up
  CHECK(at_root("1000 100000\n") == 1);
  CHECK(at_root("0 100000\n") == 1);
  CHECK(at_root("100000 0\n") == 0);
  CHECK(at_root("99999999999999999999999 100000\n") == 0);
  CHECK(at_root("") == 0);
  CHECK(at_root("100000") == 0);
  SUBCASE("the tightest limit on the way up") {
    Root root;
    root.file(self, "0::/a.slice/b\n").file(v2 + "/a.slice/cpu.max", "300000 100000\n");
    CHECK(root.threads() == 3);
    root.file(v2 + "/a.slice/b/cpu.max", "800000 100000\n");
    CHECK(root.threads() == 3);
    root.file(v2 + "/a.slice/b/cpu.max", "50000 100000\n");
    CHECK(root.threads() == 1);
  }
  SUBCASE("a container that sees the host's path, or none, but only its own folder") {
    CHECK(Root().file(self, "0::/kube/pod/x\n").file(v2 + "/cpu.max", "400000 100000\n").threads() == 4);
    CHECK(Root().file(self, "0::/../../x\n").file(v2 + "/cpu.max", "400000 100000\n").threads() == 4);
  }
  SUBCASE("version 1") {
    const std::string groups = "5:memory:/m\n4:cpu,cpuacct:/docker/x\n1:name=systemd:/s\n";
    const std::string quota = "/cpu.cfs_quota_us", period = "/cpu.cfs_period_us";
    Root root;
    root.file(self, groups);
    root.file(v2 + "/cpu,cpuacct" + quota, "250000\n").file(v2 + "/cpu,cpuacct" + period, "100000\n");
    CHECK(root.threads() == 3);
    root.file(v2 + "/cpu/docker/x" + quota, "200000\n").file(v2 + "/cpu/docker/x" + period, "100000\n");
    CHECK(root.threads() == 2);
    Root none;
    none.file(self, groups).file(v2 + "/cpu" + quota, "-1\n").file(v2 + "/cpu" + period, "100000\n");
    CHECK(none.threads() == 0);
  }
  SUBCASE("nonsense is no limit") { CHECK(Root().file(self, "rubbish\n::\n0:\n:::::\n0::relative\n").threads() == 0); }
}

TEST_CASE("pool: an exception in a task becomes its status, on whichever thread it is thrown") {
  Pool pool(2);
  const Control control;
  for (uint64_t culprit = 0; culprit < 8; culprit++) {
    const Status status = pool.parallel(8, control, [&](uint64_t index) -> Status {
      if (index == culprit) throw std::bad_alloc();
      return Status();
    });
    CHECK(status.code == Code::OUT_OF_MEMORY);
  }
}

// Otherwise the exception leaves the thread and ends the process.
TEST_CASE("pool: an exception that leaves a job ends that job alone") {
  for (const unsigned size : {0u, 1u}) {
    std::atomic<int> after{0};
    std::atomic<bool> next{false};
    {
      Pool pool(size);
      pool.submit([] { throw std::bad_alloc(); }, [&] { after++; });
      pool.submit([] {},
                  [&] {
                    after++;
                    throw std::runtime_error("after");
                  });
      pool.submit([&] { next = true; });
    }
    CHECK(after == 2);
    CHECK(next);
  }
}

TEST_CASE("a pool that grows gives every job that waits a thread of its own, up to its most") {
  constexpr unsigned kMost = 8;
  Pool pool(1, kMost);
  std::mutex mutex;
  std::condition_variable changed;
  unsigned waiting = 0, over = 0;
  bool open = false;
  const auto wait = [&] {
    std::unique_lock<std::mutex> lock(mutex);
    waiting++;
    changed.notify_all();
    changed.wait(lock, [&] { return open; });
    over++;
    changed.notify_all();
  };
  for (unsigned i = 0; i < kMost + 3; i++) pool.submit(wait);
  std::unique_lock<std::mutex> lock(mutex);
  changed.wait(lock, [&] { return waiting == kMost; });  // would wait for ever with one thread
  lock.unlock();
  CHECK(pool.size() == kMost);
  lock.lock();
  open = true;
  changed.notify_all();
  changed.wait(lock, [&] { return over == kMost + 3; });
}
