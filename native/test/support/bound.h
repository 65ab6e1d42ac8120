// Recorded machines to bind to, and to be.
#pragma once
#include <doctest/doctest.h>

#include <cstdlib>

#include "hardware/binding.h"
#include "recipients/slots.h"
#include "support/machine_tree.h"

namespace bound_test {

using namespace mg;
using mg::test::MachineFolder;
using mg::test::MachineTree;

// Makes this process take `tree` for its machine while it lives (a build with MG_TEST_MACHINE only).
class MachineOverride {
 public:
  explicit MachineOverride(const MachineTree& tree) : folder_(tree.write()) {
    setenv("MODEL_GUARD_TEST_MACHINE", folder_.path().c_str(), 1);
  }
  ~MachineOverride() { unsetenv("MODEL_GUARD_TEST_MACHINE"); }
  MachineOverride(const MachineOverride&) = delete;
  MachineOverride& operator=(const MachineOverride&) = delete;

 private:
  MachineFolder folder_;
};

inline hardware::NewBinding bind_to(const MachineTree& tree, const hardware::Policy& policy = {}) {
  const MachineOverride on(tree);
  auto machine = hardware::read_machine({hardware::system_root(), false});
  REQUIRE(machine.ok());
  auto bound = hardware::bind(*machine, policy);
  REQUIRE_MESSAGE(bound.ok(), bound.status().what);
  return std::move(*bound);
}

inline recipients::Recipient machine_recipient(const hardware::NewBinding& bound) {
  auto recipient = recipients::public_recipient(*recipients::find_kind("hardware"), hardware::encode_binding(bound.binding));
  REQUIRE_MESSAGE(recipient.ok(), recipient.status().what);
  return *recipient;
}

}  // namespace bound_test
