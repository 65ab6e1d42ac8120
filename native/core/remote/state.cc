#include "remote/state.h"

#include "crypto/secret_buffer.h"

namespace mg::remote {
namespace {

Status state_key(const keys::Key& key, View server_id, Span out) {
  if (auto s = check_type(key, keys::Type::device); !s.ok()) return s;
  if (auto s = check_size("a server id", server_id, kServerId); !s.ok()) return s;
  return crypto::hkdf(crypto::Hash::sha384, key.secret().reveal(), View(), with_label("model-guard/v1/state", {server_id}), out);
}

}  // namespace

Result<Bytes> seal_state(const keys::Key& key, View server_id, View state) {
  const crypto::StackWipe stack;
  if (state.size > kMaxState)
    return Status(Code::INVALID_ARGUMENT, "a state has at most 16 MiB, not " + std::to_string(state.size) + " bytes");
  crypto::SecretBuffer<32> derived;
  if (auto s = state_key(key, server_id, derived.span()); !s.ok()) return s;
  return seal_under(derived.view(), View(), state);
}

Result<Region> open_state(const keys::Key& key, View server_id, View sealed) {
  const crypto::StackWipe stack;
  crypto::SecretBuffer<32> derived;
  if (auto s = state_key(key, server_id, derived.span()); !s.ok()) return s;
  if (sealed.size < kGcmOverhead || sealed.size > kGcmOverhead + kMaxState)
    return Status(Code::INTEGRITY_FAILED,
                  "the state has a length that it cannot have: " + std::to_string(sealed.size) + " bytes");
  auto state = Region::allocate(sealed.size - kGcmOverhead);
  if (!state.ok()) return state;
  if (auto s = open_under(derived.view(), View(), sealed, Span(state->data(), state->size())); !s.ok()) return s;
  return state;
}

Result<std::optional<MachineIdentity>> machine_identity(const keys::Key& key, View server_id) {
  const crypto::StackWipe stack;
  if (auto s = check_size("a server id", server_id, kServerId); !s.ok()) return s;
  if (key.machine_secret().size == 0) return std::optional<MachineIdentity>();
  MachineIdentity identity{};
  auto s = crypto::hkdf(crypto::Hash::sha384, key.machine_secret(), View(), with_label("model-guard/v1/enrol", {server_id}),
                        Span(identity.data(), identity.size()));
  if (!s.ok()) return s;
  return std::optional<MachineIdentity>(identity);
}

}  // namespace mg::remote
