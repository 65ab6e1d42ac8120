// Recognises bare metal, virtual machines and containers, by files alone, so that a recorded machine gives the same result.
#include <algorithm>

#include "hardware/ascii.h"
#include "hardware/readers.h"

namespace mg::hardware {
namespace {

constexpr const char* kUnnamed = "unknown hypervisor";

// The kernel writes white space in mountinfo as an octal escape: "\040".
std::string unescaped(const std::string& field) {
  const auto octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string out;
  for (size_t i = 0; i < field.size(); i++) {
    if (field[i] == '\\' && i + 3 < field.size() && octal(field[i + 1]) && octal(field[i + 2]) && octal(field[i + 3])) {
      out += char((field[i + 1] - '0') * 64 + (field[i + 2] - '0') * 8 + (field[i + 3] - '0'));
      i += 3;
    } else {
      out += field[i];
    }
  }
  return out;
}

// ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG…] - TYPE SOURCE OPTIONS
std::vector<Mount> read_mounts(const SystemTree& tree) {
  std::vector<Mount> mounts;
  for (const std::string& line : split(tree.read("/proc/self/mountinfo", SystemTree::kLarge).value_or(""), '\n')) {
    const std::vector<std::string> fields = split(line, ' ');
    size_t dash = 6;
    while (dash < fields.size() && fields[dash] != "-") dash++;
    if (dash + 2 >= fields.size()) continue;
    mounts.push_back({fields[2], unescaped(fields[4]), unescaped(fields[dash + 1]), unescaped(fields[dash + 2])});
  }
  return mounts;
}

bool in_container(const SystemTree& tree, const std::vector<Mount>& mounts) {
  for (const char* mark : {"/.dockerenv", "/run/.containerenv", "/run/systemd/container", "/run/host/container-manager"}) {
    if (tree.exists(mark)) return true;
  }
  const std::string groups = tree.read("/proc/1/cgroup").value_or("");
  for (const char* manager : {"/docker", "/kubepods", "/containerd", "/crio", "/libpod", "/lxc", "/ecs/", "/garden"}) {
    if (contains(groups, manager)) return true;
  }
  // Engines mount files of their own over both. Hosts too mount over /etc/resolv.conf or one of the two: VPNs, network namespaces.
  const auto is_mounted = [&](const char* file) {
    return std::any_of(mounts.begin(), mounts.end(), [&](const Mount& mount) { return mount.point == file; });
  };
  return is_mounted("/etc/hostname") && is_mounted("/etc/hosts");
}

// Texts of hypervisors in the DMI tables: each is a part of "VENDOR|PRODUCT". Amazon's bare-metal instances count as virtual too: their
// drives are network volumes.
constexpr struct {
  const char* part;
  const char* name;
} kHypervisors[] = {
    {"Amazon EC2", "Amazon EC2"},
    {"Google Compute Engine", "Google Compute Engine"},
    {"Microsoft Corporation|Virtual Machine", "Hyper-V"},
    {"VMware", "VMware"},
    {"VirtualBox", "VirtualBox"},
    {"innotek", "VirtualBox"},
    {"Alibaba Cloud", "Alibaba Cloud"},
    {"OpenStack", "OpenStack"},
    {"RHEV", "KVM"},
    {"KubeVirt", "KVM"},
    {"|KVM", "KVM"},
    {"|AHV", "Nutanix"},
    {"DigitalOcean", "KVM"},
    {"Hetzner|vServer", "KVM"},
    {"Parallels", "Parallels"},
    {"Apple Virtualization", "Apple Virtualization"},
    {"BHYVE", "bhyve"},
    {"Xen", "Xen"},
    {"QEMU", "QEMU"},
    {"Bochs", "QEMU"},
};

bool flagged(const std::string& cpuinfo) {
  for (const std::string& line : split(cpuinfo, '\n')) {
    if (starts_with(line, "flags")) return contains(line + " ", " hypervisor ");
  }
  return false;
}

std::string name_hypervisor(const SystemTree& tree, const std::string& cpuinfo) {
  // Xen's first domain drives the real hardware, though its processor says "hypervisor".
  if (contains(tree.attribute("/proc/xen/capabilities"), "control_d")) return "";
  const std::string dmi = tree.attribute("/sys/class/dmi/id/sys_vendor") + "|" + tree.attribute("/sys/class/dmi/id/product_name");
  for (const auto& hypervisor : kHypervisors) {
    if (contains(dmi, hypervisor.part)) return hypervisor.name;
  }
  if (tree.attribute("/sys/hypervisor/type") == "xen") return "Xen";
  const std::string announced = tree.read("/proc/device-tree/hypervisor/compatible").value_or("");
  if (starts_with(announced, "linux,kvm")) return "KVM";
  if (starts_with(announced, "xen,")) return "Xen";
  if (!announced.empty()) return kUnnamed;
  // QEMU and other monitors for KVM show this board on ARM.
  if (starts_with(tree.read("/proc/device-tree/compatible").value_or(""), "linux,dummy-virt")) return "KVM";
  return flagged(cpuinfo) ? kUnnamed : "";
}

}  // namespace

System read_system(const std::string& root) {
  System system{SystemTree(root), {}, {}, {}, {}, false, {}};
  system.cpuinfo = system.tree.read("/proc/cpuinfo", SystemTree::kLarge).value_or("");
  system.cpuinfo_access = system.tree.access();
  system.tree.set_access({});
  system.mounts = read_mounts(system.tree);
  system.mounts_access = system.tree.access();
  system.container = in_container(system.tree, system.mounts);
  system.virtual_machine = name_hypervisor(system.tree, system.cpuinfo);
  return system;
}

}  // namespace mg::hardware
