#include "hardware/machine.h"

#include <algorithm>
#include <cstdlib>

#include "hardware/ascii.h"
#include "hardware/readers.h"
#include "hardware/tpm.h"
#include "text/text.h"

namespace mg::hardware {
namespace {

constexpr size_t kMaxValue = 4096;

// One line of text. Broken firmware may give any bytes as a serial number.
bool is_value(const std::string& s) {
  const auto printable = [](char c) { return uint8_t(c) >= 0x20 && c != 0x7f; };
  return s.size() <= kMaxValue && std::all_of(s.begin(), s.end(), printable) && text::is_utf8(s);
}

// The reading for every user, or none. A reader that may not read a file goes on to the next source: there this user would get another
// value than root.
Reading read_alike(const System& system, Reading (*reader)(const System&), SystemTree::Access before = {}) {
  system.tree.set_access(std::move(before));
  Reading reading = reader(system);
  const SystemTree::Access& access = system.tree.access();
  if (!access.root_only.empty()) reading.needs_root = true;
  if (access.refused.empty()) return reading;
  Reading absent;
  absent.source = access.refused;
  absent.needs_root = reading.needs_root;
  absent.why = reading.needs_root ? "readable by root alone" : "this user may not read it";
  return absent;
}

Reading read_tpm(const ReadOptions& options, Status* failed) {
  Reading reading;
  reading.source = "TPM";
  reading.needs_root = tpm::needs_root();
  if (!options.tpm) {
    reading.why = "not asked for";
    return reading;
  }
  const auto name = tpm::endorsement_name(options.cancelled);
  if (!name.ok()) {
    if (name.status().code == Code::OUT_OF_MEMORY || name.status().code == Code::ABORT_ERR) *failed = name.status();
    reading.why = name.status().what;
    return reading;
  }
  reading.value = text::hex(View(*name));
  reading.quality = Quality::strong;
  reading.why = "unique to this TPM, but public: users of the TPM can read it";
  return reading;
}

Result<Factor> to_factor(Kind kind, Reading reading, const System& system) {
  Factor factor;
  factor.kind = kind;
  factor.source = std::move(reading.source);
  factor.needs_root = reading.needs_root;
  factor.why = std::move(reading.why);
  if (reading.value.empty()) return factor;
  if (!is_value(reading.value)) {
    factor.why = "not a line of text";
    return factor;
  }
  auto value = Secret::copy(View(reading.value));
  if (!value.ok()) return value.status();
  factor.value = std::move(*value);
  const bool readable = !reading.shown.empty() && is_value(reading.shown);
  factor.shown = readable ? std::move(reading.shown) : std::move(reading.value);
  factor.quality = reading.quality;
  if (!system.virtual_machine.empty()) {
    const bool unique = kind == Kind::drive || kind == Kind::uuid || kind == Kind::tpm;
    factor.quality = Quality::is_virtual;
    factor.why = "a virtual machine (" + system.virtual_machine + ")" + (unique ? ": its clones may have the same" : "");
  }
  return factor;
}

// 32 lower-case hex digits (machine-id(5)). Before the first boot of an image the file is empty or holds "uninitialized".
std::string read_machine_id(const SystemTree& tree) {
  const std::string id = tree.attribute("/etc/machine-id");
  return id.size() == 32 && std::all_of(id.begin(), id.end(), is_hex) ? id : "";
}

}  // namespace

const char* kind_name(Kind kind) {
  switch (kind) {
    case Kind::cpu: return "cpu";
    case Kind::gpu: return "gpu";
    case Kind::memory: return "memory";
    case Kind::drive: return "drive";
    case Kind::uuid: return "uuid";
    case Kind::tpm: return "tpm";
  }
  return "";
}

const char* quality_name(Quality quality) {
  switch (quality) {
    case Quality::strong: return "strong";
    case Quality::weak: return "weak";
    case Quality::is_virtual: return "virtual";
    case Quality::absent: return "absent";
  }
  return "";
}

Result<Machine> read_machine(const ReadOptions& options) {
  const System system = read_system(options.root);
  Status failed;
  Reading readings[] = {read_alike(system, read_cpu, system.cpuinfo_access),
                        read_alike(system, read_gpu),
                        read_alike(system, read_memory),
                        read_alike(system, read_drive, system.mounts_access),
                        read_alike(system, read_uuid),
                        read_tpm(options, &failed)};  // in the order of kKinds
  if (!failed.ok()) return failed;
  Machine machine;
  for (const Kind kind : kKinds) {
    const size_t i = size_t(kind) - 1;
    auto factor = to_factor(kind, std::move(readings[i]), system);
    if (!factor.ok()) return factor.status();
    machine.factors[i] = std::move(*factor);
  }
  machine.container = system.container;
  machine.virtual_machine = system.virtual_machine;
  machine.machine_id = read_machine_id(system.tree);
  return machine;
}

std::string system_root() {
#ifdef MG_TEST_MACHINE
  const char* folder = std::getenv("MODEL_GUARD_TEST_MACHINE");
  return folder ? folder : "";
#else
  return "";
#endif
}

}  // namespace mg::hardware
