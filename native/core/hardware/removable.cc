#include "hardware/ascii.h"
#include "hardware/readers.h"

namespace mg::hardware {

// Each bus on the way to the device is a folder of its path. The kernel marks PCI devices behind an external port as "removable".
bool is_pluggable(const SystemTree& tree, const std::string& device) {
  for (std::string at = device; starts_with(at, "/sys/devices/"); at = parent(at)) {
    const std::string name = base(at);
    if (starts_with(name, "usb") && name.size() > 3 && is_digit(name[3])) return true;
    if (tree.attribute(at + "/removable") == "removable") return true;
  }
  return false;
}

}  // namespace mg::hardware
