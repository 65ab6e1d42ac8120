// machine.json (docs/format.md, section 12): canonical JSON, so that most edits by hand are refused.
#include <algorithm>

#include "crypto/crypto.h"
#include "hardware/binding.h"
#include "text/json.h"
#include "text/text.h"

namespace mg::hardware {
namespace {

constexpr uint64_t kVersion = 1;
constexpr size_t kMaxText = 65536;
constexpr std::string_view kKeyPrefix = "mgx1:";

Status invalid(const std::string& what) {
  return Status(Code::MACHINE_FILE_INVALID, "the machine file is not as it was exported: " + what);
}

Result<std::string> checksum(const Binding& binding) {
  crypto::Sha256 hash{};
  const Bytes helper = binding.helper.encode();
  auto s =
      crypto::digest(crypto::Hash::sha256, {View("model-guard/v1/machine"), helper, View(binding.box), View(binding.public_key)},
                     Span(hash.data(), hash.size()));
  if (!s.ok()) return s;
  return text::hex(View(hash).sub(0, 8));
}

// The bytes of a base64url member; empty where it is not base64url, or is not of the wanted size (0: any).
Bytes decode(std::string_view text, size_t wanted = 0) {
  const size_t size = text::base64url_decoded_size(text.size());
  Bytes bytes(size);
  if (size == 0 || (wanted && size != wanted) || !text::base64url_decode(text, bytes)) return {};
  return bytes;
}

}  // namespace

Bytes encode_binding(const Binding& binding) {
  Bytes bytes = binding.helper.encode();
  append(bytes, View(binding.box));
  append(bytes, View(binding.public_key));
  return bytes;
}

Result<Binding> parse_binding(View bytes) {
  Binding binding;
  size_t used = 0;
  auto helper = parse_helper(bytes, &used);
  if (!helper.ok()) return helper.status();
  const View rest = bytes.from(used);
  if (rest.size != kBox + binding.public_key.size())
    return Status(Code::INVALID_ARGUMENT, "the binding to a machine has a wrong length");
  if (auto s = crypto::check_x25519_public(rest.from(kBox)); !s.ok()) return s;
  binding.helper = std::move(*helper);
  std::copy_n(rest.data, kBox, binding.box.begin());
  std::copy_n(rest.data + kBox, binding.public_key.size(), binding.public_key.begin());
  return binding;
}

Result<Bytes> write_machine_file(const Binding& binding) {
  auto sum = checksum(binding);
  if (!sum.ok()) return sum.status();
  json::Value file = json::object();
  file.members = {{"box", json::string(text::base64url(View(binding.box)))},
                  {"checksum", json::string(*sum)},
                  {"helper", json::string(text::base64url(binding.helper.encode()))},
                  {"publicKey", json::string(std::string(kKeyPrefix) + text::base64url(View(binding.public_key)))},
                  {"version", json::integer(kVersion)}};
  return View(json::write(file) + "\n").copy();
}

Result<Binding> parse_machine_file(View bytes) {
  std::string_view text = bytes.text();
  if (text.size() > kMaxText) return invalid("it is larger than 65,536 bytes");
  if (text.empty() || text.back() != '\n') return invalid("it does not end with a newline");
  text.remove_suffix(1);
  auto file = json::parse(text);
  if (!file.ok()) return invalid(file.status().what);
  if (file->kind != json::Value::Kind::object) return invalid("it is not an object");
  const auto member = [&](const char* name) {
    const json::Value* value = file->get(name);
    return value && value->kind == json::Value::Kind::string ? std::string_view(value->string) : std::string_view();
  };
  const json::Value* version = file->get("version");
  if (!version || version->kind != json::Value::Kind::integer) return invalid("it has no version");
  if (version->integer > kVersion)
    return Status(Code::VERSION_UNSUPPORTED,
                  "the machine file has version " + std::to_string(version->integer) + ", this release reads version 1");
  if (version->integer != kVersion) return invalid("its version is " + std::to_string(version->integer));
  if (file->members.size() != 5) return invalid("it has " + std::to_string(file->members.size()) + " members, not 5");

  Binding binding;
  const Bytes helper = decode(member("helper")), box = decode(member("box"), kBox);
  const std::string_view key = member("publicKey");
  if (key.substr(0, kKeyPrefix.size()) != kKeyPrefix) return invalid("it has no public key");
  const Bytes public_key = decode(key.substr(kKeyPrefix.size()), binding.public_key.size());
  if (helper.empty() || box.empty() || public_key.empty())
    return invalid("helper, box or publicKey is not base64url, or not of the right length");
  if (auto s = crypto::check_x25519_public(public_key); !s.ok()) return invalid(s.what);
  size_t used = 0;
  auto parsed = parse_helper(helper, &used);
  if (!parsed.ok()) return parsed.status();
  if (used != helper.size()) return invalid("bytes follow the helper data");
  binding.helper = std::move(*parsed);
  std::copy(box.begin(), box.end(), binding.box.begin());
  std::copy(public_key.begin(), public_key.end(), binding.public_key.begin());
  auto sum = checksum(binding);
  if (!sum.ok()) return sum.status();
  if (member("checksum") != *sum) return invalid("its checksum is wrong");
  return binding;
}

}  // namespace mg::hardware
