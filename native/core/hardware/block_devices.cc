// Finds the primary drives: from the root file system down through partitions, LUKS, LVM and RAID to drives that are part of the machine.
#include <algorithm>
#include <set>

#include "hardware/ascii.h"
#include "hardware/readers.h"

namespace mg::hardware {
namespace {

constexpr int kMaxLayers = 16;
const std::string kBlock = "/sys/block/", kAnyBlock = "/sys/class/block/";  // the second lists partitions too

using Paths = std::set<std::string>;  // folders of /sys/devices

bool all_digits(std::string_view s) { return !s.empty() && std::all_of(s.begin(), s.end(), is_digit); }

// The block device that a mount's source names. Below /dev/mapper stand names of the device mapper, not of the kernel.
std::string device_of(const SystemTree& tree, const std::string& source) {
  const std::string mapper = "/dev/mapper/";
  if (starts_with(source, mapper)) {
    for (const std::string& name : tree.list(kBlock)) {
      if (tree.attribute(kBlock + name + "/dm/name") == source.substr(mapper.size())) return tree.resolve(kBlock + name);
    }
  }
  if (!starts_with(source, "/dev/")) return "";
  const std::string node = tree.resolve(source);  // /dev/VOLUME_GROUP/VOLUME and /dev/disk/by-… are links
  const std::string name = node.empty() ? source.substr(5) : base(node);
  return contains(name, "/") ? "" : tree.resolve(kAnyBlock + name);
}

// The block devices that hold the root file system: one, or each that a btrfs spans. None if they are unknown.
Paths root_devices(const System& system) {
  const SystemTree& tree = system.tree;
  const Mount* root = nullptr;
  for (const Mount& mount : system.mounts) {
    if (mount.point == "/") root = &mount;  // the last one covers the earlier ones
  }
  if (!root) return {};
  const bool anonymous = starts_with(root->device, "0:");  // btrfs, and file systems without a block device
  const std::string device = anonymous ? device_of(tree, root->source) : tree.resolve("/sys/dev/block/" + root->device);
  if (device.empty()) return {};
  if (root->type == "btrfs") {
    const std::string all = "/sys/fs/btrfs/";
    for (const std::string& id : tree.list(all)) {
      Paths members;
      for (const std::string& name : tree.list(all + id + "/devices")) members.insert(tree.resolve(kAnyBlock + name));
      if (members.count(device)) return members;
    }
  }
  return {device};
}

// Adds the drives below a block device.
void descend(const SystemTree& tree, const std::string& device, Paths& drives, Paths& seen, int layers = 0) {
  if (device.empty() || layers == kMaxLayers || !seen.insert(device).second) return;
  if (tree.exists(device + "/partition")) return descend(tree, parent(device), drives, seen, layers + 1);
  const std::vector<std::string> below = tree.list(device + "/slaves");
  if (below.empty()) drives.insert(device);
  for (const std::string& name : below) descend(tree, tree.resolve(kAnyBlock + name), drives, seen, layers + 1);
}

// The controllers of an NVMe drive. With native multipath the drive is a virtual device below a subsystem that links to them.
std::vector<std::string> controllers(const SystemTree& tree, const std::string& drive) {
  const std::string above = tree.resolve(drive + "/device");
  if (!starts_with(base(above), "nvme-subsys")) return {above};
  std::vector<std::string> found;
  for (const std::string& name : tree.list(above)) {
    if (starts_with(name, "nvme") && all_digits(std::string_view(name).substr(4)))
      found.push_back(tree.resolve(above + "/" + name));
  }
  return found;
}

// On iSCSI or Fibre Channel: both are folders of the path.
bool on_network(const std::string& device) {
  for (const std::string& part : split(device, '/')) {
    if (starts_with(part, "rport-") || (starts_with(part, "session") && all_digits(std::string_view(part).substr(7))))
      return true;
  }
  return false;
}

bool is_local_controller(const SystemTree& tree, const std::string& controller) {
  for (const char* network : {"tcp", "rdma", "fc", "loop"}) {
    if (tree.attribute(controller + "/transport") == network) return false;
  }
  return !controller.empty() && !is_pluggable(tree, controller);
}

// Part of the machine: neither removable, pluggable, virtual nor on a network.
bool is_internal(const SystemTree& tree, const std::string& drive) {
  const std::string name = base(drive);
  if (tree.attribute(drive + "/removable") == "1" || tree.attribute(drive + "/hidden") == "1") return false;
  if (starts_with(name, "nvme")) {
    const auto all = controllers(tree, drive);
    return std::any_of(all.begin(), all.end(), [&](const std::string& one) { return is_local_controller(tree, one); });
  }
  if (starts_with(name, "mmcblk") && !all_digits(std::string_view(name).substr(6)))
    return false;  // mmcblk0boot0: an area of mmcblk0
  // Loop devices, RAM disks, zram, network block devices, and stacks whose lower devices cannot be seen; then optical drives.
  if (starts_with(drive, "/sys/devices/virtual/") || starts_with(name, "sr")) return false;
  return !on_network(drive) && !is_pluggable(tree, drive);
}

}  // namespace

PrimaryDrives primary_drives(const System& system) {
  const SystemTree& tree = system.tree;
  const auto internal = [&](const Paths& drives) {
    std::vector<std::string> names;
    for (const std::string& drive : drives) {
      if (is_internal(tree, drive)) names.push_back(base(drive));
    }
    std::sort(names.begin(), names.end());
    return names;
  };
  Paths drives, seen;
  for (const std::string& device : root_devices(system)) descend(tree, device, drives, seen);
  if (auto names = internal(drives); !names.empty()) return {std::move(names), true};
  // A system that was started from a USB stick or over a network still runs on this machine.
  Paths all;
  for (const std::string& name : tree.list(kBlock)) {
    if (tree.list(kBlock + name + "/slaves").empty()) all.insert(tree.resolve(kBlock + name));
  }
  return {internal(all), false};
}

}  // namespace mg::hardware
