// Display controllers and accelerators. PCI lists all of them, independent of the loaded drivers and of the numbers of DRM.
#include <algorithm>
#include <map>
#include <set>

#include "hardware/ascii.h"
#include "hardware/readers.h"

namespace mg::hardware {
namespace {

constexpr const char *kPci = "/sys/bus/pci/devices", *kNvidia = "/proc/driver/nvidia", *kDrm = "/sys/class/drm";

struct Controller {
  std::string value;  // empty: cannot be read
  std::string name;   // for people; empty: the value
  const char* source;
};

// "KEY=…" or "Key: …" at the start of a line.
std::string field(const std::string& text, std::string_view key) {
  for (const std::string& line : split(text, '\n')) {
    if (starts_with(line, key)) return collapse_spaces(std::string_view(line).substr(key.size()));
  }
  return "";
}

// "vvvv:dddd/ssss:ssss", or "" where one of the four is missing.
std::string pci_ids(const SystemTree& tree, const std::string& device) {
  constexpr struct {
    const char *before, *file;
  } kIds[] = {{"", "vendor"}, {":", "device"}, {"/", "subsystem_vendor"}, {":", "subsystem_device"}};
  std::string out;
  for (const auto& [before, file] : kIds) {
    const std::string id = lower(tree.attribute(device + "/" + file));
    if (id.size() != 6 || !starts_with(id, "0x") || !std::all_of(id.begin() + 2, id.end(), is_hex)) return "";
    out += before + id.substr(2);
  }
  return out;
}

using ByAddress = std::map<std::string, Controller>;

ByAddress pci_controllers(const SystemTree& tree) {
  ByAddress found;
  for (const std::string& address : tree.list(kPci)) {
    const std::string device = tree.resolve(std::string(kPci) + "/" + address);
    // Display controllers and processing accelerators: a card for training often has no display.
    const std::string kind = tree.attribute(device + "/class");
    if ((!starts_with(kind, "0x03") && !starts_with(kind, "0x12")) || is_pluggable(tree, device)) continue;
    if (tree.exists(device + "/physfn")) continue;  // a virtual function: a driver creates and removes it
    found[address] = {pci_ids(tree, device), "", kPci};
  }
  return found;
}

// A container may show NVIDIA's driver and not the bus.
void add_nvidia(const SystemTree& tree, ByAddress& found) {
  const std::string folder = std::string(kNvidia) + "/gpus/";
  for (const std::string& address : tree.list(folder)) {
    const std::string model = field(tree.read(folder + address + "/information").value_or(""), "Model:");
    const auto known = found.find(address);
    if (known != found.end() && !known->second.value.empty()) known->second.name = model;
    else if (known != found.end() || !tree.exists(std::string(kPci) + "/" + address)) found[address] = {model, "", kNvidia};
  }
}

// The device tree lists controllers that are on no bus.
std::vector<Controller> platform_controllers(const SystemTree& tree) {
  std::vector<Controller> found;
  std::set<std::string> devices;
  for (const std::string& card : tree.list(kDrm)) {
    if (!starts_with(card, "card") || card.size() == 4 || !std::all_of(card.begin() + 4, card.end(), is_digit)) continue;
    const std::string device = tree.resolve(std::string(kDrm) + "/" + card + "/device");
    const std::string event = tree.read(device + "/uevent").value_or("");
    const std::string compatible = field(event, "OF_COMPATIBLE_0=");
    // The firmware's frame buffer exists only until the driver of the real controller loads.
    if (compatible.empty() || compatible == "simple-framebuffer" || !field(event, "PCI_SLOT_NAME=").empty()) continue;
    if (is_pluggable(tree, device) || !devices.insert(device).second) continue;
    found.push_back({compatible, "", kDrm});
  }
  return found;
}

}  // namespace

Reading read_gpu(const System& system) {
  Reading gpu;
  gpu.source = kPci;
  ByAddress on_pci = pci_controllers(system.tree);
  const SystemTree::Access access = system.tree.access();
  const bool complete =
      !on_pci.empty() && std::all_of(on_pci.begin(), on_pci.end(), [](const auto& found) { return !found.second.value.empty(); });
  add_nvidia(system.tree, on_pci);
  if (complete) system.tree.set_access(access);  // NVIDIA's driver then adds names for people alone
  std::vector<Controller> controllers = platform_controllers(system.tree);
  for (auto& [address, controller] : on_pci) controllers.push_back(std::move(controller));
  if (controllers.empty()) {
    const bool can_see = system.tree.exists(kPci) || system.tree.exists(kDrm);
    gpu.why = can_see ? "no display controller" : system.absence_of(kPci);
    return gpu;
  }
  std::sort(controllers.begin(), controllers.end(), [](const Controller& a, const Controller& b) { return a.value < b.value; });
  if (controllers.front().value.empty()) {
    gpu.why = "a display controller that cannot be read";
    return gpu;
  }
  std::vector<std::string> values, shown;
  std::set<std::string> sources;
  for (const Controller& controller : controllers) {
    values.push_back(controller.value);
    shown.push_back(controller.name.empty() ? controller.value : controller.name + " (" + controller.value + ")");
    sources.insert(controller.source);
  }
  gpu.value = join(values, ", ");
  gpu.shown = join(shown, ", ");
  gpu.source = join(sources, ", ");
  gpu.quality = Quality::weak;
  gpu.why = "many machines have the same";
  return gpu;
}

}  // namespace mg::hardware
