// Reads the factors of this machine from files of the kernel, without a subprocess or a shell. Values are canonical (docs/format.md,
// section 12); `shown` is the form for people. Both leave native memory only on request.
#pragma once
#include <array>
#include <atomic>
#include <string>

#include "memory/secret.h"
#include "status.h"

namespace mg::hardware {

// The numbers stand in helper data and never change.
enum class Kind : uint8_t { cpu = 1, gpu = 2, memory = 3, drive = 4, uuid = 5, tpm = 6 };
constexpr Kind kKinds[] = {Kind::cpu, Kind::gpu, Kind::memory, Kind::drive, Kind::uuid, Kind::tpm};
const char* kind_name(Kind kind);

// strong: unique to this machine and hard to guess. weak: many machines share it. is_virtual: a hypervisor made it, or may copy it.
enum class Quality : uint8_t { strong, weak, is_virtual, absent };
const char* quality_name(Quality quality);

struct Factor {
  Kind kind = Kind::cpu;
  Quality quality = Quality::absent;
  std::string source;       // where it was read, or would be: a path without the reader's root, or "TPM"
  bool needs_root = false;  // root alone can read it: it is absent for other users
  std::string why;          // one clause about the quality: "a virtual machine", "container: no /sys/block", "no serial number"
  Secret value;             // canonical, UTF-8, 1 to 4,096 bytes; empty where absent
  std::string shown;        // for people; empty where absent

  bool present() const { return quality != Quality::absent; }
};

struct Machine {
  std::array<Factor, 6> factors;  // in the order of kKinds
  bool container = false;
  std::string virtual_machine;  // "KVM", "VMware", …; empty on bare metal
  std::string machine_id;       // shown, never counted; empty where there is none

  const Factor& factor(Kind kind) const { return factors[size_t(kind) - 1]; }
};

struct ReadOptions {
  std::string root;  // "" is this machine; else a folder that holds /proc, /sys, …
  bool tpm = false;  // also ask the TPM for its endorsement key's name, which can take seconds
  const std::atomic<bool>* cancelled = nullptr;
};
// A factor that cannot be read is absent, with the reason in `why`. Errors: OUT_OF_MEMORY, ABORT_ERR.
Result<Machine> read_machine(const ReadOptions& options);

// "" in every release. A build for tests (MG_TEST_MACHINE) takes the folder in MODEL_GUARD_TEST_MACHINE.
std::string system_root();

}  // namespace mg::hardware
