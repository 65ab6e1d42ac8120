// Reads each recorded machine: disturbances that must change no factor, and replaced parts that must change exactly one.
#include <algorithm>
#include <cstdlib>

#include "hardware/machine_support.h"
#include "hardware/tpm.h"

using namespace machine_test;

namespace {

constexpr const char* kMany = "many machines have the same";

struct Expected {
  Kind kind;
  Quality quality;
  const char *value, *shown, *source, *why;
  bool needs_root = false;
};

void check(const char* name, const std::vector<Expected>& factors, bool container = false, const char* hypervisor = "") {
  CAPTURE(std::string(name));
  const Machine machine = read(MachineTree(name));
  check_sound(machine);
  CHECK(machine.container == container);
  CHECK(machine.virtual_machine == hypervisor);
  for (const Expected& expected : factors) {
    const Factor& factor = machine.factor(expected.kind);
    CAPTURE(std::string(kind_name(expected.kind)));
    CHECK(std::string(quality_name(factor.quality)) == quality_name(expected.quality));
    CHECK(value(machine, expected.kind) == expected.value);
    CHECK(factor.shown == expected.shown);
    CHECK(factor.source == expected.source);
    CHECK(factor.why == expected.why);
    CHECK(factor.needs_root == expected.needs_root);
  }
}

}  // namespace

TEST_CASE("names of kinds and qualities") {
  std::string kinds, qualities;
  for (const Kind kind : kKinds) kinds += kind_name(kind) + std::string(" ");
  for (const Quality quality : {kStrong, kWeak, kVirtual, kAbsent}) qualities += quality_name(quality) + std::string(" ");
  CHECK(kinds == "cpu gpu memory drive uuid tpm ");
  CHECK(qualities == "strong weak virtual absent ");
}

TEST_CASE("bare metal: the drive of the root file system, PCI ids of the graphics cards") {
  const char *gpus = "10de:2230/10de:1459, 10de:2230/10de:1459",
             *shown = "NVIDIA RTX A6000 (10de:2230/10de:1459), NVIDIA RTX A6000 (10de:2230/10de:1459)",
             *cpu = "AMD Ryzen Threadripper PRO 5975WX 32-Cores", *uuid = "7a3e5d20-91c4-11ec-8f6b-04421a2f9c11";
  check(kBare, {{Kind::cpu, kWeak, cpu, cpu, kCpuinfo, kMany},
                {Kind::gpu, kWeak, gpus, shown, kPci, kMany},
                {Kind::memory, kWeak, "131072 MiB", "128 GiB", kMeminfo, kMany},
                {Kind::drive, kStrong, kBareRoot, "S6Z2NJ0W712345K (Samsung SSD 990 PRO 2TB)", "/sys/block/nvme0n1/device/serial",
                 "the maker's number for this drive"},
                {Kind::uuid, kStrong, uuid, uuid, kUuid, "the maker's number for this machine", true},
                {Kind::tpm, kAbsent, "", "", "TPM", "not asked for", tpm::needs_root()}});
}

TEST_CASE("SATA server: through LVM and RAID to the smallest serial below the root") {
  const char *cpu = "Intel(R) Xeon(R) Silver 4314 CPU @ 2.40GHz", *uuid = "00000000-0000-0000-0000-3cecef8a1b2c";
  check(kSata, {{Kind::cpu, kWeak, cpu, cpu, kCpuinfo, kMany},
                {Kind::gpu, kWeak, "1a03:2000/15d9:1b16", "1a03:2000/15d9:1b16", kPci, kMany},
                {Kind::memory, kWeak, "262144 MiB", "256 GiB", kMeminfo, kMany},
                {Kind::drive, kStrong, "naa.500a07513f1a2b01", "naa.500a07513f1a2b01 (Micron_5300_MTFD)",
                 "/sys/block/sda/device/wwid", "the maker's number for this drive"},
                {Kind::uuid, kWeak, uuid, uuid, kUuid, "made from a network address", true}});
}

