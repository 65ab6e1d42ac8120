#include "remote/proof.h"

namespace mg::remote {
namespace {

constexpr size_t kNonce = 32;
constexpr std::pair<std::string_view, Purpose> kPurposes[] = {{"enrolment", Purpose::enrolment},
                                                              {"lease-request", Purpose::lease_request},
                                                              {"statement", Purpose::statement},
                                                              {"checkpoint", Purpose::checkpoint}};

Bytes preimage(Purpose purpose, std::initializer_list<View> message) {
  std::string label = "model-guard/v1/";
  for (const auto& [name, each] : kPurposes)
    if (each == purpose) label += name;
  return with_label(label, message);
}

Result<Signature> sign_parts(Purpose purpose, const keys::Key& key, std::initializer_list<View> message) {
  const bool by_device = purpose == Purpose::enrolment || purpose == Purpose::lease_request;
  if (key.type() != (by_device ? keys::Type::device : keys::Type::signing))
    return Status(Code::KEY_TYPE_WRONG, std::string("a ") + keys::type_name(key.type()) + " key cannot sign this");
  Signature signature{};
  const Bytes bytes = preimage(purpose, message);
  if (auto s = crypto::ed25519_sign(key.ed25519_seed(), bytes, Span(signature.data(), signature.size())); !s.ok()) return s;
  return signature;
}

Bytes nonce_info(View server_id) { return with_label("model-guard/v1/enrolment-nonce", {server_id}); }

Status check_ids(View server_id, View challenge) {
  if (auto s = check_size("a server id", server_id, kServerId); !s.ok()) return s;
  return check_size("a challenge", challenge, kChallenge);
}

}  // namespace

std::optional<Purpose> purpose_of(std::string_view name) {
  for (const auto& [each, purpose] : kPurposes)
    if (each == name) return purpose;
  return std::nullopt;
}

Result<Signature> sign(Purpose purpose, const keys::Key& key, View message) { return sign_parts(purpose, key, {message}); }

Result<bool> verify(Purpose purpose, View public_key, View message, View signature) {
  if (auto s = check_size("an Ed25519 public key", public_key, kPublicKey); !s.ok()) return s;
  if (auto s = crypto::check_ed25519_public(public_key); !s.ok()) return s;
  return crypto::ed25519_verify(public_key, preimage(purpose, {message}), signature);
}

Result<SealedNonce> seal_nonce(View x25519, View server_id, View challenge) {
  if (auto s = check_ids(server_id, challenge); !s.ok()) return s;
  SealedNonce out{};
  if (auto s = crypto::random_bytes(Span(out.nonce.data(), kNonce)); !s.ok()) return s;
  auto sealed = seal_to(x25519, nonce_info(server_id), challenge, View(out.nonce));
  if (!sealed.ok()) return sealed.status();
  out.sealed = std::move(*sealed);
  return out;
}

Result<Signature> prove_enrolment(const keys::Key& key, View server_id, View challenge, View sealed, View message) {
  if (auto s = check_ids(server_id, challenge); !s.ok()) return s;
  auto nonce = open_with(key, nonce_info(server_id), challenge, sealed, kNonce, kNonce);
  if (!nonce.ok()) return nonce.status();
  return sign_parts(Purpose::enrolment, key, {message, nonce->reveal()});
}

}  // namespace mg::remote
