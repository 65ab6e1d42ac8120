#include "hardware/binding.h"

#include <algorithm>

#include "crypto/hpke.h"
#include "crypto/secret_buffer.h"
#include "hardware/shamir.h"
#include "hardware/tpm.h"
#include "salts/salts.h"

namespace mg::hardware {
namespace {

constexpr size_t kKey = 32;
constexpr unsigned kScryptLogN = 15;
constexpr uint8_t kZeroNonce[12] = {};

// u of docs/format.md: the stretched factor.
Result<Secret> stretch(const Factor& factor, View salt) {
  const std::string_view name = kind_name(factor.kind);
  auto bytes = Secret::allocate(name.size() + 1 + factor.value.size());
  auto u = Secret::allocate(kKey);
  if (!bytes.ok() || !u.ok()) return bytes.ok() ? u.status() : bytes.status();
  std::memcpy(bytes->reveal_mut().data, name.data(), name.size());
  std::memcpy(bytes->reveal_mut().data + name.size() + 1, factor.value.reveal().data, factor.value.size());
  if (auto s = crypto::scrypt(bytes->reveal(), salt, kScryptLogN, 8, 1, u->reveal_mut()); !s.ok()) return s;
  return u;
}

// tail of docs/format.md: a part of the input of every share's mask and of K. Without it shares look like noise (docs/decisions/0007).
Result<Secret> make_tail(const Helper& helper, StretchedFactors& stretched, View tpm_value) {
  auto pepper = salts::compiled_in(salts::Name::pepper);
  if (!pepper.ok()) return pepper.status();
  auto tail = Secret::allocate(kKey * kMaxFactors + kKey + salts::kPepper);
  if (!tail.ok()) return tail.status();
  size_t size = 0;
  const auto add = [&](View part) {
    if (part.size) std::memcpy(tail->reveal_mut().data + size, part.data, part.size);
    size += part.size;
  };
  for (const BoundFactor& factor : helper.factors) {
    if (!factor.required) continue;
    auto u = stretched.of(factor);
    if (!u.ok()) return u.status();
    add(*u);
  }
  add(tpm_value);
  add(pepper->reveal());
  tail->shrink(size);
  return tail;
}

// XORs `share` with the mask of share j: masks it, or unmasks it.
Status mask_share(View u, uint8_t j, View tail, Span share) {
  auto info = Secret::allocate(6 + tail.size);
  if (!info.ok()) return info.status();
  uint8_t* out = info->reveal_mut().data;
  std::memcpy(out, "share", 5);
  out[5] = j;
  std::memcpy(out + 6, tail.data, tail.size);
  crypto::SecretBuffer<kShare> mask;
  if (auto s = crypto::hkdf_expand(crypto::Hash::sha384, u, info->reveal(), mask.span()); !s.ok()) return s;
  for (size_t i = 0; i < kShare; i++) share.data[i] ^= mask.view()[i];
  return {};
}

// The cipher of the box. Salt and T are new for each binding, so K encrypts once: hence the zero nonce.
Result<crypto::Gcm> box_cipher(const Helper& helper, View t, View tail) {
  auto ikm = Secret::allocate(t.size + tail.size);
  if (!ikm.ok()) return ikm.status();
  std::memcpy(ikm->reveal_mut().data, t.data, t.size);
  std::memcpy(ikm->reveal_mut().data + t.size, tail.data, tail.size);
  crypto::SecretBuffer<kKey> key;
  auto s = crypto::hkdf(crypto::Hash::sha384, ikm->reveal(), View(helper.salt), View("model-guard/v1/hw"), key.span());
  if (!s.ok()) return s;
  return crypto::Gcm::create(key.view());
}

Result<Secret> random_secret() {
  auto secret = Secret::allocate(kKey);
  if (!secret.ok()) return secret.status();
  if (auto s = crypto::random_bytes(secret->reveal_mut()); !s.ok()) return s;
  return secret;
}

Status cannot_read(const Factor& factor) {
  return Status(Code::HARDWARE_UNREADABLE,
                std::string("the ") + kind_name(factor.kind) + " of this machine cannot be read: " + factor.why);
}

bool holds(const std::vector<Kind>& kinds, Kind kind) { return std::find(kinds.begin(), kinds.end(), kind) != kinds.end(); }

bool has_duplicates(std::vector<Kind> kinds) {
  std::sort(kinds.begin(), kinds.end());
  return std::adjacent_find(kinds.begin(), kinds.end()) != kinds.end();
}

// The rules that do not depend on the machine. Weights are narrowed to a byte only after this check.
Status check_policy(const Policy& policy) {
  if (has_duplicates(policy.factors) || (policy.require && has_duplicates(*policy.require)))
    return Status(Code::INVALID_ARGUMENT, "the policy names a factor twice");
  for (const auto& [kind, weight] : policy.weights) {
    if (weight < 1 || weight > kMaxWeight)
      return Status(Code::INVALID_ARGUMENT, std::string("the weight of ") + kind_name(kind) + " must be 1 to 16");
  }
  return {};
}

// The factors that count, without salts and shares, and the threshold.
Result<Helper> plan(const Machine& machine, const Policy& policy) {
  if (auto s = check_policy(policy); !s.ok()) return s;
  std::vector<Kind> require = policy.require.value_or(std::vector<Kind>());
  const Factor& drive = machine.factor(Kind::drive);
  if (!policy.require && (policy.factors.empty() || holds(policy.factors, Kind::drive)) && drive.quality == Quality::strong)
    require.push_back(Kind::drive);
  Helper helper;
  unsigned total = 0, lightest_optional = 0;
  for (Kind kind : kKinds) {
    const Factor& factor = machine.factor(kind);
    const bool required = holds(require, kind), asked = required || holds(policy.factors, kind);
    const bool usual = policy.factors.empty() && kind <= Kind::drive;
    if (asked && !factor.present()) return cannot_read(factor);
    if (!asked && (!usual || !factor.present())) continue;
    const auto weight = policy.weights.find(kind);
    BoundFactor bound{kind, required, uint8_t(weight == policy.weights.end() ? 1 : weight->second), {}, {}};
    total += bound.weight;
    if (!required && (lightest_optional == 0 || bound.weight < lightest_optional)) lightest_optional = bound.weight;
    helper.factors.push_back(std::move(bound));
  }
  for (const auto& [kind, weight] : policy.weights) {
    if (!helper.counts(kind))
      return Status(Code::INVALID_ARGUMENT,
                    std::string("a weight is given to ") + kind_name(kind) + ", which does not count here");
  }
  if (helper.factors.empty()) return Status(Code::HARDWARE_UNREADABLE, "no factor of this machine can be read");
  if (policy.at_least > total)
    return Status(Code::INVALID_ARGUMENT, "the policy asks for a weight of at least " + std::to_string(policy.at_least) +
                                              ", but the " + std::to_string(helper.factors.size()) +
                                              " factors that count here have a weight of " + std::to_string(total));
  const bool tolerant = !require.empty() && helper.factors.size() >= 3;
  const unsigned usual = tolerant ? total - lightest_optional : total;
  helper.threshold = uint8_t(policy.at_least > 0 ? policy.at_least : usual);
  return helper;
}

// Adds the TPM's blob to the helper data, and returns its value for the tail. Neither: the policy does not want a TPM, or it cannot be used.
Result<Secret> take_tpm(const Policy& policy, NewBinding& bound, const Cancelled* cancelled) {
  if (policy.tpm == TpmUse::never || (policy.tpm == TpmUse::when_usable && !tpm::present())) return Secret();
  auto sealed = tpm::seal(policy.pcrs ? policy.pcrs : tpm::kDefaultPcrs, cancelled);
  if (sealed.ok()) {
    bound.tpm_unmeasured = sealed->unmeasured;
    bound.binding.helper.tpm = std::move(sealed->blob);
    return std::move(sealed->value);
  }
  if (policy.tpm == TpmUse::required || sealed.status().code == Code::ABORT_ERR) return sealed.status();
  bound.tpm_unused = sealed.status().what;
  return Secret();
}

std::string absent_here(const Helper& helper, const Machine& machine) {
  std::string names;
  for (const BoundFactor& factor : helper.factors)
    if (!machine.factor(factor.kind).present()) names += (names.empty() ? "" : ", ") + std::string(kind_name(factor.kind));
  return names;
}

}  // namespace

Result<NewBinding> bind(const Machine& machine, const Policy& policy, const Cancelled* cancelled) {
  auto planned = plan(machine, policy);
  if (!planned.ok()) return planned.status();
  NewBinding bound;
  Helper& helper = bound.binding.helper;
  helper = std::move(*planned);
  helper.salts_id = salts::id();
  if (auto s = crypto::random_bytes(Span(helper.salt.data(), helper.salt.size())); !s.ok()) return s;
  unsigned total = 0;
  for (BoundFactor& factor : helper.factors) {
    if (auto s = crypto::random_bytes(Span(factor.salt.data(), factor.salt.size())); !s.ok()) return s;
    total += factor.weight;
  }
  auto tpm_value = take_tpm(policy, bound, cancelled);
  if (!tpm_value.ok()) return tpm_value.status();
  crypto::Derivations derivations(UINT32_MAX, cancelled);
  StretchedFactors stretched(machine, derivations);
  auto tail = make_tail(helper, stretched, tpm_value->reveal());
  if (!tail.ok()) return tail.status();

  auto t = random_secret(), s = random_secret();
  if (!t.ok() || !s.ok()) return t.ok() ? s.status() : t.status();
  auto shares = split_secret(t->reveal(), helper.threshold, total);
  if (!shares.ok()) return shares.status();
  uint8_t j = 1;
  for (size_t i = 0; i < helper.factors.size(); i++) {
    auto u = stretched.of(helper.factors[i]);
    if (!u.ok()) return u.status();
    for (unsigned share = 0; share < helper.factors[i].weight; share++, j++) {
      const Span clear = shares->reveal_mut().sub((j - 1) * kShare, kShare);
      if (auto status = mask_share(*u, j, tail->reveal(), clear); !status.ok()) return status;
      append(helper.factors[i].shares, clear);
    }
  }
  auto cipher = box_cipher(helper, t->reveal(), tail->reveal());
  if (!cipher.ok()) return cipher.status();
  if (!cipher->seal(View(kZeroNonce), helper.encode(), s->reveal(), bound.binding.box.data()))
    return Status(Code::INTERNAL, "the machine's secret could not be sealed");
  crypto::SecretBuffer<kKey> private_key;
  auto derived = hpke::derive_key_pair(s->reveal(), private_key.span(), Span(bound.binding.public_key.data(), kKey));
  if (!derived.ok()) return derived;
  bound.secret = std::move(*s);
  return bound;
}

Result<View> StretchedFactors::of(const BoundFactor& factor) {
  Secret& u = stretched_[{factor.kind, factor.salt}];
  if (u.size() == 0) {
    if (auto s = derivations_.begin(crypto::derivations_of(kScryptLogN)); !s.ok()) return s;
    auto made = stretch(machine_.factor(factor.kind), View(factor.salt));
    if (!made.ok()) return made.status();
    u = std::move(*made);
  }
  return u.reveal();
}

Result<Secret> open(const Helper& helper, View box, const Machine& machine, const Cancelled* cancelled) {
  crypto::Derivations derivations(UINT32_MAX, cancelled);
  StretchedFactors stretched(machine, derivations);
  return open(helper, box, stretched, cancelled);
}

Result<Secret> open(const Helper& helper, View box, StretchedFactors& stretched, const Cancelled* cancelled) {
  const Machine& machine = stretched.machine();
  if (helper.salts_id != salts::id())
    return Status(Code::SALTS_MISMATCH, std::string("the secret was bound by a build with other salts; this build has ") +
                                            (salts::is_default() ? "the public default ones" : "an organisation's own"));
  const auto readable =
      std::count_if(machine.factors.begin(), machine.factors.end(), [](const Factor& f) { return f.present(); });
  if (readable == 0) return Status(Code::HARDWARE_UNREADABLE, "no factor of this machine can be read");
  std::vector<uint32_t> sets = helper.openings();
  const auto unreadable = [&](uint32_t set) {
    for (size_t i = 0; i < helper.factors.size(); i++)
      if (set >> i & 1 && !machine.factor(helper.factors[i].kind).present()) return true;
    return false;
  };
  sets.erase(std::remove_if(sets.begin(), sets.end(), unreadable), sets.end());
  const std::string absent = absent_here(helper, machine);
  const Status mismatch(Code::HARDWARE_MISMATCH, "this machine is not the one of the binding, or too much of it changed" +
                                                     (absent.empty() ? "" : "; these factors cannot be read here: " + absent));
  if (sets.empty()) return mismatch;

  Secret tpm_value;
  if (!helper.tpm.empty()) {
    auto unsealed = tpm::unseal(helper.tpm, cancelled);
    if (!unsealed.ok()) return unsealed.status();
    tpm_value = std::move(*unsealed);
  }
  auto tail = make_tail(helper, stretched, tpm_value.reveal());
  if (!tail.ok()) return tail.status();
  auto s = Secret::allocate(kKey);
  auto clear = Secret::allocate(helper.threshold * kShare);
  if (!s.ok() || !clear.ok()) return s.ok() ? clear.status() : s.status();
  const Bytes aad = helper.encode();
  for (uint32_t set : sets) {
    std::vector<Share> shares;
    uint8_t j = 1;
    for (size_t i = 0; i < helper.factors.size(); j = uint8_t(j + helper.factors[i].weight), i++) {
      if (!(set >> i & 1)) continue;
      auto u = stretched.of(helper.factors[i]);
      if (!u.ok()) return u.status();
      for (unsigned share = 0; share < helper.factors[i].weight && shares.size() < helper.threshold; share++) {
        const Span into = clear->reveal_mut().sub(shares.size() * kShare, kShare);
        std::memcpy(into.data, helper.factors[i].shares.data() + share * kShare, kShare);
        const auto x = uint8_t(j + share);
        if (auto status = mask_share(*u, x, tail->reveal(), into); !status.ok()) return status;
        shares.push_back(Share{x, into});
      }
    }
    auto t = join_shares(shares);
    if (!t.ok()) return t.status();
    auto cipher = box_cipher(helper, t->reveal(), tail->reveal());
    if (!cipher.ok()) return cipher.status();
    if (cipher->open(View(kZeroNonce), aad, box, s->reveal_mut().data)) return s;
  }
  return mismatch;
}

Status check_demand(const Helper& helper, const std::vector<Kind>& require, unsigned at_least) {
  for (uint32_t set : helper.openings()) {
    std::vector<Kind> kinds;
    std::string names;
    for (size_t i = 0; i < helper.factors.size(); i++) {
      if (!(set >> i & 1)) continue;
      kinds.push_back(helper.factors[i].kind);
      names += (names.empty() ? "" : ", ") + std::string(kind_name(helper.factors[i].kind));
    }
    const bool all = std::all_of(require.begin(), require.end(), [&](Kind kind) { return holds(kinds, kind); });
    if (!all || kinds.size() < at_least)
      return Status(Code::MACHINE_POLICY_WEAK, "the machine file opens with these factors alone: " + names);
  }
  return {};
}

}  // namespace mg::hardware
