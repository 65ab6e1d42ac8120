// Recorded machines to bind to, and to be.
#pragma once
#include <doctest/doctest.h>

#include <cstdlib>

#include "container/slots.h"
#include "hardware/binding.h"
#include "support/machine_tree.h"

namespace bound_test {

using namespace mg;
using mg::test::MachineFolder;
using mg::test::MachineTree;

// Makes this process take `tree` for its machine while it lives (a build with MG_TEST_MACHINE only).
class On {
 public:
  explicit On(const MachineTree& tree) : folder_(tree.write()) { setenv("MODEL_GUARD_TEST_MACHINE", folder_.path().c_str(), 1); }
  ~On() { unsetenv("MODEL_GUARD_TEST_MACHINE"); }
  On(const On&) = delete;
  On& operator=(const On&) = delete;

 private:
  MachineFolder folder_;
};

inline hardware::Bound bind_to(const MachineTree& tree, const hardware::Policy& policy = {}) {
  const On on(tree);
  auto machine = hardware::read_machine({hardware::system_root(), false});
  REQUIRE(machine.ok());
  auto bound = hardware::bind(*machine, policy);
  REQUIRE_MESSAGE(bound.ok(), bound.status().what);
  return std::move(*bound);
}

inline container::Recipient machine_recipient(hardware::Bound bound) {
  return container::Recipient{std::nullopt, nullptr, std::make_shared<const hardware::Binding>(std::move(bound.binding))};
}

}  // namespace bound_test
