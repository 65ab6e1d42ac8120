// The serial number of the primary drive (docs/format.md, section 12).
#include "hardware/ascii.h"
#include "hardware/readers.h"

namespace mg::hardware {
namespace {

const std::string kBlock = "/sys/block/";

struct Serial {
  std::string value, source;
};

// udev reads the serial number as root, and keeps it in a database that everyone may read.
Serial from_udev(const SystemTree& tree, const std::string& name) {
  const std::string device = tree.attribute(kBlock + name + "/dev");
  if (device.empty() || contains(device, "/")) return {};
  const std::string source = "/run/udev/data/b" + device;
  for (const std::string& line : split(tree.read(source).value_or(""), '\n')) {
    const std::string_view key = "E:ID_SERIAL_SHORT=";
    if (starts_with(line, key)) return {std::string(trim(std::string_view(line).substr(key.size()))), source};
  }
  return {};
}

// The first that is not empty. For SCSI drives `device/serial` comes after `device/wwid`, because only newer kernels have the former.
Serial serial_of(const SystemTree& tree, const std::string& name) {
  const bool own_first = starts_with(name, "nvme") || starts_with(name, "mmcblk");
  for (const char* file : {own_first ? "/device/serial" : "", "/serial", "/device/wwid", "/device/serial"}) {
    if (!*file) continue;
    const std::string source = kBlock + name + file;
    if (std::string value = tree.attribute(source); !value.empty()) return {std::move(value), source};
  }
  return from_udev(tree, name);
}

std::string model_of(const SystemTree& tree, const std::string& name) {
  const std::string model = tree.attribute(kBlock + name + "/device/model");
  return collapse_spaces(model.empty() ? tree.attribute(kBlock + name + "/device/name") : model);  // MMC has a name
}

}  // namespace

Reading read_drive(const System& system) {
  Reading drive;
  drive.source = "/sys/block";
  if (!system.tree.exists(drive.source)) {
    drive.why = system.absence_of(drive.source);
    return drive;
  }
  const PrimaryDrives primary = primary_drives(system);
  if (primary.names.empty()) {
    drive.why = system.absence_of("internal drive");
    return drive;
  }
  bool placeholder = false;
  std::string chosen;
  for (const std::string& name : primary.names) {
    Serial serial = serial_of(system.tree, name);
    if (serial.value.empty()) continue;
    if (is_placeholder_serial(serial.value)) {
      placeholder = true;
      if (drive.value.empty()) drive.source = std::move(serial.source);
    } else if (drive.value.empty() || serial.value < drive.value) {
      drive.value = std::move(serial.value);
      drive.source = std::move(serial.source);
      chosen = name;
    }
  }
  if (drive.value.empty()) {
    drive.why = placeholder ? kPlaceholder : "no serial number";
    return drive;
  }
  const SystemTree::Access access = system.tree.access();
  const std::string model = model_of(system.tree, chosen);
  system.tree.set_access(access);  // the value does not depend on the model
  drive.shown = model.empty() ? drive.value : drive.value + " (" + model + ")";
  const bool short_serial = starts_with(chosen, "mmcblk");
  drive.quality = short_serial ? Quality::weak : Quality::strong;
  drive.why = short_serial ? "a serial number of only 32 bits" : "the maker's number for this drive";
  if (!primary.hold_root) drive.why += ", which may not be the one with the root file system";
  return drive;
}

}  // namespace mg::hardware
