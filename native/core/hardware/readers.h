// One reader for each factor, and the facts that all readers share. A reader never guesses: a value that is not certain is absent, with the
// reason. Readings are plain strings: an attacker who reads this process's memory can read the same files. The canonical values made of
// them are kept in the Secret of a Factor.
#pragma once
#include <string>
#include <vector>

#include "hardware/machine.h"
#include "hardware/system_tree.h"

namespace mg::hardware {

// A line of /proc/self/mountinfo.
struct Mount {
  std::string device;  // "major:minor"; major 0 is not a block device
  std::string point, type, source;
};

struct System {
  SystemTree tree;
  std::string cpuinfo;  // empty where it cannot be read
  std::vector<Mount> mounts;
  SystemTree::Access cpuinfo_access, mounts_access;  // of reading these two
  bool container = false;
  std::string virtual_machine;

  // "container: no /sys/block": why something cannot be seen here.
  std::string absence_of(const std::string& what) const { return (container ? "container: no " : "no ") + what; }
};

// --- system.cc
System read_system(const std::string& root);

struct Reading {
  std::string source;  // as in Factor
  std::string why;
  std::string value;  // empty: absent
  std::string shown;  // empty: the value itself
  Quality quality = Quality::absent;
  bool needs_root = false;  // besides the files that the reader used
};
// --- read_*.cc. machine.cc makes a reading absent if it depends on a file that this user may not read.
Reading read_cpu(const System& system);
Reading read_gpu(const System& system);
Reading read_memory(const System& system);
Reading read_drive(const System& system);
Reading read_uuid(const System& system);

// Whether a device of /sys/devices is on USB or behind a port for devices that come and go.
// --- removable.cc
bool is_pluggable(const SystemTree& tree, const std::string& device);

// The block devices that serve as primary drive (docs/format.md, section 12), as names in /sys/block.
struct PrimaryDrives {
  std::vector<std::string> names;  // ascending
  bool hold_root = false;          // false: all internal drives, because the root file system is on none of them or unknown
};
// --- block_devices.cc
PrimaryDrives primary_drives(const System& system);

// Serial numbers and UUIDs that makers, hypervisors and firmware leave at a default: "QM00001", "To Be Filled By O.E.M.", zeros.
// --- placeholders.cc
bool is_placeholder_serial(const std::string& serial);
bool is_placeholder_uuid(const std::string& uuid);  // lower case, 8-4-4-4-12
constexpr const char* kPlaceholder = "the same on many machines (cloned image or unset by the maker)";

}  // namespace mg::hardware
