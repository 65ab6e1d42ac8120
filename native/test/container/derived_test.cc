// Keys of derived artifacts. If these fail, an artifact opens for another model, runtime, name or machine than it was made for, or no
// longer after an update.
#include "container/derived.h"

#include <doctest/doctest.h>

#include <set>

#include "text/text.h"

using namespace mg;
using container::Artifact;

namespace {

// The expected keys are those of HKDF-Expand in another library (docs/format.md, section 14).
constexpr const char* kDeriving = "5c7afabb7f7c67cd70431d708a41833572830b32f4426bd0a6382dabb2b79fe5";
constexpr const char* kKey = "f48ff50fad2a053088b77452ecfed4b596a3ed1d6751dcef719f2881de2c52a2";
constexpr const char* kTag = "83402d5b6ea5ab70cfff80e58b1a829bf99f0ba8f08746fd798245ff95c19f8d";
constexpr const char* kKeyOfNoFactors = "874ee5d3f42582c200cf27bf6009917480ec2fad5a695f5dd59a4ab14baab73b";
const std::string kPayload = "00112233445566778899aabbccddeeff";
const Artifact kArtifact{"onnxruntime 1.22.0", "net.ort"};

hardware::Machine machine_of(std::array<std::string, 6> values) {
  hardware::Machine machine;
  for (size_t i = 0; i < values.size(); i++) {
    machine.factors[i].kind = hardware::kKinds[i];
    if (!values[i].empty()) machine.factors[i].value = std::move(*Secret::copy(View(values[i])));
  }
  return machine;
}
const std::array<std::string, 6> kValues = {"AMD Ryzen Threadripper PRO 5975WX 32-Cores",
                                            "10de:2230/10de:1459, 10de:2230/10de:1459",
                                            "131072 MiB",
                                            "SERIAL",
                                            "7a3e5d20-91c4-11ec-8f6b-04421a2f9c11",
                                            "ignored"};

Secret deriving(const std::string& payload_id = kPayload, uint8_t first = 0) {
  uint8_t data_key[32];
  for (uint8_t i = 0; i < 32; i++) data_key[i] = i;
  data_key[0] = first;
  auto key = container::deriving_key(View(data_key), payload_id);
  REQUIRE(key.ok());
  return std::move(*key);
}

std::string key_of(const Secret& deriving_key, const Artifact& artifact, const std::array<std::string, 6>& values) {
  auto key = container::derived_key(deriving_key.reveal(), artifact, machine_of(values));
  REQUIRE(key.ok());
  return text::hex(key->reveal());
}

}  // namespace

TEST_CASE("derived keys: known answers") {
  const Secret key = deriving();
  CHECK(text::hex(key.reveal()) == kDeriving);
  CHECK(key_of(key, kArtifact, kValues) == kKey);
  CHECK(key_of(key, kArtifact, {}) == kKeyOfNoFactors);
}

TEST_CASE("derived keys: each of model, runtime, name and factor changes the key, the TPM does not") {
  std::set<std::string> keys = {kKey};
  const auto is_new = [&](const std::string& key) { return keys.insert(key).second; };
  CHECK(is_new(key_of(deriving("10112233445566778899aabbccddeeff"), kArtifact, kValues)));
  CHECK(is_new(key_of(deriving(kPayload, 1), kArtifact, kValues)));
  const Secret key = deriving();
  CHECK(is_new(key_of(key, {"onnxruntime 1.22.1", "net.ort"}, kValues)));
  CHECK(is_new(key_of(key, {"onnxruntime 1.22.0", "net.orT"}, kValues)));
  // Without lengths this would be the same text.
  CHECK(is_new(key_of(key, {"onnxruntime 1.22.0net", ".ort"}, kValues)));
  for (size_t i = 0; i < 5; i++) {
    auto other = kValues;
    other[i] += "x";
    CHECK(is_new(key_of(key, kArtifact, other)));
    other[i].clear();
    CHECK(is_new(key_of(key, kArtifact, other)));
  }
  auto other = kValues;
  other[5] = "another TPM";
  CHECK(key_of(key, kArtifact, other) == kKey);
}

TEST_CASE("derived keys: the known tag of a key") {
  const Secret key = deriving();
  auto one = container::derived_key(key.reveal(), kArtifact, machine_of(kValues));
  REQUIRE(one.ok());
  auto tag = container::derived_tag(one->reveal());
  REQUIRE(tag.ok());
  CHECK(text::hex(tag->reveal()) == kTag);
}

TEST_CASE("derived keys: texts are bounded") {
  const std::string longest(4096, 'x');
  const Secret key = deriving();
  CHECK(container::derived_key(key.reveal(), {longest, longest}, machine_of(kValues)).ok());
  CHECK(container::derived_key(key.reveal(), {longest + "x", ""}, machine_of({})).status().code == Code::INVALID_ARGUMENT);
  CHECK(container::derived_key(key.reveal(), {"", longest + "x"}, machine_of({})).status().code == Code::INVALID_ARGUMENT);
}
