// Reading recorded machines, and what holds of every reading.
#pragma once
#include <doctest/doctest.h>

#include <map>
#include <string>

#include "hardware/machine.h"
#include "support/machine_tree.h"
#include "support/seed.h"
#include "text/text.h"

namespace machine_test {

using namespace mg;
using namespace mg::hardware;
using mg::test::MachineFolder;
using mg::test::MachineTree;

constexpr Quality kStrong = Quality::strong, kWeak = Quality::weak, kVirtual = Quality::is_virtual, kAbsent = Quality::absent;
constexpr const char *kBare = "bare-metal-nvme-nvidia", *kSata = "sata-server", *kVm = "vm-virtio", *kArm = "arm-board",
                     *kLaptop = "laptop-two-gpus";
constexpr const char *kCpuinfo = "/proc/cpuinfo", *kMeminfo = "/proc/meminfo", *kMountinfo = "/proc/self/mountinfo",
                     *kPci = "/sys/bus/pci/devices", *kUuid = "/sys/class/dmi/id/product_uuid";
// The target of a link of /sys, in the trees of that name.
const std::string kBareNvme0 = "/sys/devices/pci0000:00/0000:00:01.1/0000:01:00.0/nvme/nvme0";
const std::string kSataAta1 = "/sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0";
const std::string kVmVda = "/sys/devices/pci0000:00/0000:00:02.0/0000:04:00.0/virtio2/block/vda";
const std::string kDmi = "/sys/devices/virtual/dmi/id";
// The serials of the first tree: of the drive with the root file system, and the smallest.
constexpr const char *kBareRoot = "S6Z2NJ0W712345K", *kBareSmallest = "22450J801234";

inline Machine read(const std::string& root, bool tpm = false) {
  auto machine = read_machine({root, tpm});
  REQUIRE(machine.ok());
  return std::move(*machine);
}
inline Machine read(const MachineFolder& folder) { return read(folder.path()); }
inline Machine read(const MachineTree& tree) { return read(tree.write()); }

inline std::string value(const Machine& machine, Kind kind) { return std::string(machine.factor(kind).value.reveal().text()); }
template <class Source>
std::string value(const Source& source, Kind kind) {
  return value(read(source), kind);
}
template <class Source>
Factor factor(const Source& source, Kind kind) {
  Machine machine = read(source);
  return std::move(machine.factors[size_t(kind) - 1]);
}

using Values = std::map<std::string, std::string>;
inline Values values(const Machine& machine) {
  Values all;
  for (const Kind kind : kKinds) all[kind_name(kind)] = value(machine, kind);
  return all;
}

// Holds for every tree: a factor has a value and a name, or neither and a reason; text is one line; no quality is better than possible.
inline void check_sound(const Machine& machine) {
  for (const Kind kind : kKinds) {
    const Factor& factor = machine.factor(kind);
    CAPTURE(std::string(kind_name(kind)));
    CAPTURE(factor.why);
    REQUIRE(factor.kind == kind);
    REQUIRE(!factor.source.empty());
    REQUIRE(!factor.why.empty());
    REQUIRE(factor.present() == (factor.value.size() > 0));
    REQUIRE(factor.present() == !factor.shown.empty());
    REQUIRE(factor.value.size() <= 4096);
    const std::string_view text = factor.value.reveal().text();
    REQUIRE(text::is_utf8(text));
    for (const char c : text) REQUIRE((uint8_t(c) >= 0x20 && c != 0x7f));
    if (!machine.virtual_machine.empty() && factor.present()) REQUIRE(factor.quality == kVirtual);
    if (kind == Kind::cpu || kind == Kind::gpu || kind == Kind::memory) REQUIRE(factor.quality != kStrong);
  }
  REQUIRE((machine.machine_id.empty() || machine.machine_id.size() == 32));
}

}  // namespace machine_test
