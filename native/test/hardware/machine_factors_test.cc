// Each factor's value, in detail: docs/format.md, section 12.
#include <sys/stat.h>

#include <functional>
#include <random>

#include "hardware/machine_support.h"

using namespace machine_test;

namespace {

constexpr const char* kPlaceholder = "the same on many machines (cloned image or unset by the maker)";

std::string root_on(const std::string& device, const std::string& type, const std::string& source) {
  return "22 28 0:20 / /sys rw - sysfs sysfs rw\n28 1 " + device + " / / rw shared:1 master:2 - " + type + " " + source + " rw\n";
}

}  // namespace

TEST_CASE("memory: rounded up by less than a quarter, steady around what was built in") {
  const MachineFolder folder = MachineTree(kBare).write();
  const auto memory = [&](uint64_t kb) {
    return value(folder.set(kMeminfo, "MemTotal: " + std::to_string(kb) + " kB\n"), Kind::memory);
  };
  CHECK(memory(1) == "1 MiB");
  CHECK(memory(5 << 10) == "5 MiB");
  CHECK(memory((9 << 10) + 1) == "10 MiB");
  CHECK(memory(930'000) == "1024 MiB");
  CHECK(memory(1'970'000) == "2048 MiB");
  CHECK(memory(12'200'000) == "12288 MiB");  // 12 GiB stays 12
  CHECK(memory(16'000'000) == "16384 MiB");
  CHECK(memory(16'271'072) == "16384 MiB");
  CHECK(memory(16'777'216) == "16384 MiB");
  CHECK(memory(16'777'217) == "20480 MiB");
  std::mt19937_64 random(test::test_seed());
  for (int i = 0; i < 50; i++) {
    const uint64_t kb = 1 + random() % (uint64_t(1) << (10 + i % 30));
    CAPTURE(kb);
    const double mib = double(kb) / 1024, rounded = std::stod(memory(kb));
    CHECK(rounded >= mib);
    CHECK(rounded < (mib + 1) * 1.25 + 1);
  }
  for (const char* text : {"", "MemTotal:\n", "MemTotal: 0 kB\n", "MemTotal: -5 kB\n", "MemTotal: 5 MB\n", "MemFree: 5 kB\n",
                           "MemTotal: 99999999999999999999999 kB\n"}) {
    CAPTURE(std::string(text));
    CHECK(factor(folder.set(kMeminfo, text), Kind::memory).why == "no MemTotal");
  }
}

TEST_CASE("CPU: distinct models, ascending, single-spaced") {
  const MachineFolder folder = MachineTree(kArm).write();
  const auto cpu = [&](const std::string& text) { return value(folder.set(kCpuinfo, text), Kind::cpu); };
  CHECK(cpu("model name\t: B  \t core \nmodel name\t: A\nmodel name: B core\n") == "A, B core");
  CHECK(cpu("CPU implementer : 0x61\nCPU part : 0xD4F\nCPU implementer : 0x41\nCPU part : 0xd05") ==
        "0x41:0xd05, 0x61:0xd4f; Radxa ROCK 5B");
  CHECK(cpu("processor : 0\nCPU part : 0xd05\n") == "");  // no implementer to go with it
  CHECK(cpu("model name :\nmodel name") == "");
  CHECK(cpu("model name : x\x01y\n") == "");
  CHECK(cpu("model name : \xff\n") == "");
  CHECK(cpu("model name : " + std::string(4096, 'x')).size() == 4096);
  CHECK(cpu("model name : " + std::string(4097, 'x')) == "");
  std::string thousand;
  for (int i = 0; i < 1024; i++)
    thousand += "processor : " + std::to_string(i) + "\nmodel name : M\nflags : " + std::string(1500, 'f') + "\n\n";
  CHECK(cpu(thousand) == "M");
  CHECK(factor(folder.set(kCpuinfo, std::string((16 << 20) + 1, '\n')), Kind::cpu).why == "no /proc/cpuinfo to read");
}

TEST_CASE("GPU: slices, external cards and the firmware's picture do not count") {
  const std::string port = "/sys/devices/pci0000:40/0000:40:01.1", slice = port + "/0000:41:00.4";
  const std::string one = "10de:2230/10de:1459", two = one + ", " + one;
  MachineTree sliced(kBare);
  sliced.set(slice + "/class", "0x030200\n").link(slice + "/physfn", "../0000:41:00.0");
  CHECK(value(sliced.link("/sys/bus/pci/devices/0000:41:00.4", "../../.." + slice.substr(4)), Kind::gpu) == two);
  CHECK(value(MachineTree(kBare).set(port + "/removable", "removable\n"), Kind::gpu) == one);
  CHECK(value(MachineTree(kBare).remove("/sys/class/drm"), Kind::gpu) == two);  // no driver for either
  CHECK(factor(MachineTree(kBare).remove("/proc/driver"), Kind::gpu).shown == two);
  MachineTree on_usb(kArm);
  on_usb.move("/sys/devices/platform/fb000000.gpu", "/sys/devices/platform/usb3/3-1/gpu");
  on_usb.link("/sys/class/drm/card1", "../../devices/platform/usb3/3-1/gpu/drm/card1");
  CHECK(value(on_usb, Kind::gpu) == "rockchip,display-subsystem");
  MachineTree twice(kArm);  // two cards of one controller
  twice.link("/sys/class/drm/card7", "../../devices/platform/fb000000.gpu/drm/card7");
  twice.link("/sys/devices/platform/fb000000.gpu/drm/card7/device", "../..");
  CHECK(value(twice, Kind::gpu) == "rockchip,display-subsystem, rockchip,rk3588-mali");
  CHECK(factor(MachineTree(kArm).remove("/sys/class/drm"), Kind::gpu).why == "no /sys/bus/pci/devices");
  CHECK(factor(MachineTree(kBare).remove("/sys/bus/pci").folder("/sys/bus/pci/devices").remove("/proc/driver"), Kind::gpu).why ==
        "no display controller");
}

TEST_CASE("GPU: a controller that cannot be read is not left out") {
  const std::string card = "/sys/devices/pci0000:40/0000:40:01.1/0000:41:00.0";
  CHECK(value(MachineTree(kBare).remove(card + "/vendor"), Kind::gpu) == "10de:2230/10de:1459, NVIDIA RTX A6000");
  const MachineFolder folder = MachineTree(kBare).remove("/proc/driver").write();
  for (const char* bad : {"", "0x10d", "0x10dx", "10de", "0x10de0"}) {
    const Factor gpu = factor(folder.set(card + "/subsystem_vendor", bad), Kind::gpu);
    CHECK(gpu.quality == kAbsent);
    CHECK(gpu.why == "a display controller that cannot be read");
  }
}

TEST_CASE("drive: the search goes on to the next source where one is missing") {
  const auto drive = [](const MachineTree& tree) {
    const Machine machine = read(tree);
    return value(machine, Kind::drive) + " from " + machine.factor(Kind::drive).source;
  };
  MachineTree sata(kSata);  // of the two drives of the array, sda's number is the smaller one in every source
  CHECK(drive(sata.set(kSataAta1 + "/block/sda/serial", " 0A-7F3E9 \n")) == "0A-7F3E9 from /sys/block/sda/serial");
  CHECK(drive(sata.set(kSataAta1 + "/block/sda/serial", " \n")) == "naa.500a07513f1a2b01 from /sys/block/sda/device/wwid");
  sata.remove(kSataAta1 + "/block/sda/serial").remove(kSataAta1 + "/wwid").set(kSataAta1 + "/serial", "  0000F1A2B01\n");
  CHECK(drive(sata) == "0000F1A2B01 from /sys/block/sda/device/serial");
  CHECK(drive(sata.remove(kSataAta1 + "/serial")) == "21413F1A2B01 from /run/udev/data/b8:0");
  CHECK(drive(sata.remove("/run/udev")) == "naa.500a07513f1a2b77 from /sys/block/sdb/device/wwid");

  MachineTree nvme(kBare);
  CHECK(drive(nvme.remove(kBareNvme0 + "/serial")) == "S6Z2NJ0W712345K from /run/udev/data/b259:0");
  const Factor none = factor(nvme.remove("/run/udev"), Kind::drive);  // the other drive does not stand in for it
  CHECK(none.quality == kAbsent);
  CHECK(none.why == "no serial number");
}

TEST_CASE("drive: if the root file system is unknown, the smallest serial of the internal drives") {
  struct Root {
    std::string machine, device, type, source, serial;
    bool known;
  };
  const std::string data = "naa.5000c500e1f2a3b4", array = "naa.500a07513f1a2b01";
  const Root roots[] = {
      {kBare, "0:50", "overlay", "overlay", kBareSmallest, false},
      {kBare, "0:50", "nfs4", "10.0.0.1:/srv/root", kBareSmallest, false},
      {kBare, "0:50", "zfs", "rpool/ROOT", kBareSmallest, false},
      {kBare, "0:50", "btrfs", "/dev/root", kBareSmallest, false},
      {kBare, "8:1", "ext4", "/dev/sda1", kBareSmallest, false},  // not in /sys
      {kBare, "0:50", "btrfs", "/dev/nvme0n1p2", kBareRoot, true},
      {kBare, "259:2", "ext4", "/dev/root", kBareRoot, true},
      {kSata, "0:50", "tmpfs", "none", data, false},
      {kSata, "0:50", "bcachefs", "/dev/sda2:/dev/sdb2", data, false},
      {kSata, "0:50", "btrfs", "/dev/mapper/vg0-none", data, false},
      {kSata, "0:50", "btrfs", "/dev/mapper/vg0-root", array, true},
      {kSata, "0:50", "btrfs", "/dev/vg0/root", array, true},
  };
  for (const Root& root : roots) {
    CAPTURE(root.machine);
    CAPTURE(root.source);
    MachineTree tree(root.machine);
    tree.link("/dev/vg0/root", "../dm-0").set("/dev/dm-0", "").set(kMountinfo, root_on(root.device, root.type, root.source));
    const Machine machine = read(tree);
    CHECK(value(machine, Kind::drive) == root.serial);
    CHECK((machine.factor(Kind::drive).why.find("may not be the one") == std::string::npos) == root.known);
  }
  // The last mount covers earlier ones; without any mount the root file system is unknown.
  const MachineFolder bare = MachineTree(kBare).write();
  const std::string disk = root_on("259:2", "ext4", "/dev/nvme0n1p2");
  CHECK(value(bare.set(kMountinfo, root_on("0:1", "rootfs", "none") + disk), Kind::drive) == kBareRoot);
  CHECK(value(bare.set(kMountinfo, disk + root_on("0:50", "overlay", "overlay")), Kind::drive) == kBareSmallest);
  CHECK(value(bare.set(kMountinfo, ""), Kind::drive) == kBareSmallest);
}

TEST_CASE("drive: a btrfs over several drives counts the smallest, whichever the mount names") {
  for (const char* named : {"/dev/nvme0n1p2", "/dev/nvme1n1p1"}) {
    MachineTree tree(kBare);
    const std::string devices = "/sys/fs/btrfs/0f1e2d3c-4b5a-4968-8776-655443322110/devices/";
    for (const std::string part : {"nvme0n1p2", "nvme1n1p1"}) tree.link(devices + part, "../../../../class/block/" + part);
    CHECK(value(tree.set(kMountinfo, root_on("0:33", "btrfs", named)), Kind::drive) == kBareSmallest);
  }
}

TEST_CASE("drive: removable, pluggable and remote drives do not count") {
  const std::string pci = "/sys/devices/pci0000:00/0000:00:1f.0", serial = "ABC-1234567";
  // A machine whose own drive has no serial, so that a foreign drive that counted would show.
  const auto with = [](const std::string& apply) {
    MachineTree tree(kVm);
    tree.remove(kVmVda + "/serial").remove("/sys/block/vdb").set(kMountinfo, root_on("0:50", "overlay", "overlay"));
    return value(tree.apply(apply), Kind::drive);
  };
  const auto disk = [&](const std::string& path, const std::string& more = "") {
    const std::string name = path.substr(path.rfind('/') + 1);
    return "=> /sys/block/" + name + " -> ../.." + path + "\n== " + path + "/serial\n" + serial + "\n" + more;
  };
  const std::string sdb = pci + "/host1/block/sdb";
  CHECK(with(disk(sdb)) == serial);
  CHECK(with(disk(sdb, "== " + pci + "/removable\nfixed\n")) == serial);
  CHECK(with(disk(sdb, "== " + pci + "/removable\nremovable\n")) == "");
  CHECK(with(disk(sdb, "== " + sdb + "/removable\n1\n")) == "");
  CHECK(with(disk(pci + "/usb1/1-2/host1/block/sdb")) == "");
  CHECK(with(disk("/sys/devices/platform/host1/session1/target1:0:0/1:0:0:0/block/sdb")) == "");  // iSCSI
  CHECK(with(disk(pci + "/host1/rport-1:0-0/target1:0:0/1:0:0:0/block/sdb")) == "");              // Fibre Channel
  CHECK(with(disk(pci + "/host1/block/sr0")) == "");
  CHECK(with(disk("/sys/devices/platform/mmc0/mmc0:0001/block/mmcblk0/mmcblk0boot0")) == "");
  for (const std::string name : {"loop0", "ram0", "zram0", "nbd0", "md0", "dm-0"})
    CHECK(with(disk("/sys/devices/virtual/block/" + name)) == "");

  const auto nvme = [&](const std::string& controller, const std::string& name, const std::string& more) {
    const std::string path = controller + "/" + name;
    return "== " + controller + "/serial\n" + serial + "\n=> " + path + "/device -> ..\n" + "=> /sys/block/" + name +
           " -> ../.." + path + "\n" + more;
  };
  const std::string local = pci + "/nvme/nvme0", fabric = "/sys/devices/virtual/nvme-fabrics/ctl/nvme0";
  CHECK(with(nvme(local, "nvme0n1", "== " + local + "/transport\npcie\n")) == serial);
  CHECK(with(nvme(local, "nvme0c0n1", "== " + local + "/nvme0c0n1/hidden\n1\n")) == "");
  for (const std::string transport : {"tcp", "rdma", "fc", "loop"})
    CHECK(with(nvme(fabric, "nvme0n1", "== " + fabric + "/transport\n" + transport + "\n")) == "");
  // With native multipath the controllers decide, one of which has to be in the machine.
  const std::string subsystem = "/sys/devices/virtual/nvme-subsystem/nvme-subsys0";
  const auto multipath = [&](const std::string& controller, const std::string& transport) {
    return nvme(
        subsystem, "nvme0n1",
        "=> " + subsystem + "/nvme0 -> ../../../../.." + controller + "\n== " + controller + "/transport\n" + transport + "\n");
  };
  CHECK(with(multipath(local, "pcie")) == serial);
  CHECK(with(multipath(local, "pcie") + "== " + pci + "/removable\nremovable\n") == "");
  CHECK(with(multipath(fabric, "tcp")) == "");
  CHECK(with(nvme(subsystem, "nvme0n1", "")) == "");
}

TEST_CASE("drive: serial numbers that any number of machines have are absent") {
  const MachineFolder vm = MachineTree(kVm).write(),
                      sata = MachineTree(kSata).set(kMountinfo, root_on("8:2", "ext4", "/dev/sda2")).write();
  for (const char* serial : {"QM00001",
                             "QM00042",
                             "0",
                             "1",
                             "---",
                             "0000000000000000",
                             "00000000000000000001",
                             "0x00000000",
                             "0x0000002a",
                             "ffffffff",
                             "XXXXXXXX",
                             "1234567890",
                             "123456789012",
                             "0123456789ABCDEF",
                             "To Be Filled By O.E.M.",
                             "Default string",
                             "Not Specified",
                             "Serial Number",
                             "None",
                             "VMware NVME_0000",
                             "VB1234-56789",
                             "drive-scsi0",
                             "naa.0000000000000000",
                             "t10.QEMU    QEMU HARDDISK   drive-scsi0-0-0",
                             "t10.ATA     QEMU HARDDISK",
                             "t10.ATA     QEMU HARDDISK                           QM00001",
                             "t10.ATA     VMware Virtual SATA Hard Drive          00000000000000000001"}) {
    CAPTURE(std::string(serial));
    vm.set(kVmVda + "/serial", serial);
    sata.set(kSataAta1 + "/wwid", serial);
    for (const MachineFolder* folder : {&vm, &sata}) {
      const Factor drive = factor(*folder, Kind::drive);
      CHECK(drive.quality == kAbsent);
      CHECK(drive.why == kPlaceholder);
    }
  }
  for (const char* serial :
       {"VB3f2a91c7-1b2c3d4e", "naa.6000c29f1b2a3d4e5f60718293a4b5c6", "eui.0025385b71b0a1c2", "12345679", "0x00c0ffee",
        "WD-WCC4N1234567", "vol0a1b2c3d4e5f60718", "t10.ATA     QEMU HARDDISK                           model-guard-7"}) {
    CAPTURE(std::string(serial));
    CHECK(value(vm.set(kVmVda + "/serial", serial), Kind::drive) == serial);
  }
}

TEST_CASE("UUID: values that many machines share, and values that are no UUID, are absent") {
  const MachineFolder folder = MachineTree(kBare).set(kDmi + "/product_uuid", "").write();
  const auto uuid = [&](const std::string& text) { return factor(folder.set(kDmi + "/product_uuid", text), Kind::uuid); };
  for (const char* text :
       {"03000200-0400-0500-0006-000700080009", "00020003-0004-0005-0006-000700080009", "00000000-0000-0000-0000-000000000000",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "fefefefe-fefe-fefe-fefe-fefefefefefe", "12345678-1234-5678-90AB-CDDEEFAABBCC",
        "00000000-0000-0000-0000-000000000001", "01234567-89ab-cdef-0123-456789abcdef", "4C4C4544-0000-2010-8020-80C04F202020",
        "44454C4C-0000-1020-8020-80C04F202020"}) {
    CAPTURE(std::string(text));
    CHECK(uuid(text).quality == kAbsent);
    CHECK(uuid(text).why == kPlaceholder);
  }
  for (const char* text : {"", "Not Settable", "7a3e5d20-91c4-11ec-8f6b-04421a2f9c1", "7a3e5d20-91c4-11ec-8f6b-04421a2f9c11x",
                           "7a3e5d20091c4-11ec-8f6b-04421a2f9c11", "7a3e5d20-91c4-11ec-8f6b-04421a2f9c1g"})
    CHECK(uuid(text).why == "not a UUID");
  CHECK(uuid("7A3E5D20-91C4-11EC-8F6B-04421A2F9C11\n").shown == "7a3e5d20-91c4-11ec-8f6b-04421a2f9c11");
  CHECK(factor(MachineTree(kBare).remove(kDmi + "/product_uuid"), Kind::uuid).why == "unset by the maker");
}