TEST_CASE("virtual machine: nothing is more than virtual") {
  const char *why = "a virtual machine (OpenStack)", *unique = "a virtual machine (OpenStack): its clones may have the same",
             *cpu = "Intel Xeon Processor (Icelake)", *uuid = "d2b1a0c9-8e7f-4d6c-9b5a-4f3e2d1c0b9a",
             *serial = "a7c1f1d0-5e2b-4c3d-9";
  check(kVm,
        {{Kind::cpu, kVirtual, cpu, cpu, kCpuinfo, why},
         {Kind::gpu, kVirtual, "1af4:1050/1af4:1100", "1af4:1050/1af4:1100", kPci, why},
         {Kind::memory, kVirtual, "8192 MiB", "8 GiB", kMeminfo, why},
         {Kind::drive, kVirtual, serial, serial, "/sys/block/vda/serial", unique},
         {Kind::uuid, kVirtual, uuid, uuid, kUuid, unique, true}},
        false, "OpenStack");
}

TEST_CASE("container: parts that it cannot see are absent, with the reason") {
  const char *cpu = "AMD EPYC 7763 64-Core Processor", *gpu = "NVIDIA A100-SXM4-80GB";
  check("container",
        {{Kind::cpu, kWeak, cpu, cpu, kCpuinfo, kMany},
         {Kind::gpu, kWeak, gpu, gpu, "/proc/driver/nvidia", kMany},
         {Kind::memory, kWeak, "1048576 MiB", "1024 GiB", kMeminfo, kMany},
         {Kind::drive, kAbsent, "", "", "/sys/block", "container: no /sys/block"},
         {Kind::uuid, kAbsent, "", "", kUuid, "container: no DMI tables", true}},
        true);
}

TEST_CASE("ARM board: cores and model from the device tree, eMMC and not the SD card") {
  const char *cpu = "0x41:0xd05, 0x41:0xd0b; Radxa ROCK 5B", *gpus = "rockchip,display-subsystem, rockchip,rk3588-mali";
  check(kArm, {{Kind::cpu, kWeak, cpu, cpu, kCpuinfo, kMany},
               {Kind::gpu, kWeak, gpus, gpus, "/sys/class/drm", kMany},
               {Kind::memory, kWeak, "16384 MiB", "16 GiB", kMeminfo, kMany},
               {Kind::drive, kWeak, "0x3d5a1c7e", "0x3d5a1c7e (DA4064)", "/sys/block/mmcblk0/device/serial",
                "a serial number of only 32 bits"},
               {Kind::uuid, kAbsent, "", "", kUuid, "no DMI tables", true}});
}

TEST_CASE("laptop: through btrfs and LUKS, two graphics controllers in ascending order") {
  const char *cpu = "12th Gen Intel(R) Core(TM) i7-12700H", *gpus = "10de:25a0/1043:1df2, 8086:46a6/1043:1df2",
             *shown = "NVIDIA GeForce RTX 3050 Ti Laptop GPU (10de:25a0/1043:1df2), 8086:46a6/1043:1df2",
             *uuid = "9c2f1b7e-4d5a-4e60-8b1d-f02f74a1c3e5";
  check(kLaptop, {{Kind::cpu, kWeak, cpu, cpu, kCpuinfo, kMany},
                  {Kind::gpu, kWeak, gpus, shown, kPci, kMany},
                  {Kind::memory, kWeak, "32768 MiB", "32 GiB", kMeminfo, kMany},
                  {Kind::drive, kStrong, "ADB8N474712345678", "ADB8N474712345678 (SKHynix_HFS001TEJ9X115N)",
                   "/sys/block/nvme0n1/device/serial", "the maker's number for this drive"},
                  {Kind::uuid, kStrong, uuid, uuid, kUuid, "the maker's number for this machine", true}});
}

