// Keys of publishers and machines, and the files they live in (docs/format.md, section 11).
#pragma once
#include <array>
#include <atomic>
#include <memory>
#include <string>

#include "memory/secret.h"
#include "status.h"

namespace mg::keys {

enum class Type : uint8_t { master, device, signing, passphrase, legacy };  // legacy: a key string of the legacy profile
const char* type_name(Type type);
size_t key_size(Type type);  // 32, 64, 32; passphrase and legacy: 0, any

using PublicKey = std::array<uint8_t, 32>;
using KeyId = std::array<uint8_t, 8>;
KeyId key_id(const PublicKey& key);  // a hint, docs/format.md section 6

// Immutable once made; shared by handles and by work in flight.
class Key {
 public:
  static Result<std::shared_ptr<const Key>> generate(Type type);
  // `machine_secret`: S of the file that a device key is sealed in, kept to prove that to a server (docs/server-protocol.md, section 3).
  static Result<std::shared_ptr<const Key>> from_bytes(Type type, View bytes, Secret machine_secret = Secret());
  // UTF-8 text as read: drops one trailing newline, normalises to NFC. PASSPHRASE_INVALID.
  static Result<std::shared_ptr<const Key>> from_passphrase(View utf8);

  Type type() const { return type_; }
  const Secret& secret() const { return secret_; }
  View machine_secret() const { return machine_secret_.reveal(); }  // empty: not from a sealed file
  View x25519_private() const;                                      // device
  View ed25519_seed() const;                                        // device, signing
  const PublicKey& x25519_public() const { return x25519_; }        // device
  const PublicKey& ed25519_public() const { return ed25519_; }      // device, signing

 private:
  Key(Type type, Secret secret) : type_(type), secret_(std::move(secret)) {}
  Type type_;
  Secret secret_, machine_secret_;
  PublicKey x25519_{}, ed25519_{};
};

struct FromFile {
  std::shared_ptr<const Key> key;
  bool too_open = false;  // other users may read or write the file
};
// Read a file or a pipe. For a pipe they wait for its writer; `cancelled` ends the wait.
using Cancelled = std::atomic<bool>;
Result<FromFile> read_key_file(const std::string& path, const Cancelled* cancelled = nullptr);  // any type but passphrase
Result<FromFile> read_passphrase_file(const std::string& path, const Cancelled* cancelled = nullptr);
Status write_key_file(const Key& key, const std::string& path);  // 0600, refuses to overwrite, whole or not at all

}  // namespace mg::keys
