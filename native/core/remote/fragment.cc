#include "remote/fragment.h"

namespace mg::remote {
namespace {

constexpr uint8_t kMaster = 1, kKeyString = 2;
constexpr size_t kMost = 4096;  // bytes of a key string

Bytes info_of(View server_id, std::string_view name) { return with_label("model-guard/v1/fragment", {server_id, View(name)}); }

std::optional<keys::Type> type_of(View plain) {
  if (plain[0] == kMaster && plain.size == 1 + keys::key_size(keys::Type::master)) return keys::Type::master;
  if (plain[0] == kKeyString && plain.size >= 2 && plain.size <= 1 + kMost) return keys::Type::legacy;
  return std::nullopt;
}

// type || bytes, known to be a fragment
Result<Secret> open_plain(const keys::Key& key, View sealed, View server_id, std::string_view name, View challenge) {
  auto plain = open_with(key, info_of(server_id, name), challenge, sealed, 2, 1 + kMost);
  if (plain.ok() && !type_of(plain->reveal()))
    return Status(Code::INTEGRITY_FAILED, "what was sealed is no fragment of an archive");
  return plain;
}

}  // namespace

Result<Bytes> seal_fragment(const keys::Key& fragment, View x25519, View server_id, std::string_view name) {
  if (auto s = check_size("a server id", server_id, kServerId); !s.ok()) return s;
  const bool master = fragment.type() == keys::Type::master;
  if (!master && fragment.type() != keys::Type::legacy)
    return Status(Code::KEY_TYPE_WRONG, std::string("a ") + keys::type_name(fragment.type()) + " key opens no archive");
  const View bytes = fragment.secret().reveal();
  auto plain = Secret::allocate(1 + bytes.size);
  if (!plain.ok()) return plain.status();
  plain->reveal_mut().data[0] = master ? kMaster : kKeyString;
  std::memcpy(plain->reveal_mut().data + 1, bytes.data, bytes.size);
  return seal_to(x25519, info_of(server_id, name), View(), plain->reveal());
}

Result<Bytes> reseal_fragment(const keys::Key& key, View sealed, View x25519, View server_id, std::string_view name,
                              const std::optional<View>& challenge) {
  if (auto s = check_size("a server id", server_id, kServerId); !s.ok()) return s;
  if (challenge) {
    if (auto s = check_size("a challenge", *challenge, kChallenge); !s.ok()) return s;
  }
  auto plain = open_plain(key, sealed, server_id, name, View());
  if (!plain.ok()) return plain.status();
  return seal_to(x25519, info_of(server_id, name), challenge.value_or(View()), plain->reveal());
}

Result<KeyPtr> open_fragment(const keys::Key& key, View sealed, View server_id, std::string_view name, View challenge) {
  if (auto s = check_size("a server id", server_id, kServerId); !s.ok()) return s;
  if (auto s = check_size("a challenge", challenge, kChallenge); !s.ok()) return s;
  auto plain = open_plain(key, sealed, server_id, name, challenge);
  if (!plain.ok()) return plain.status();
  return keys::Key::from_bytes(*type_of(plain->reveal()), plain->reveal().from(1));
}

}  // namespace mg::remote
