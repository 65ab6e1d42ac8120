#include "container/derived.h"

#include <algorithm>

#include "crypto/crypto.h"

namespace mg::container {
namespace {

constexpr size_t kKey = 32;

// Bytes of unambiguous fields, each with its length before it. Hardware values are among them: the memory is that of secrets.
class Fields {
 public:
  static Result<Fields> of_size(size_t size) {
    auto bytes = Secret::allocate(size);
    if (!bytes.ok()) return bytes.status();
    return Fields(std::move(*bytes));
  }
  void add(View bytes) {
    if (bytes.size) std::memcpy(bytes_.reveal_mut().data + at_, bytes.data, bytes.size);
    at_ += bytes.size;
  }
  void add_with_length(View bytes) {
    uint8_t length[2];
    write_be(length, uint16_t(bytes.size));
    add(View(length));
    add(bytes);
  }
  View all() const { return bytes_.reveal().sub(0, at_); }

 private:
  explicit Fields(Secret bytes) : bytes_(std::move(bytes)) {}
  Secret bytes_;
  size_t at_ = 0;
};

Result<Secret> expand(View key, View info) {
  auto out = Secret::allocate(kKey);
  if (!out.ok()) return out.status();
  if (auto s = crypto::hkdf_expand(crypto::Hash::sha384, key, info, out->reveal_mut()); !s.ok()) return s;
  return out;
}

constexpr std::string_view kDeriving("model-guard/v1/deriving\0", 24);
constexpr std::string_view kDerived("model-guard/v1/derived\0", 23);
constexpr std::string_view kTag("model-guard/v1/tag");

}  // namespace

Result<Secret> deriving_key(View data_key, const std::string& payload_id) {
  Bytes info;
  append(info, View(kDeriving));
  append(info, View(payload_id));
  return expand(data_key, info);
}

Result<Secret> derived_key(View deriving_key, const Artifact& artifact, const hardware::Machine& machine) {
  if (std::max(artifact.runtime.size(), artifact.name.size()) > kMaxArtifactText)
    return Status(Code::INVALID_ARGUMENT,
                  "the runtime and the name of an artifact are at most " + std::to_string(kMaxArtifactText) + " bytes each");
  size_t size = kDerived.size() + 4 + artifact.runtime.size() + artifact.name.size();
  for (const auto& factor : machine.factors) size += 2 + factor.value.size();
  auto info = Fields::of_size(size);
  if (!info.ok()) return info.status();
  info->add(View(kDerived));
  info->add_with_length(View(artifact.runtime));
  info->add_with_length(View(artifact.name));
  for (const auto& factor : machine.factors)
    if (factor.kind != hardware::Kind::tpm) info->add_with_length(factor.value.reveal());
  return expand(deriving_key, info->all());
}

Result<Secret> derived_tag(View derived_key) { return expand(derived_key, View(kTag)); }

}  // namespace mg::container