TEST_CASE("a disturbance changes no factor, and no quality") {
  for (const std::string& name : MachineTree::names()) {
    const Machine before = read(MachineTree(name));
    const auto disturbances = MachineTree(name).disturbances();
    REQUIRE(disturbances.size() >= 2);
    for (const std::string& disturbance : disturbances) {
      CAPTURE(name);
      CAPTURE(disturbance);
      const Machine after = read(MachineTree(name).edit(disturbance));
      CHECK(values(after) == values(before));
      for (const Kind kind : kKinds) CHECK(after.factor(kind).quality == before.factor(kind).quality);
    }
  }
}

TEST_CASE("replacing one part changes exactly its factor") {
  for (const std::string& name : MachineTree::names()) {
    const Values before = values(read(MachineTree(name)));
    const auto is_present = [](const auto& factor) { return !factor.second.empty(); };
    const auto parts = MachineTree(name).replaced();
    REQUIRE(long(parts.size()) == std::count_if(before.begin(), before.end(), is_present));
    for (const std::string& part : parts) {
      CAPTURE(name);
      CAPTURE(part);
      const Values after = values(read(MachineTree(name).edit("other-" + part)));
      for (const auto& [factor, had] : before) {
        CAPTURE(factor);
        CHECK((after.at(factor) != had) == (factor == part));
        CHECK(after.at(factor).empty() == had.empty());
      }
    }
  }
}

TEST_CASE("no two recorded machines share a serial number or a UUID") {
  std::map<std::string, std::string> owner;
  for (const std::string& name : MachineTree::names()) {
    const Machine machine = read(MachineTree(name));
    for (const Kind kind : {Kind::drive, Kind::uuid}) {
      if (machine.factor(kind).present()) CHECK(owner.emplace(value(machine, kind), name).second);
    }
  }
  CHECK(owner.size() == 9);
}

TEST_CASE("machine-id is shown only where it is one") {
  const MachineFolder folder = MachineTree(kBare).write();
  CHECK(read(folder).machine_id == "b3c1f6a2d4e5487f9a0b1c2d3e4f5a6b");
  for (const char* text : {"", "uninitialized\n", "0123456789abcdef0123456789abcde\n", "0123456789abcdef0123456789abcdeg\n"})
    CHECK(read(folder.set("/etc/machine-id", text)).machine_id == "");
}

TEST_CASE("virtual machines are recognised by the processor, DMI, Xen or the device tree") {
  const auto named = [](const MachineTree& tree) { return read(tree).virtual_machine; };
  const auto dmi = [&](const std::string& vendor, const std::string& product) {
    return named(MachineTree(kBare).set(kDmi + "/sys_vendor", vendor + "\n").set(kDmi + "/product_name", product + "\n"));
  };
  CHECK(dmi("QEMU", "Standard PC (Q35 + ICH9, 2009)") == "QEMU");
  CHECK(dmi("Red Hat", "KVM") == "KVM");
  CHECK(dmi("VMware, Inc.", "VMware7,1") == "VMware");
  CHECK(dmi("innotek GmbH", "VirtualBox") == "VirtualBox");
  CHECK(dmi("Microsoft Corporation", "Virtual Machine") == "Hyper-V");
  CHECK(dmi("Microsoft Corporation", "Surface Laptop 5") == "");
  CHECK(dmi("Amazon EC2", "g5.xlarge") == "Amazon EC2");
  CHECK(dmi("Google", "Google Compute Engine") == "Google Compute Engine");
  CHECK(dmi("Google", "Eve") == "");
  CHECK(dmi("Xen", "HVM domU") == "Xen");
  CHECK(named(MachineTree(kVm).remove(kDmi)) == "unknown hypervisor");
  CHECK(named(MachineTree(kBare).set("/sys/hypervisor/type", "xen\n")) == "Xen");
  // Xen's first domain has the real hardware, though its processor says "hypervisor".
  CHECK(named(MachineTree(kVm).remove(kDmi).set("/proc/xen/capabilities", "control_d\n")) == "");
  const std::string tree = "/sys/firmware/devicetree/base", dummy("linux,dummy-virt\0", 17), kvm("linux,kvm\0", 10);
  CHECK(named(MachineTree(kArm).set(tree + "/hypervisor/compatible", kvm)) == "KVM");
  CHECK(named(MachineTree(kArm).set(tree + "/compatible", dummy)) == "KVM");
  const Machine unknown = read(MachineTree(kArm).set(tree + "/hypervisor/compatible", "acme,visor"));
  check_sound(unknown);
  CHECK(unknown.virtual_machine == "unknown hypervisor");
}

