// Machines made up for tests of binding: a value for each factor, none read from anywhere.
#pragma once
#include <doctest/doctest.h>

#include <map>
#include <string>

#include "hardware/binding.h"

namespace mg::test {

using Values = std::map<hardware::Kind, std::string>;

inline hardware::Machine machine_of(const Values& values) {
  hardware::Machine machine;
  for (const hardware::Kind kind : hardware::kKinds) {
    hardware::Factor& factor = machine.factors[size_t(kind) - 1];
    factor.kind = kind;
    factor.why = "not in this test";
    const auto value = values.find(kind);
    if (value == values.end()) continue;
    auto secret = Secret::copy(View(value->second));
    REQUIRE(secret.ok());
    factor.value = std::move(*secret);
    const bool strong = kind == hardware::Kind::drive || kind == hardware::Kind::uuid || kind == hardware::Kind::tpm;
    factor.quality = strong ? hardware::Quality::strong : hardware::Quality::weak;
  }
  return machine;
}

inline const Values kFour = {{hardware::Kind::cpu, "AMD EPYC 7402P 24-Core Processor"},
                             {hardware::Kind::gpu, "10de:2204/10de:1454"},
                             {hardware::Kind::memory, "65536 MiB"},
                             {hardware::Kind::drive, "S4EMNX0R123456"}};

}  // namespace mg::test
