// No tree makes the reader crash, hang, or look outside its root. Files that it may not read are absent.
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>

#include "hardware/machine_support.h"

using namespace machine_test;
namespace fs = std::filesystem;

namespace {

// Reads as a user without root's rights.
Machine read_as_user(const MachineFolder& folder) {
  const bool root = geteuid() == 0;
  if (root) setfsuid(65534);  // this thread's file accesses alone
  auto machine = read_machine({folder.path(), false});
  if (root) setfsuid(0);
  REQUIRE(machine.ok());
  check_sound(*machine);
  return std::move(*machine);
}

}  // namespace

TEST_CASE("links are taken from the tree's own root") {
  const MachineFolder outside;
  std::ofstream(outside / "serial") << "OUTSIDE-1234\n";
  std::ofstream(outside / "mountinfo") << "28 1 259:2 / / rw - ext4 /dev/nvme0n1p2 rw\n";
  fs::create_directory(outside / "block");
  const std::string file = outside / "serial", serial = kBareNvme0 + "/serial";
  std::string up = "..";
  for (int i = 0; i < 40; i++) up += "/..";
  MachineTree tree(kBare);
  tree.remove("/run/udev");
  for (const std::string& target : {file, up + file, "/proc/" + up + file}) {
    CAPTURE(target);
    CHECK(!factor(tree.link(serial, target), Kind::drive).present());
  }
  CHECK(!factor(MachineTree(kBare).link("/sys/block", outside / "block"), Kind::drive).present());
  CHECK(value(MachineTree(kBare).link("/proc/self", outside.path()), Kind::drive) ==
        kBareSmallest);  // the root file system is unknown
  // The same places inside the tree are found.
  tree.set(file, "INSIDE-1234\n");
  for (const std::string& target : {file, up + file, "/proc/" + up + file})
    CHECK(value(tree.link(serial, target), Kind::drive) == "INSIDE-1234");
  MachineTree self(kBare);
  self.set("/proc/4321/mountinfo", self.content(kMountinfo)).link("/proc/self", "4321");
  CHECK(value(self, Kind::drive) == kBareRoot);
  const MachineFolder folder = MachineTree(kBare).write();
  CHECK(values(read(folder.path() + "//")) == values(read(folder)));
}

TEST_CASE("loops, pipes, folders, empty and endless files are absent, not waited for") {
  const std::string serial = kBareNvme0 + "/serial";
  const auto with = [&](const std::function<void(const std::string& place)>& make) {
    MachineTree tree(kBare);
    tree.remove("/run/udev").remove(serial).remove(kCpuinfo).remove(kMeminfo).remove(kMountinfo);
    const MachineFolder folder = tree.write();
    for (const std::string& path :
         {serial, std::string(kCpuinfo), std::string(kMeminfo), std::string(kMountinfo), std::string("/proc/1/cgroup")}) {
      fs::create_directories(fs::path(folder.path() + path).parent_path());
      make(folder.path() + path);
    }
    const Machine machine = read(folder);
    check_sound(machine);
    CHECK(!machine.factor(Kind::cpu).present());
    CHECK(!machine.factor(Kind::memory).present());
    CHECK(value(machine, Kind::drive) == kBareSmallest);  // the root file system is unknown then
    CHECK(machine.factor(Kind::uuid).present());
  };
  with([](const std::string& place) { REQUIRE(mkfifo(place.c_str(), 0644) == 0); });
  with([](const std::string& place) { fs::create_directory(place); });
  with([](const std::string& place) { fs::create_symlink(fs::path(place).filename(), place); });  // to itself
  with([](const std::string& place) { fs::create_symlink("../nowhere", place); });
  with([](const std::string& place) { fs::create_symlink(std::string(4000, 'a') + "/b", place); });
  with([](const std::string& place) { std::ofstream empty(place); });
  with([](const std::string& place) {
    std::ofstream(place) << "x";
    fs::resize_file(place, uint64_t(1) << 40);  // sparse
  });
}

