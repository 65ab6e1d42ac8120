// Sealing and unsealing (TPM 2.0 Library, part 1: sessions, section 19; parameter encryption, 21; sealed data, 27).
#include "hardware/tpm.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <memory>
#include <new>

#include "crypto/crypto.h"
#include "hardware/tpm_blob.h"
#include "hardware/tpm_calls.h"
#include "hardware/tpm_connection.h"
#include "hardware/tpm_keys.h"
#include "hardware/tpm_pcrs.h"

namespace mg::hardware::tpm {
namespace {

using namespace tss2;

constexpr size_t kValue = 32;

// A session whose keys are derived from a salt that only the owner of `parent` can decrypt. Of the two first parameters, it encrypts the
// command's (attribute kDecrypt) or the response's (kEncrypt).
Result<TransientHandle> start_session(Connection& tpm, const Parent& parent, uint8_t type, uint8_t attributes) {
  const SymDef aes{kAes, 128, kCfb};
  TransientHandle session(tpm);
  Rc rc = tpm.tss().start_auth_session(tpm.esys(), parent.handle, kNone, kNone, kNone, kNone, nullptr, type, &aes, kSha256,
                                       session.out());
  if (auto s = tpm.check(rc, "start a session"); !s.ok()) return s;
  rc = tpm.tss().set_attributes(tpm.esys(), session.handle(), uint8_t(kContinue | attributes), 0xff);
  if (auto s = tpm.check(rc, "set up a session"); !s.ok()) return s;
  return session;
}

struct PolicySession {
  TransientHandle session;
  Bytes digest;
};
// A session whose policy is the PCRs as they are now.
Result<PolicySession> start_policy(Connection& tpm, const Parent& parent, uint8_t type, uint32_t pcrs) {
  auto session = start_session(tpm, parent, type, kEncrypt);
  if (!session.ok()) return session.status();
  const PcrSelections selections = select_pcrs(pcrs);
  const Digest as_they_are;
  Rc rc = tpm.tss().policy_pcr(tpm.esys(), session->handle(), kNone, kNone, kNone, &as_they_are, &selections);
  if (auto s = tpm.check(rc, "read its PCRs"); !s.ok()) return s;
  LibraryBuffer<Digest> policy(tpm);
  rc = tpm.tss().policy_get_digest(tpm.esys(), session->handle(), kNone, kNone, kNone, policy.out());
  if (auto s = tpm.check(rc, "compute a policy"); !s.ok()) return s;
  if (policy->size != kPolicy) return Status(Code::TPM_UNAVAILABLE, "the TPM computed a policy of a strange size");
  return PolicySession{std::move(*session), view(*policy.get()).copy()};
}

Result<Bytes> create(Connection& tpm, const Parent& parent, uint32_t pcrs, const Secret& value) {
  Public area;
  {
    auto trial = start_policy(tpm, parent, kTrialSession, pcrs);
    if (!trial.ok()) return trial.status();
    if (auto s = read_public(tpm, sealed_template(trial->digest), &area); !s.ok()) return s;
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
  LibraryBuffer<Private> private_area(tpm);
  LibraryBuffer<Public> public_area(tpm);
  const Rc rc = tpm.tss().create(tpm.esys(), parent.handle, session->handle(), kNone, kNone, sensitive, &area, &no_information,
                                 &no_pcrs, private_area.out(), public_area.out(), nullptr, nullptr, nullptr);
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

// The library keeps the last response, decrypted, in memory that it does not wipe. Asks for a longer response, which overwrites it.
Status overwrite_response(Connection& tpm) {
  LibraryBuffer<Capability<uint32_t>> properties(tpm);
  return get_capability(tpm, kCapProperties, kFixedProperties, 64, &properties);
}

Result<Secret> load_and_unseal(Connection& tpm, const Parent& parent, const Blob& blob) {
  Public public_area;
  if (auto s = read_public(tpm, blob.public_area, &public_area); !s.ok()) return s;
  Private private_area;
  private_area.size = uint16_t(blob.private_area.size() - 2);
  std::memcpy(private_area.buffer, blob.private_area.data() + 2, private_area.size);
  TransientHandle object(tpm);
  Rc rc = tpm.tss().load(tpm.esys(), parent.handle, kPassword, kNone, kNone, &private_area, &public_area, object.out());
  if (auto s = tpm.check(rc, "load the sealed value"); !s.ok()) return s;

  auto policy = start_policy(tpm, parent, kPolicySession, blob.pcrs);
  if (!policy.ok()) return policy.status();
  if (!equal(policy->digest, blob.policy()))
    return Status(Code::TPM_REFUSED, "the TPM's PCR values are not those of the enrolment");
  LibraryBuffer<SensitiveData> data(tpm);
  rc = tpm.tss().unseal(tpm.esys(), object.handle(), policy->session.handle(), kNone, kNone, data.out());
  // check_response(): a value that arrived must be wiped below, even after the caller has left.
  if (auto s = tpm.check_response(rc, "unseal the value"); !s.ok()) return s;
  const Status overwritten = overwrite_response(tpm);
  const Span plain(data->buffer, std::min<size_t>(data->size, sizeof data->buffer));
  auto value = plain.size == kValue ? Secret::copy(plain) : Status(Code::KEY_INVALID, "the sealed value does not have 32 bytes");
  crypto::wipe(plain);
  if (!overwritten.ok()) return overwritten;
  return value;
}

struct Created {
  Bytes blob;
  uint32_t unmeasured;
};
// Seals a value, and unseals it once before it is used. That also overwrites the library's copy of the sealed value.
Result<Created> create_checked(Connection& tpm, uint32_t pcrs, const Secret& value) {
  if (auto s = check_bank(tpm, pcrs); !s.ok()) return s;
  auto parent = find_parent(tpm, View());
  if (!parent.ok()) return parent.status();
  auto made = create(tpm, *parent, pcrs, value);
  if (!made.ok()) return made.status();
  auto blob = parse_blob(*made);
  if (!blob.ok()) return Status(Code::TPM_UNAVAILABLE, "the TPM made a sealed value in a form that this program does not store");
  auto back = load_and_unseal(tpm, *parent, *blob);
  if (!back.ok()) return back.status();
  if (!crypto::equal(back->reveal(), value.reveal()))
    return Status(Code::TPM_UNAVAILABLE, "the TPM gave back another value than it sealed");
  auto unmeasured = find_unmeasured(tpm, pcrs, blob->policy());
  if (!unmeasured.ok()) return unmeasured.status();
  return Created{std::move(*made), *unmeasured};
}

// For calls without a stored value: an error about a stored value then means that this TPM cannot be used.
Status unusable(Status status) {
  for (const Code code : {Code::HARDWARE_MISMATCH, Code::TPM_REFUSED, Code::KEY_INVALID}) {
    if (status.code == code) status.code = Code::TPM_UNAVAILABLE;
  }
  return status;
}

}  // namespace

Result<Sealed> seal(uint32_t pcrs, const Cancelled* cancelled) {
  if (!is_pcrs(pcrs)) return Status(Code::INVALID_ARGUMENT, "a TPM policy names one or more of the PCRs 0 to 23");
  auto random = Secret::allocate(kValue);
  if (!random.ok()) return random.status();
  if (auto s = crypto::random_bytes(random->reveal_mut()); !s.ok()) return s;
  auto value = std::make_shared<Secret>(std::move(*random));
  auto made = with_tpm<Created>([value, pcrs](Connection& tpm) { return create_checked(tpm, pcrs, *value); }, cancelled);
  if (!made.ok()) return unusable(made.status());
  auto kept = Secret::copy(value->reveal());
  if (!kept.ok()) return kept.status();
  return Sealed{std::move(made->blob), std::move(*kept), made->unmeasured};
}

Result<Secret> unseal(View bytes, const Cancelled* cancelled) {
  auto parsed = parse_blob(bytes);
  if (!parsed.ok()) return parsed.status();
  return with_tpm<Secret>(
      [blob = std::move(*parsed)](Connection& tpm) -> Result<Secret> {
        auto parent = find_parent(tpm, blob.parent);
        if (!parent.ok()) return parent.status();
        return load_and_unseal(tpm, *parent, blob);
      },
      cancelled);
}

Result<Bytes> endorsement_name(const Cancelled* cancelled) {
  auto name = with_tpm<Bytes>(name_endorsement_key, cancelled);
  if (!name.ok()) return unusable(name.status());
  return name;
}

}  // namespace mg::hardware::tpm
