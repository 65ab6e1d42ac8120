// Templates: TCG EK Credential Profile, B.3.4 (L-2); TPM 2.0 Provisioning Guidance, 7.5.1: the same with other attributes and no policy.
#include "hardware/tpm_keys.h"

#include <optional>

namespace mg::hardware::tpm {
namespace {

using namespace tss2;

constexpr uint32_t kStorageKey = 0x81000001;  // the persistent handle that the provisioning guidance gives it

// TPMA_OBJECT
constexpr uint32_t kFixedTpm = 1 << 1, kFixedParent = 1 << 4, kDataOrigin = 1 << 5, kUserWithAuth = 1 << 6;
constexpr uint32_t kAdminWithPolicy = 1 << 7, kNoDa = 1 << 10, kRestricted = 1 << 16, kDecryptKey = 1 << 17, kSignKey = 1 << 18;
constexpr uint32_t kStorage = kFixedTpm | kFixedParent | kDataOrigin | kRestricted | kDecryptKey;

// TPM2B_PUBLIC of an ECC P-256 storage key.
Bytes ecc_template(uint32_t attributes, View policy) {
  Bytes area;
  append_be<uint16_t>(area, 0x0023);  // ECC
  append_be(area, kSha256);
  append_be(area, attributes);
  append_be(area, uint16_t(policy.size));
  append(area, policy);
  for (const uint16_t field : {kAes, uint16_t(128), kCfb}) append_be(area, field);
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

Bytes storage_template() { return ecc_template(kStorage | kUserWithAuth | kNoDa, View()); }

Bytes endorsement_template() {
  static constexpr uint8_t kPolicySecretOfEndorsement[] = {0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc,
                                                           0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52,
                                                           0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa};
  return ecc_template(kStorage | kAdminWithPolicy, kPolicySecretOfEndorsement);
}

Result<TransientHandle> create_primary(Connection& tpm, Handle hierarchy, View wire, const char* action) {
  Public area;
  if (auto s = read_public(tpm, wire, &area); !s.ok()) return s;
  const SensitiveCreate no_password;
  const Digest no_information;
  const PcrSelections no_pcrs;
  TransientHandle key(tpm);
  const Rc rc = tpm.tss().create_primary(tpm.esys(), hierarchy, kPassword, kNone, kNone, &no_password, &area, &no_information,
                                         &no_pcrs, key.out(), nullptr, nullptr, nullptr, nullptr);
  if (auto s = tpm.check(rc, action); !s.ok()) return s;
  return key;
}

// The library computes the name from the public area to which it encrypts a session's salt. So a session with a key of a known name is
// secure against an attacker on the bus.
Result<Bytes> name_of(Connection& tpm, Handle object) {
  LibraryBuffer<Name> name(tpm);
  if (auto s = tpm.check(tpm.tss().get_name(tpm.esys(), object, name.out()), "name a key"); !s.ok()) return s;
  return view(*name.get()).copy();
}

Result<bool> can_be_parent(Connection& tpm, Handle key) {
  LibraryBuffer<Public> area(tpm);
  const Rc rc = tpm.tss().read_public(tpm.esys(), key, kNone, kNone, kNone, area.out(), nullptr, nullptr);
  if (auto s = tpm.check(rc, "read its storage key"); !s.ok()) return s;
  auto wire = write_public(tpm, *area.get());
  if (!wire.ok()) return wire.status();
  constexpr size_t kAttributesAt = 6;  // after size, type and name algorithm
  if (wire->size() < kAttributesAt + 4) return false;
  constexpr uint32_t kNeeded = kStorage | kUserWithAuth;
  return (read_be<uint32_t>(wire->data() + kAttributesAt) & (kNeeded | kSignKey)) == kNeeded;
}

Result<std::optional<Parent>> persistent_parent(Connection& tpm) {
  LibraryBuffer<Capability<HandleList>> handles(tpm);  // to open a missing handle would be an error, which the library prints
  if (auto s = get_capability(tpm, kCapHandles, kStorageKey, 1, &handles); !s.ok()) return s;
  if (handles->data.count == 0 || handles->data.first != kStorageKey) return std::optional<Parent>();

  Parent parent{TransientHandle(tpm), kNone, {}};
  const Rc rc = tpm.tss().from_tpm_public(tpm.esys(), kStorageKey, kNone, kNone, kNone, &parent.handle);
  if (auto s = tpm.check(rc, "find its storage key"); !s.ok()) return s;
  auto usable = can_be_parent(tpm, parent.handle);
  if (!usable.ok()) return usable.status();
  if (!*usable) return std::optional<Parent>();
  auto name = name_of(tpm, parent.handle);
  if (!name.ok()) return name.status();
  parent.name = std::move(*name);
  return std::optional<Parent>(std::move(parent));
}

}  // namespace

Status read_public(Connection& tpm, View wire, Public* out) {
  size_t offset = 0;
  return tpm.check(tpm.tss().unmarshal_public(wire.data, wire.size, &offset, out), "read a public area");
}

Result<Bytes> write_public(Connection& tpm, const Public& area) {
  Bytes wire(sizeof(Public));
  size_t size = 0;
  const Rc rc = tpm.tss().marshal_public(&area, wire.data(), wire.size(), &size);
  if (auto s = tpm.check(rc, "write a public area"); !s.ok()) return s;
  wire.resize(size);
  return wire;
}

Result<Parent> find_parent(Connection& tpm, View wanted) {
  auto persistent = persistent_parent(tpm);
  if (!persistent.ok()) return persistent.status();
  if (*persistent && (wanted.size == 0 || equal((*persistent)->name, wanted))) return std::move(**persistent);

  auto key = create_primary(tpm, kOwner, storage_template(), "create its storage key");
  if (!key.ok()) return key.status();
  auto name = name_of(tpm, key->handle());
  if (!name.ok()) return name.status();
  if (wanted.size && !equal(*name, wanted))
    return Status(Code::HARDWARE_MISMATCH, "the value was sealed by another TPM, or before this one was cleared");
  const Handle handle = key->handle();
  return Parent{std::move(*key), handle, std::move(*name)};
}

Result<Bytes> name_endorsement_key(Connection& tpm) {
  auto key = create_primary(tpm, kEndorsement, endorsement_template(), "create its endorsement key");
  if (!key.ok()) return key.status();
  return name_of(tpm, key->handle());
}

}  // namespace mg::hardware::tpm
