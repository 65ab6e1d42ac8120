// Declares the functions of the system's TPM library (tss2: ESYS, MU and the TCTI loader) that this room uses, and binds them at run time:
// neither a build nor a machine without a TPM needs the library. native/test/hardware/tpm_layout_test.cc compares them with the library's
// headers.
#pragma once
#include <cstddef>
#include <cstdint>

#include "status.h"

namespace mg::hardware::tss2 {

using Rc = uint32_t;      // TSS2_RC
using Handle = uint32_t;  // ESYS_TR
struct Esys;              // ESYS_CONTEXT
struct Tcti;              // TSS2_TCTI_CONTEXT

// TPM2B_*: a size and that many bytes. N is at least the library's own, because the library copies whole structures.
template <size_t N>
struct Sized {
  uint16_t size = 0;
  uint8_t buffer[N] = {};
};
using Digest = Sized<64>;  // also a nonce, an authorization value and outside information
using Name = Sized<68>;
using SensitiveData = Sized<256>;
using Private = Sized<2048>;

// TPM2B_PUBLIC, filled and read by the library's marshalling alone.
struct Public {
  alignas(8) uint8_t opaque[1024] = {};
};

struct SensitiveCreate {  // TPM2B_SENSITIVE_CREATE
  uint16_t size = 0;
  Digest auth;
  SensitiveData data;
};

struct SymDef {  // TPMT_SYM_DEF
  uint16_t algorithm, bits, mode;
};

struct PcrSelection {  // TPMS_PCR_SELECTION
  uint16_t hash = 0;
  uint8_t size = 0;
  uint8_t bits[4] = {};
};
struct PcrSelections {  // TPML_PCR_SELECTION
  uint32_t count = 0;
  PcrSelection banks[16];
};

struct DigestList {  // TPML_DIGEST
  uint32_t count = 0;
  Digest digests[8];
};

struct HandleList {  // TPML_HANDLE, whose array is longer
  uint32_t count;
  uint32_t first;
};
template <class Data>
struct Capability {  // TPMS_CAPABILITY_DATA, one arm of its union
  uint32_t capability;
  Data data;
};

constexpr Handle kPassword = 0x0ff, kNone = 0xfff, kOwner = 0x101, kEndorsement = 0x10b;
constexpr uint16_t kAes = 0x0006, kSha256 = 0x000b, kNull = 0x0010, kCfb = 0x0043;
constexpr uint8_t kHmacSession = 0x00, kPolicySession = 0x01, kTrialSession = 0x03;
constexpr uint8_t kContinue = 0x01, kDecrypt = 0x20, kEncrypt = 0x40;  // TPMA_SESSION
constexpr uint32_t kCapHandles = 1, kCapPcrs = 5, kCapProperties = 6, kFixedProperties = 0x100;

struct Library {
  Rc (*tcti_initialize)(const char* name_and_configuration, Tcti** tcti);
  void (*tcti_finalize)(Tcti** tcti);

  Rc (*initialize)(Esys** esys, Tcti* tcti, void* abi_version);
  void (*finalize)(Esys** esys);
  void (*free)(void* buffer);

  Rc (*from_tpm_public)(Esys*, uint32_t tpm_handle, Handle, Handle, Handle, Handle* object);
  Rc (*get_name)(Esys*, Handle object, Name** name);
  Rc (*read_public)(Esys*, Handle object, Handle, Handle, Handle, Public** out_public, Name** name, Name** qualified_name);
  Rc (*create_primary)(Esys*, Handle hierarchy, Handle, Handle, Handle, const SensitiveCreate*, const Public*,
                       const Digest* outside_info, const PcrSelections*, Handle* object, Public** out_public,
                       void** creation_data, Digest** creation_hash, void** creation_ticket);
  Rc (*create)(Esys*, Handle parent, Handle, Handle, Handle, const SensitiveCreate*, const Public*, const Digest* outside_info,
               const PcrSelections*, Private** out_private, Public** out_public, void** creation_data, Digest** creation_hash,
               void** creation_ticket);
  Rc (*load)(Esys*, Handle parent, Handle, Handle, Handle, const Private*, const Public*, Handle* object);
  Rc (*unseal)(Esys*, Handle object, Handle, Handle, Handle, SensitiveData** data);
  Rc (*flush_context)(Esys*, Handle object);

  Rc (*start_auth_session)(Esys*, Handle salt_key, Handle bind, Handle, Handle, Handle, const Digest* nonce, uint8_t type,
                           const SymDef*, uint16_t hash, Handle* session);
  Rc (*set_attributes)(Esys*, Handle session, uint8_t flags, uint8_t mask);
  Rc (*policy_pcr)(Esys*, Handle session, Handle, Handle, Handle, const Digest* pcr_digest, const PcrSelections*);
  Rc (*pcr_read)(Esys*, Handle, Handle, Handle, const PcrSelections* wanted, uint32_t* update_counter, PcrSelections** given,
                 DigestList** values);
  Rc (*policy_get_digest)(Esys*, Handle session, Handle, Handle, Handle, Digest** digest);
  Rc (*get_capability)(Esys*, Handle, Handle, Handle, uint32_t capability, uint32_t property, uint32_t count, uint8_t* more,
                       void** data);

  Rc (*marshal_public)(const Public*, uint8_t* out, size_t size, size_t* offset);
  Rc (*unmarshal_public)(const uint8_t* in, size_t size, size_t* offset, Public* out);
};

// Loads the library at the first call and keeps it until the process ends. TPM_UNAVAILABLE, with the name of what is missing.
Result<const Library*> library();

}  // namespace mg::hardware::tss2
