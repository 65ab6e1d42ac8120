// Key files and passphrase files (docs/format.md, section 11).
#include "keys/keys.h"
#include "keys/sealed_key_file.h"
#include "memory/secret_file.h"
#include "text/text.h"

namespace mg::keys {
namespace {

constexpr size_t kMaxFile = 16 * 1024, kMaxPassphraseFile = 4096;
constexpr std::string_view kPrefix = "model-guard-key v1 ";

Result<Type> parse_type(std::string_view line, const std::string& path) {
  if (line.substr(0, kPrefix.size()) != kPrefix) return Status(Code::KEY_INVALID, "'" + path + "' is not a model-guard key file");
  const std::string_view rest = line.substr(kPrefix.size());
  for (Type type : {Type::master, Type::device, Type::signing}) {
    const std::string name = type_name(type);
    if (rest == name + " plain") return type;
    if (rest == name + " sealed")
      return Status(Code::KEY_INVALID,
                    "the key file '" + path + "' is of type " + name + " sealed, but only device keys are sealed");
  }
  return Status(Code::KEY_INVALID, "the key file '" + path + "' is of a type that this version does not know");
}

// Unseals the device key in `encoded`.
Result<std::shared_ptr<const Key>> unseal(std::string_view encoded, const std::string& path, const Cancelled* cancelled) {
  Bytes content(text::base64url_decoded_size(encoded.size()));
  if (content.empty() || !text::base64url_decode(encoded, content))
    return Status(Code::KEY_INVALID, "the key file '" + path + "' is damaged: its second line is no base64url");
  auto key = unseal_device_key(content, cancelled);
  if (!key.ok()) return Status(key.status().code, "the sealed key file '" + path + "': " + key.status().what, key.status().sys);
  return key;
}

}  // namespace

Result<FromFile> read_key_file(const std::string& path, const Cancelled* cancelled) {
  auto content = read_secret_file(path, "key file", Code::KEY_INVALID, kMaxFile, cancelled);
  if (!content.ok()) return content.status();
  const std::string_view text = content->bytes.reveal().text();
  const auto malformed = [&](const std::string& why) {
    return Status(Code::KEY_INVALID, "the key file '" + path + "' is damaged: " + why);
  };
  if (text.find('\r') != std::string_view::npos) return malformed("it has Windows line ends");
  const size_t first = text.find('\n');
  if (first == std::string_view::npos || text.back() != '\n' || first + 1 >= text.size()) {
    return text.substr(0, kPrefix.size()) == kPrefix ? malformed("it must be two lines, each ended by one newline")
                                                     : Status(Code::KEY_INVALID, "'" + path + "' is not a model-guard key file");
  }
  const std::string_view line = text.substr(0, first), encoded = text.substr(first + 1, text.size() - first - 2);
  if (line == kSealedLine) {
    auto key = unseal(encoded, path, cancelled);
    if (!key.ok()) return key.status();
    return FromFile{std::move(*key), content->too_open};
  }
  auto type = parse_type(line, path);
  if (!type.ok()) return type.status();
  const size_t size = key_size(*type);
  auto bytes = Secret::allocate(size);
  if (!bytes.ok()) return bytes.status();
  if (text::base64url_decoded_size(encoded.size()) != size || !text::base64url_decode(encoded, bytes->reveal_mut()))
    return malformed("its second line is not the base64url of " + std::to_string(size) + " bytes");
  auto key = Key::from_bytes(*type, bytes->reveal());
  if (!key.ok()) return key.status();
  return FromFile{std::move(*key), content->too_open};
}

Result<FromFile> read_passphrase_file(const std::string& path, const Cancelled* cancelled) {
  auto content = read_secret_file(path, "passphrase file", Code::PASSPHRASE_INVALID, kMaxPassphraseFile, cancelled);
  if (!content.ok()) return content.status();
  auto key = Key::from_passphrase(content->bytes.reveal());
  if (!key.ok()) return key.status();
  return FromFile{std::move(*key), content->too_open};
}

Status write_key_file(const Key& key, const std::string& path) {
  if (key_size(key.type()) == 0)
    return Status(Code::KEY_TYPE_WRONG, "a key of type " + std::string(type_name(key.type())) + " has no key file");
  const std::string head = std::string(kPrefix) + type_name(key.type()) + " plain\n";
  const size_t encoded = (key.secret().size() * 4 + 2) / 3;
  auto text = Secret::allocate(head.size() + encoded + 1);
  if (!text.ok()) return text.status();
  uint8_t* out = text->reveal_mut().data;
  std::memcpy(out, head.data(), head.size());
  text::base64url_encode(key.secret().reveal(), Span(out + head.size(), encoded));
  out[head.size() + encoded] = '\n';
  return write_new_secret_file(path, "key file", text->reveal());
}

Status write_sealed_key_file(const Key& key, const hardware::NewBinding& bound, const std::string& path) {
  auto content = seal_device_key(key, bound);
  if (!content.ok()) return content.status();
  return write_new_secret_file(path, "key file", View(std::string(kSealedLine) + "\n" + text::base64url(*content) + "\n"));
}

}  // namespace mg::keys
