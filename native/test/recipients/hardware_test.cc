// Models and device keys bound to recorded machines (test/machines): they open there in every disturbance, and nowhere else.
#include "container/container_support.h"
#include "hardware/binding.h"
#include "keys/sealed_key_file.h"
#include "support/bound.h"

using namespace mg;
using namespace container_test;
using namespace bound_test;

namespace {

Code open_on(const MachineTree& tree, const ContainerParts& made) {
  const MachineOverride on(tree);
  return OpenContainer::open(made.small, {Identity()}, Trust{}).status().code;
}

MachineTree edited(const std::string& name, const std::string& edit) { return MachineTree(name).edit(edit); }

const std::string kText = "weights";
const std::vector<Input> kInputs = {{"model", "", View(kText)}};

}  // namespace

TEST_CASE("a model bound to a machine opens there in every disturbance, and on no other machine") {
  work::Pool pool(1);
  for (const std::string& name : MachineTree::names()) {
    CAPTURE(name);
    const ContainerParts made = make(kInputs, {{machine_recipient(bind_to(MachineTree(name)))}, nullptr}, pool);
    CHECK(open_on(MachineTree(name), made) == Code::OK);
    for (const std::string& disturbance : MachineTree(name).disturbances()) {
      CAPTURE(disturbance);
      CHECK(open_on(edited(name, disturbance), made) == Code::OK);
    }
    for (const std::string& other : MachineTree::names()) {
      if (other == name) continue;
      CAPTURE(other);
      CHECK(open_on(MachineTree(other), made) == Code::HARDWARE_MISMATCH);
    }
  }
}

TEST_CASE("without the machine as an identity a hardware slot is passed over") {
  work::Pool pool(1);
  const auto key = new_key(keys::Type::master);
  const MachineTree tree("bare-metal-nvme-nvidia");
  const ContainerParts bound = make(kInputs, {{machine_recipient(bind_to(tree))}, nullptr}, pool);
  CHECK(OpenContainer::open(bound.small, {key}, Trust{}).status().code == Code::NO_MATCHING_IDENTITY);
  const ContainerParts both = make(kInputs, {{machine_recipient(bind_to(tree)), shared(key)}, nullptr}, pool);
  CHECK(OpenContainer::open(both.small, {key}, Trust{}).ok());
  CHECK(open_on(MachineTree("vm-virtio"), both) == Code::HARDWARE_MISMATCH);
  const MachineOverride on(tree);
  CHECK(OpenContainer::open(make(kInputs, {{shared(key)}, nullptr}, pool).small, {Identity()}, Trust{}).status().code ==
        Code::NO_MATCHING_IDENTITY);
}

TEST_CASE("each of several machines opens by its own slot") {
  work::Pool pool(1);
  const MachineTree a("sata-server"), b("arm-board");
  const ContainerParts made = make(kInputs, {{machine_recipient(bind_to(a)), machine_recipient(bind_to(b))}, nullptr}, pool);
  CHECK(open_on(a, made) == Code::OK);
  CHECK(open_on(b, made) == Code::OK);
  CHECK(open_on(MachineTree("container"), made) == Code::HARDWARE_MISMATCH);
}

TEST_CASE("a hardware slot whose box belongs to another key pair is passed over") {
  work::Pool pool(1);
  const MachineTree tree("sata-server");
  hardware::NewBinding first = bind_to(tree);
  const hardware::NewBinding second = bind_to(tree);
  first.binding.public_key = second.binding.public_key;
  CHECK(open_on(tree, make(kInputs, {{machine_recipient(first)}, nullptr}, pool)) == Code::NO_MATCHING_IDENTITY);
}

TEST_CASE("a sealed device key opens on its machine and is refused on another, and when it was changed") {
  const MachineTree tree("laptop-two-gpus");
  const auto key = new_key(keys::Type::device);
  auto content = keys::seal_device_key(*key, bind_to(tree));
  REQUIRE(content.ok());
  {
    const MachineOverride on(tree);
    auto opened = keys::unseal_device_key(*content, nullptr);
    REQUIRE_MESSAGE(opened.ok(), opened.status().what);
    CHECK(equal((*opened)->secret().reveal(), key->secret().reveal()));
    for (size_t at = content->size() - 80; at < content->size(); at += 13) {
      Bytes changed = *content;
      changed[at] ^= 1;
      CHECK(keys::unseal_device_key(changed, nullptr).status().code == Code::KEY_INVALID);
    }
    for (const size_t size : {size_t(0), size_t(41), content->size() - 1})
      CHECK(keys::unseal_device_key(View(*content).sub(0, size), nullptr).status().code == Code::KEY_INVALID);
    Bytes longer = *content;
    longer.push_back(0);
    CHECK(keys::unseal_device_key(longer, nullptr).status().code == Code::KEY_INVALID);
  }
  const MachineOverride on(MachineTree("sata-server"));
  CHECK(keys::unseal_device_key(*content, nullptr).status().code == Code::HARDWARE_MISMATCH);
}

TEST_CASE("a sealed key file is read as any key file, and only device keys are sealed") {
  const MachineTree tree("bare-metal-nvme-nvidia");
  const MachineFolder folder;
  const std::string path = folder / "device.key";
  const auto key = new_key(keys::Type::device);
  REQUIRE(keys::write_sealed_key_file(*key, bind_to(tree), path).ok());
  CHECK(keys::write_sealed_key_file(*key, bind_to(tree), path).code == Code::ALREADY_EXISTS);
  CHECK(keys::seal_device_key(*new_key(keys::Type::master), bind_to(tree)).status().code == Code::KEY_TYPE_WRONG);
  const MachineOverride on(tree);
  auto read = keys::read_key_file(path);
  REQUIRE_MESSAGE(read.ok(), read.status().what);
  CHECK(read->key->x25519_public() == key->x25519_public());
  CHECK_FALSE(read->too_open);
}
