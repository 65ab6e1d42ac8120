// Sealing and unsealing (TPM 2.0 Library, part 1, sections 19, 21 and 27).
#include "hardware/tpm.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <mutex>
#include <new>
#include <optional>

#include "crypto/crypto.h"
#include "hardware/tpm_blob.h"
#include "hardware/tpm_connection.h"

namespace mg::hardware::tpm {
namespace {

using namespace tss2;

constexpr size_t kValue = 32;
constexpr int kAttempts = 5;
constexpr uint32_t kStorageKey = 0x81000001;  // where TCG's provisioning guidance puts it

// TPM2B_PUBLIC of an ECC P-256 storage key: what TCG's EK template L-2 and the storage template derived from it share.
Bytes ecc_template(uint32_t attributes, View policy) {
  Bytes area;
  append_be<uint16_t>(area, 0x0023);  // ECC
  append_be<uint16_t>(area, kSha256);
  append_be<uint32_t>(area, attributes);
  append_be<uint16_t>(area, uint16_t(policy.size));
  append(area, policy);
  for (uint16_t field : {kAes, uint16_t(128), kCfb}) append_be(area, field);
  append_be(area, kNull);             // scheme
  append_be<uint16_t>(area, 0x0003);  // NIST P-256
  append_be(area, kNull);             // key derivation
  for (int coordinate = 0; coordinate < 2; coordinate++) {
    append_be<uint16_t>(area, 32);
    area.resize(area.size() + 32);
  }
  Bytes out;
  append_be(out, uint16_t(area.size()));
  append(out, area);
  return out;
}

// TPMA_OBJECT
constexpr uint32_t kFixedTpm = 1 << 1, kFixedParent = 1 << 4, kDataOrigin = 1 << 5, kUserWithAuth = 1 << 6, kAdminWithPolicy = 1 << 7;
constexpr uint32_t kNoDa = 1 << 10, kRestricted = 1 << 16, kDecryptKey = 1 << 17, kSignKey = 1 << 18;
constexpr uint32_t kStorage = kFixedTpm | kFixedParent | kDataOrigin | kRestricted | kDecryptKey;

Bytes storage_template() { return ecc_template(kStorage | kUserWithAuth | kNoDa, View()); }

Bytes endorsement_template() {
  static constexpr uint8_t kPolicySecretOfEndorsement[] = {
      0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
      0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa};
  return ecc_template(kStorage | kAdminWithPolicy, kPolicySecretOfEndorsement);
}

Status read_public(Connection& tpm, View wire, Public* out) {
  size_t offset = 0;
  return tpm.check(tpm.tss().unmarshal_public(wire.data, wire.size, &offset, out), "read a public area");
}

Result<Bytes> write_public(Connection& tpm, const Public& area) {
  Bytes wire(sizeof(Public));
  size_t size = 0;
  if (auto s = tpm.check(tpm.tss().marshal_public(&area, wire.data(), wire.size(), &size), "write a public area"); !s.ok()) return s;
  wire.resize(size);
  return wire;
}

Result<Loaded> create_primary(Connection& tpm, Handle hierarchy, View wire, const char* action) {
  Public area;
  if (auto s = read_public(tpm, wire, &area); !s.ok()) return s;
  const SensitiveCreate no_password;
  const Digest no_information;
  const PcrSelections no_pcrs;
  Loaded key(tpm);
  const Rc rc = tpm.tss().create_primary(tpm.esys(), hierarchy, kPassword, kNone, kNone, &no_password, &area, &no_information, &no_pcrs,
                                         key.out(), nullptr, nullptr, nullptr, nullptr);
  if (auto s = tpm.check(rc, action); !s.ok()) return s;
  return key;
}

// The library computes it from the public area that it encrypts session salts to: who knows a key by this name gets a session
// with that key's owner.
Result<Bytes> name_of(Connection& tpm, Handle object) {
  Owned<Name> name(tpm);
  if (auto s = tpm.check(tpm.tss().get_name(tpm.esys(), object, name.out()), "name a key"); !s.ok()) return s;
  return view(*name.get()).copy();
}

template <class Data>
Status get_capability(Connection& tpm, uint32_t capability, uint32_t property, uint32_t count, Owned<Capability<Data>>* out) {
  uint8_t more = 0;
  void** data = reinterpret_cast<void**>(out->out());
  return tpm.check(tpm.tss().get_capability(tpm.esys(), kNone, kNone, kNone, capability, property, count, &more, data),
                   "tell its capabilities");
}

struct Parent {
  Loaded transient;  // the key that we made, if we did
  Handle handle;
  Bytes name;
};

// The persistent storage key, where there is one that can be a parent.
Result<std::optional<Parent>> persistent_parent(Connection& tpm) {
  Owned<Capability<HandleList>> handles(tpm);  // asked for first: a handle that is not there would be an error
  if (auto s = get_capability(tpm, kCapHandles, kStorageKey, 1, &handles); !s.ok()) return s;
  if (handles->data.count == 0 || handles->data.first != kStorageKey) return std::optional<Parent>();

  Parent parent{Loaded(tpm), kNone, {}};
  Rc rc = tpm.tss().from_tpm_public(tpm.esys(), kStorageKey, kNone, kNone, kNone, &parent.handle);
  if (auto s = tpm.check(rc, "find its storage key"); !s.ok()) return s;
  Owned<Public> area(tpm);
  rc = tpm.tss().read_public(tpm.esys(), parent.handle, kNone, kNone, kNone, area.out(), nullptr, nullptr);
  if (auto s = tpm.check(rc, "read its storage key"); !s.ok()) return s;
  auto wire = write_public(tpm, *area.get());
  if (!wire.ok()) return wire.status();
  if (wire->size() < 10) return Status(Code::TPM_UNAVAILABLE, "the TPM's storage key is malformed");
  const uint32_t attributes = read_be<uint32_t>(wire->data() + 6);
  constexpr uint32_t kNeeded = kStorage | kUserWithAuth;
  if ((attributes & (kNeeded | kSignKey)) != kNeeded) return std::optional<Parent>();
  auto name = name_of(tpm, parent.handle);
  if (!name.ok()) return name.status();
  parent.name = std::move(*name);
  return std::optional<Parent>(std::move(parent));
}

// The persistent storage key, else the one of TCG's template. With a name, only the key of that name: a key made persistent,
// or evicted, after a value was sealed does no harm.
Result<Parent> find_parent(Connection& tpm, View wanted) {
  auto persistent = persistent_parent(tpm);
  if (!persistent.ok()) return persistent.status();
  if (*persistent && (wanted.size == 0 || equal((*persistent)->name, wanted))) return std::move(**persistent);

  auto key = create_primary(tpm, kOwner, storage_template(), "create its storage key");
  if (!key.ok()) return key.status();
  const Handle handle = key->handle();
  auto name = name_of(tpm, handle);
  if (!name.ok()) return name.status();
  if (wanted.size && !equal(*name, wanted))
    return Status(Code::HARDWARE_MISMATCH, "the value was sealed by another TPM, or before this one was cleared");
  return Parent{std::move(*key), handle, std::move(*name)};
}

// A session whose keys are derived from a salt that only the owner of `parent` can decrypt. Its `attributes` say which first
// parameter is encrypted: the command's (kDecrypt) or the response's (kEncrypt).
Result<Loaded> start_session(Connection& tpm, const Parent& parent, uint8_t type, uint8_t attributes) {
  const SymDef aes{kAes, 128, kCfb};
  Loaded session(tpm);
  Rc rc = tpm.tss().start_auth_session(tpm.esys(), parent.handle, kNone, kNone, kNone, kNone, nullptr, type, &aes, kSha256, session.out());
  if (auto s = tpm.check(rc, "start a session"); !s.ok()) return s;
  rc = tpm.tss().set_attributes(tpm.esys(), session.handle(), uint8_t(kContinue | attributes), 0xff);
  if (auto s = tpm.check(rc, "set up a session"); !s.ok()) return s;
  return session;
}

struct PolicySession {
  Loaded session;
  Digest policy;
};
// A session in which the PCRs as they are now have been put.
Result<PolicySession> start_policy(Connection& tpm, const Parent& parent, uint8_t type, uint32_t pcrs) {
  auto session = start_session(tpm, parent, type, kEncrypt);
  if (!session.ok()) return session.status();
  PcrSelections selections;
  selections.count = 1;
  selections.banks[0] = {kSha256, 3, {uint8_t(pcrs), uint8_t(pcrs >> 8), uint8_t(pcrs >> 16), 0}};
  const Digest as_they_are;
  Rc rc = tpm.tss().policy_pcr(tpm.esys(), session->handle(), kNone, kNone, kNone, &as_they_are, &selections);
  if (auto s = tpm.check(rc, "read its PCRs"); !s.ok()) return s;
  Owned<Digest> policy(tpm);
  rc = tpm.tss().policy_get_digest(tpm.esys(), session->handle(), kNone, kNone, kNone, policy.out());
  if (auto s = tpm.check(rc, "compute a policy"); !s.ok()) return s;
  if (policy->size != kPolicy) return Status(Code::TPM_UNAVAILABLE, "the TPM computed a policy of a strange size");
  return PolicySession{std::move(*session), *policy.get()};
}

// A TPM leaves PCRs of a bank that it does not have out of a policy, without an error.
Status check_bank(Connection& tpm, uint32_t pcrs) {
  Owned<Capability<PcrSelections>> assigned(tpm);
  if (auto s = get_capability(tpm, kCapPcrs, 0, 1, &assigned); !s.ok()) return s;
  const PcrSelections& banks = assigned->data;
  for (size_t i = 0; i < banks.count && i < std::size(banks.banks); i++) {
    const PcrSelection& bank = banks.banks[i];
    const uint32_t has = uint32_t(bank.bits[0]) | uint32_t(bank.bits[1]) << 8 | uint32_t(bank.bits[2]) << 16;
    if (bank.hash == kSha256 && bank.size >= 3 && (pcrs & ~has) == 0) return {};
  }
  return Status(Code::TPM_UNAVAILABLE, "the TPM has no SHA-256 bank with all of the PCRs asked for");
}

Result<Bytes> create(Connection& tpm, const Parent& parent, uint32_t pcrs, const Secret& value) {
  Public area;
  {
    auto trial = start_policy(tpm, parent, kTrialSession, pcrs);
    if (!trial.ok()) return trial.status();
    if (auto s = read_public(tpm, sealed_template(view(trial->policy)), &area); !s.ok()) return s;
  }
  auto memory = Secret::allocate(sizeof(SensitiveCreate));
  if (!memory.ok()) return memory.status();
  auto* sensitive = new (memory->reveal_mut().data) SensitiveCreate;
  sensitive->data.size = kValue;
  std::memcpy(sensitive->data.buffer, value.reveal().data, kValue);

  auto session = start_session(tpm, parent, kHmacSession, kDecrypt);
  if (!session.ok()) return session.status();
  const Digest no_information;
  const PcrSelections no_pcrs;
  Owned<Private> private_area(tpm);
  Owned<Public> public_area(tpm);
  const Rc rc = tpm.tss().create(tpm.esys(), parent.handle, session->handle(), kNone, kNone, sensitive, &area, &no_information, &no_pcrs,
                                 private_area.out(), public_area.out(), nullptr, nullptr, nullptr);
  if (auto s = tpm.check(rc, "seal a value"); !s.ok()) return s;

  Blob blob;
  blob.pcrs = pcrs;
  blob.parent = parent.name;
  auto wire = write_public(tpm, *public_area.get());
  if (!wire.ok()) return wire.status();
  blob.public_area = std::move(*wire);
  append_be(blob.private_area, private_area->size);
  append(blob.private_area, view(*private_area.get()));
  return blob.encode();
}

// The library keeps the last response, decrypted, in memory that it does not wipe. A longer one takes its place.
void overwrite_response(Connection& tpm) {
  Owned<Capability<uint32_t>> properties(tpm);
  (void)get_capability(tpm, kCapProperties, kFixedProperties, 64, &properties);
}

Result<Secret> load_and_unseal(Connection& tpm, const Parent& parent, const Blob& blob) {
  Public public_area;
  if (auto s = read_public(tpm, blob.public_area, &public_area); !s.ok()) return s;
  Private private_area;
  private_area.size = uint16_t(blob.private_area.size() - 2);
  std::memcpy(private_area.buffer, blob.private_area.data() + 2, private_area.size);
  Loaded object(tpm);
  Rc rc = tpm.tss().load(tpm.esys(), parent.handle, kPassword, kNone, kNone, &private_area, &public_area, object.out());
  if (auto s = tpm.check(rc, "load the sealed value"); !s.ok()) return s;

  auto policy = start_policy(tpm, parent, kPolicySession, blob.pcrs);
  if (!policy.ok()) return policy.status();
  if (!equal(view(policy->policy), blob.policy()))
    return Status(Code::TPM_REFUSED, "the TPM's PCR values are not those of the enrolment");
  Owned<SensitiveData> data(tpm);
  rc = tpm.tss().unseal(tpm.esys(), object.handle(), policy->session.handle(), kNone, kNone, data.out());
  if (auto s = tpm.check(rc, "unseal the value"); !s.ok()) return s;
  overwrite_response(tpm);
  const Span plain(data->buffer, std::min<size_t>(data->size, sizeof data->buffer));
  auto value = plain.size == kValue ? Secret::copy(plain) : Status(Code::KEY_INVALID, "the sealed value is not of 32 bytes");
  crypto::wipe(plain);
  return value;
}

// Nobody learns a value before the TPM has given it back once. That also overwrites the library's copy of what was sealed.
Result<Bytes> create_checked(Connection& tpm, uint32_t pcrs, const Secret& value) {
  if (auto s = check_bank(tpm, pcrs); !s.ok()) return s;
  auto parent = find_parent(tpm, View());
  if (!parent.ok()) return parent.status();
  auto made = create(tpm, *parent, pcrs, value);
  if (!made.ok()) return made;
  auto blob = parse_blob(*made);
  if (!blob.ok()) return Status(Code::TPM_UNAVAILABLE, "the TPM made a sealed value of a form that this program does not store");
  auto back = load_and_unseal(tpm, *parent, *blob);
  if (!back.ok()) return back.status();
  if (!crypto::equal(back->reveal(), value.reveal()))
    return Status(Code::TPM_UNAVAILABLE, "the TPM gave back another value than it sealed");
  return made;
}

// Without a resource manager a TPM has room for one of us, and /dev/tpm0 opens once.
std::mutex one_at_a_time;

// Does all of `work` again where the TPM was busy or a PCR changed between the policy and its use.
template <class T, class Work>
Result<T> with_tpm(const Work& work) {
  const std::lock_guard<std::mutex> lock(one_at_a_time);
  for (int left = kAttempts;; left--) {
    auto tpm = Connection::open();
    if (!tpm.ok()) return tpm.status();
    Result<T> result = work(**tpm);
    if (result.ok() || !(*tpm)->passing() || left == 1) return result;
  }
}

}  // namespace

Result<Sealed> seal(uint32_t pcrs) {
  if (!is_pcrs(pcrs)) return Status(Code::INVALID_ARGUMENT, "a TPM policy names one or more of the PCRs 0 to 23");
  auto value = Secret::allocate(kValue);
  if (!value.ok()) return value.status();
  if (auto s = crypto::random_bytes(value->reveal_mut()); !s.ok()) return s;
  auto blob = with_tpm<Bytes>([&](Connection& tpm) { return create_checked(tpm, pcrs, *value); });
  if (!blob.ok()) return blob.status();
  return Sealed{std::move(*blob), std::move(*value)};
}

Result<Secret> unseal(View bytes) {
  auto blob = parse_blob(bytes);
  if (!blob.ok()) return blob.status();
  return with_tpm<Secret>([&](Connection& tpm) -> Result<Secret> {
    auto parent = find_parent(tpm, blob->parent);
    if (!parent.ok()) return parent.status();
    return load_and_unseal(tpm, *parent, *blob);
  });
}

Result<Bytes> endorsement_name() {
  return with_tpm<Bytes>([](Connection& tpm) -> Result<Bytes> {
    auto key = create_primary(tpm, kEndorsement, endorsement_template(), "create its endorsement key");
    if (!key.ok()) return key.status();
    return name_of(tpm, key->handle());
  });
}

}  // namespace mg::hardware::tpm
