#include "container/binding.h"

namespace mg::container {

Result<payload::Keys> payload_keys(View data_key, View salt, const crypto::Sha384& core_hash) {
  Bytes context;
  append(context, View("model-guard/v1"));
  context.push_back(0);
  append(context, View(core_hash.data(), core_hash.size()));
  return payload::derive(data_key, salt, context);
}

Result<std::array<uint8_t, kMac>> header_mac(View data_key, const Header& header) {
  auto key = Secret::allocate(kMac);
  if (!key.ok()) return key.status();
  if (auto s = crypto::hkdf_expand(crypto::Hash::sha384, data_key, View("model-guard/v1/mac"), key->reveal_mut()); !s.ok())
    return s;
  std::array<uint8_t, kMac> mac{};
  if (auto s = crypto::hmac(crypto::Hash::sha384, key->reveal(), {View(header.before_mac())}, Span(mac.data(), mac.size()));
      !s.ok())
    return s;
  return mac;
}

Status sign(Header& header, Role role, const keys::Key& signer, const crypto::Sha384& core_hash) {
  Signature signature{role, keys::key_id(signer.ed25519_public()), {}};
  const Bytes preimage = header.signed_bytes(role, core_hash);
  if (preimage.empty()) return Status(Code::INTERNAL, "the header could not be hashed");
  auto s = crypto::ed25519_sign(signer.ed25519_seed(), preimage, Span(signature.bytes.data(), signature.bytes.size()));
  if (s.ok()) header.signatures.push_back(signature);
  return s;
}

}  // namespace mg::container