TEST_CASE("links that double, stacks that lie on themselves, folders without end") {
  MachineTree doubling(kBare);  // 2^40 steps, if each link were followed
  for (int i = 0; i < 40; i++) {
    const std::string next = "x" + std::to_string(i + 1);
    doubling.link("/sys/x" + std::to_string(i), next + "/../" + next);
  }
  CHECK(!factor(doubling.folder("/sys/x40").link("/sys/block", "x0"), Kind::drive).present());

  MachineTree stack(kSata);
  stack.link("/sys/devices/virtual/block/md127/slaves/dm-0", "../../dm-0");
  stack.link("/sys/devices/virtual/block/dm-0/slaves/dm-0", "../../dm-0");
  CHECK(value(stack, Kind::drive) == "naa.500a07513f1a2b01");
  for (int i = 10; i < 40; i++) {  // each on every other: 30! ways down
    const std::string device = "/sys/devices/virtual/block/dm-" + std::to_string(i);
    stack.link("/sys/class/block/dm-" + std::to_string(i), "../../devices/virtual/block/dm-" + std::to_string(i));
    for (int below = 10; below < 40; below++) stack.link(device + "/slaves/dm-" + std::to_string(below), "../..");
    stack.link("/sys/devices/virtual/block/dm-0/slaves/dm-" + std::to_string(i), "../..");
  }
  CHECK(value(stack, Kind::drive) == "naa.500a07513f1a2b01");

  MachineTree crowd(kBare);  // more names than are listed: only the drive of the root file system is still known
  for (int i = 0; i < 16'400; i++) crowd.link("/sys/block/x" + std::to_string(i), "nothing");
  CHECK(value(crowd, Kind::drive) == kBareRoot);
  CHECK(!factor(crowd.set(kMountinfo, ""), Kind::drive).present());
}

TEST_CASE("without root: the UUID is absent with its reason, all else is the same") {
  const MachineFolder folder = MachineTree(kBare).write();
  Values expected = values(read(folder));
  if (geteuid() != 0) REQUIRE(chmod((folder.path() + kDmi + "/product_uuid").c_str(), 0) == 0);
  const Machine machine = read_as_user(folder);
  const Factor& uuid = machine.factor(Kind::uuid);
  CHECK(uuid.quality == kAbsent);
  CHECK(uuid.why == "readable by root alone");
  CHECK(uuid.source == kUuid);
  CHECK(uuid.needs_root);
  expected["uuid"] = "";
  CHECK(values(machine) == expected);
}

// Otherwise a model that root bound does not open for the user of a service, with HARDWARE_MISMATCH and no reason.
TEST_CASE("without root: a factor that depends on a file for root alone is absent, and never another value") {
  const std::string sda = kSataAta1 + "/block/sda/serial", pci = "/sys/devices/pci0000:40/0000:40:01.1/0000:41:00.0";
  const std::string root_on_nvme0 = "28 1 259:2 / / rw - ext4 /dev/nvme0n1p2 rw\n";
  struct Case {
    const char* machine;
    std::string file, content;
    Kind kind;
  };
  const Case cases[] = {
      {kBare, kBareNvme0 + "/serial", "S6Z2NJ0W712345K\n", Kind::drive},    // udev has the serial number too
      {kSata, sda, "0A-7F3E9\n", Kind::drive},                              // `wwid` follows
      {kSata, kSataAta1 + "/wwid", "naa.500a07513f1a2b01\n", Kind::drive},  // the other drive of the array has a larger number
      {kSata, "/sys/devices/pci0000:00/0000:00:17.0/ata2/host1/target1:0:0/1:0:0:0/wwid", "naa.500a07513f1a2b77\n", Kind::drive},
      {kBare, pci + "/subsystem_vendor", "0x10de\n", Kind::gpu},  // NVIDIA's driver shows a model
      {kArm, "/sys/firmware/devicetree/base/model", std::string("Radxa ROCK 5B\0", 14), Kind::cpu},
      {kBare, kCpuinfo, "model name : M\n", Kind::cpu},
      {kBare, kMeminfo, "MemTotal: 16271072 kB\n", Kind::memory},
      {kBare, kMountinfo, root_on_nvme0, Kind::drive},  // without it the root file system is unknown
  };
  for (const Case& one : cases) {
    CAPTURE(one.file);
    const MachineFolder folder = MachineTree(one.machine).set(one.file, one.content, 0400).write();
    const Factor by_root = factor(folder, one.kind);
    CHECK(by_root.needs_root);
    if (geteuid() == 0) CHECK(by_root.present());
    else REQUIRE(chmod((folder.path() + one.file).c_str(), 0) == 0);
    const Machine machine = read_as_user(folder);
    const Factor& by_user = machine.factor(one.kind);
    CHECK(by_user.quality == kAbsent);
    CHECK(by_user.why == "readable by root alone");
    CHECK(by_user.needs_root);
  }
}

TEST_CASE("without root: files with names for people alone do not make a factor absent") {
  const std::string model = kBareNvme0 + "/model";
  const MachineFolder folder = MachineTree(kBare).set(model, "Samsung\n", 0400).write();
  REQUIRE(chmod((folder / "proc/driver/nvidia/gpus").c_str(), 0700) == 0);
  if (geteuid() != 0) REQUIRE(chmod((folder.path() + model).c_str(), 0) == 0);
  const Machine machine = read_as_user(folder);
  for (const Kind kind : {Kind::drive, Kind::gpu}) {
    CAPTURE(std::string(kind_name(kind)));
    CHECK(machine.factor(kind).present());
    CHECK(!machine.factor(kind).needs_root);
  }
  CHECK(value(machine, Kind::drive) == kBareRoot);
}

TEST_CASE("needs_root is false for a file that everyone may read, or a group other than root's") {
  const std::string file = kDmi + "/product_uuid";
  CHECK(factor(MachineTree(kBare), Kind::uuid).needs_root);
  const MachineFolder folder = MachineTree(kBare).set(file, "7a3e5d20-91c4-11ec-8f6b-04421a2f9c11\n", 0444).write();
  CHECK(!factor(folder, Kind::uuid).needs_root);
  REQUIRE(chmod((folder.path() + file).c_str(), 0440) == 0);
  if (geteuid() != 0) return;
  CHECK(factor(folder, Kind::uuid).needs_root);
  REQUIRE(chown((folder.path() + file).c_str(), 0, 1) == 0);
  CHECK(!factor(folder, Kind::uuid).needs_root);
  const Machine machine = read_as_user(folder);
  CHECK(machine.factor(Kind::uuid).quality == kAbsent);
  CHECK(machine.factor(Kind::uuid).why == "this user may not read it");
}

TEST_CASE("a folder that only root may search counts like a file in it") {
  if (geteuid() != 0) return;
  const MachineFolder folder = MachineTree(kBare).remove(kBareNvme0 + "/serial").write();
  CHECK(factor(folder, Kind::drive).present());  // from udev
  REQUIRE(chmod((folder / "run/udev").c_str(), 0700) == 0);
  CHECK(factor(folder, Kind::drive).needs_root);
  const Machine machine = read_as_user(folder);
  CHECK(machine.factor(Kind::drive).quality == kAbsent);
  CHECK(machine.factor(Kind::drive).needs_root);
}

TEST_CASE("nothing to read: every factor is absent with a reason") {
  const MachineFolder empty;
  for (const std::string& root : {empty.path(), empty / "absent", std::string("/dev/null")}) {
    const Machine machine = read(root);
    check_sound(machine);
    for (const Factor& factor : machine.factors) CHECK(!factor.present());
    CHECK(!machine.container);
    CHECK(machine.factor(Kind::drive).why == "no /sys/block");
  }
}

TEST_CASE("random damage never crashes the reader, hangs it, or makes an unsound reading") {
  std::mt19937_64 random(test::test_seed());
  const auto pick = [&](const std::vector<std::string>& from) { return from[random() % from.size()]; };
  const auto write_noise = [&](std::ostream& out, size_t bytes) {
    while (bytes--) out.put(char(random()));
  };
  const char* scale = std::getenv("MG_SCALE");
  const int rounds = std::max(2, int(20 * (scale ? std::atof(scale) : 1)));
  for (const std::string& name : MachineTree::names()) {
    const std::vector<std::string> paths = MachineTree(name).paths();
    for (int round = 0; round < rounds; round++) {
      const MachineFolder folder = MachineTree(name).write();
      for (int step = 0; step < 20; step++) {
        const std::string path = pick(paths), place = folder.path() + path;
        std::error_code ignored;  // what it falls on may be gone already
        const bool file = fs::symlink_status(place, ignored).type() == fs::file_type::regular;
        const auto damage = random() % 8;
        if (damage < 3) {
          if (!file) continue;
          const size_t at = random() % (fs::file_size(place) + 1);
          if (damage == 0) fs::resize_file(place, at, ignored);
          std::fstream out(place, std::ios::in | std::ios::out | std::ios::binary);
          out.seekp(std::streamoff(at));
          if (damage > 0) write_noise(out, damage == 1 ? 1 : random() % 300);
          continue;
        }
        fs::remove_all(place, ignored);
        const std::string other = pick(paths);
        if (damage == 4) fs::create_directory(place, ignored);
        if (damage == 5) fs::create_symlink(other, place, ignored);
        if (damage == 6) fs::create_symlink(fs::path(other).lexically_relative(fs::path(path).parent_path()), place, ignored);
        if (damage == 7) mkfifo(place.c_str(), 0644);
      }
      CAPTURE(name);
      CAPTURE(round);
      check_sound(read(folder));
    }
  }
}
