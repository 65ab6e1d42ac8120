#include "keys/sealed_key_file.h"

#include "crypto/crypto.h"
#include "crypto/secret_buffer.h"

namespace mg::keys {
namespace {

constexpr uint8_t kZeroNonce[12] = {};
constexpr size_t kTag = 16;

// One key is sealed under each S: hence the zero nonce.
Result<crypto::Gcm> cipher_of(View machine_secret, const hardware::Helper& helper) {
  crypto::SecretBuffer<32> key;
  auto s = crypto::hkdf(crypto::Hash::sha384, machine_secret, View(helper.salt), View("model-guard/v1/device-key"), key.span());
  if (!s.ok()) return s;
  return crypto::Gcm::create(key.view());
}

Bytes aad_of(View helper, View box) {
  Bytes aad;
  append(aad, View(kSealedLine));
  append(aad, helper);
  append(aad, box);
  return aad;
}

}  // namespace

Result<Bytes> seal_device_key(const Key& key, const hardware::NewBinding& bound) {
  if (key.type() != Type::device)
    return Status(Code::KEY_TYPE_WRONG, std::string("a ") + type_name(key.type()) + " key cannot be sealed");
  Bytes content = bound.binding.helper.encode();
  append(content, View(bound.binding.box));
  const size_t at = content.size();
  const Bytes aad = aad_of(View(content).sub(0, at - hardware::kBox), View(bound.binding.box));
  auto cipher = cipher_of(bound.secret.reveal(), bound.binding.helper);
  if (!cipher.ok()) return cipher.status();
  content.resize(at + key_size(Type::device) + kTag);
  if (!cipher->seal(View(kZeroNonce), aad, key.secret().reveal(), content.data() + at))
    return Status(Code::INTERNAL, "the device key could not be sealed");
  return content;
}

Result<std::shared_ptr<const Key>> unseal_device_key(View content, const Cancelled* cancelled) {
  size_t used = 0;
  auto helper = hardware::parse_helper(content, &used);
  if (!helper.ok()) return Status(Code::KEY_INVALID, "the sealed key is damaged: " + helper.status().what);
  const size_t size = key_size(Type::device);
  if (content.size - used != hardware::kBox + size + kTag)
    return Status(Code::KEY_INVALID,
                  "the sealed key is damaged: " + std::to_string(content.size - used) + " bytes follow its helper data");
  const View box = content.sub(used, hardware::kBox), sealed = content.from(used + hardware::kBox);

  auto machine = hardware::read_machine({hardware::system_root(), helper->counts(hardware::Kind::tpm), cancelled});
  if (!machine.ok()) return machine.status();
  auto secret = hardware::open(*helper, box, *machine, cancelled);
  if (!secret.ok()) return secret.status();
  auto cipher = cipher_of(secret->reveal(), *helper);
  auto bytes = Secret::allocate(size);
  if (!cipher.ok() || !bytes.ok()) return cipher.ok() ? bytes.status() : cipher.status();
  if (!cipher->open(View(kZeroNonce), aad_of(content.sub(0, used), box), sealed, bytes->reveal_mut().data))
    return Status(Code::KEY_INVALID, "the sealed key was changed");
  return Key::from_bytes(Type::device, bytes->reveal(), std::move(*secret));
}

}  // namespace mg::keys
