// The processor's model. Programs cannot read its serial number, where it has one.
#include <set>

#include "hardware/ascii.h"
#include "hardware/readers.h"

namespace mg::hardware {
namespace {

constexpr const char* kCpuinfo = "/proc/cpuinfo";

// The device tree's name for the board; without it every board with the same cores would look alike.
std::string board(const SystemTree& tree) {
  for (const char* path : {"/proc/device-tree/model", "/sys/firmware/devicetree/base/model"}) {
    auto model = tree.read(path);
    if (!model) continue;
    if (!model->empty() && model->back() == '\0') model->pop_back();
    return *model;
  }
  return "";
}

}  // namespace

Reading read_cpu(const System& system) {
  Reading cpu;
  cpu.source = kCpuinfo;
  if (system.cpuinfo.empty()) {
    cpu.why = system.absence_of(std::string(kCpuinfo) + " to read");
    return cpu;
  }
  std::set<std::string> models, parts;
  std::string implementer;
  for (const std::string& line : split(system.cpuinfo, '\n')) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string_view key = trim(std::string_view(line).substr(0, colon));
    const std::string value = collapse_spaces(std::string_view(line).substr(colon + 1));
    if (value.empty()) continue;
    if (key == "model name") models.insert(value);
    if (key == "CPU implementer") implementer = lower(value);
    if (key == "CPU part" && !implementer.empty()) parts.insert(implementer + ":" + lower(value));
  }
  cpu.value = join(models.empty() ? parts : models, ", ");
  if (cpu.value.empty()) {
    cpu.why = "no model name";
    return cpu;
  }
  if (models.empty()) {
    if (const std::string model = board(system.tree); !model.empty()) cpu.value += "; " + model;
  }
  cpu.quality = Quality::weak;
  cpu.why = "many machines have the same";
  return cpu;
}

}  // namespace mg::hardware