TEST_CASE("containers are recognised by the files of their engines") {
  const auto contained = [](const MachineTree& tree) { return read(tree).container; };
  const std::string overlay = "28 1 0:50 / / rw - overlay overlay rw\n";
  CHECK(contained(MachineTree("container").remove("/.dockerenv")));  // by the files mounted over /etc
  CHECK(!contained(MachineTree("container").remove("/.dockerenv").set(kMountinfo, overlay)));
  // A VPN or a network namespace of the host mounts its own version of these.
  for (const std::string file : {"resolv.conf", "hosts", "hostname"}) {
    CAPTURE(file);
    const std::string mount = "29 28 0:24 /netns/" + file + " /etc/" + file + " rw - tmpfs tmpfs rw\n";
    CHECK(!contained(MachineTree("container").remove("/.dockerenv").set(kMountinfo, overlay + mount)));
  }
  CHECK(contained(MachineTree(kBare).set("/run/.containerenv", "")));
  CHECK(contained(MachineTree(kBare).set("/run/systemd/container", "systemd-nspawn\n")));
  CHECK(contained(MachineTree(kBare).set("/proc/1/cgroup", "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-1.scope\n")));
  CHECK(!contained(MachineTree(kBare).set("/proc/1/cgroup", "0::/init.scope\n")));
  // A container with the host's /sys has the host's drive; one whose manager shows memory of its own says so.
  const std::string meminfo = "40 28 0:60 /proc/meminfo /proc/meminfo rw - fuse.lxcfs lxcfs rw\n";
  const Machine machine = read(MachineTree(kBare).set("/.dockerenv", "").set(kMountinfo, overlay + meminfo));
  CHECK(machine.factor(Kind::drive).quality == kStrong);
  CHECK(machine.factor(Kind::memory).quality == kVirtual);
}

TEST_CASE("this machine: read twice, the same") {
  const Machine machine = read("");
  check_sound(machine);
  CHECK(values(read("")) == values(machine));
  CHECK(machine.factor(Kind::memory).present());
  for (const Factor& factor : machine.factors) {
    const std::string kind = kind_name(factor.kind), quality = quality_name(factor.quality);
    MESSAGE(kind, ": ", quality, ", ", factor.source, ", ", factor.why);
  }
}

TEST_CASE("TPM: read only on request, and always the TPM of this machine") {
  const MachineFolder folder = MachineTree(kBare).write();
  const Machine machine = read(folder.path(), true);
  check_sound(machine);
  const Factor& tpm = machine.factor(Kind::tpm);
  CHECK(tpm.source == "TPM");
  CHECK(tpm.why != "not asked for");
  if (tpm.present()) CHECK(tpm.value.size() == 68);
}

TEST_CASE("only a build for tests looks at a recorded machine") {
  setenv("MODEL_GUARD_TEST_MACHINE", "/somewhere", 1);
#ifdef MG_TEST_MACHINE
  CHECK(system_root() == "/somewhere");
#else
  CHECK(system_root() == "");
#endif
  unsetenv("MODEL_GUARD_TEST_MACHINE");
  CHECK(system_root() == "");
}
