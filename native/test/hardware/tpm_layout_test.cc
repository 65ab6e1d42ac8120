// Our declarations of the TPM library against its own headers, where they are installed.
#include <doctest/doctest.h>

#include <cstdio>

#include "hardware/tss2.h"

#if __has_include(<tss2/tss2_esys.h>) && __has_include(<tss2/tss2_mu.h>) && __has_include(<tss2/tss2_tctildr.h>)
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_tctildr.h>

#include <type_traits>

using namespace mg::hardware;

// Structures of which only size and bytes are used: ours may be longer, never shorter.
#define MG_SAME_SIZED(ours, theirs, bytes)                                                                      \
  static_assert(offsetof(tss2::ours, size) == offsetof(theirs, size) && sizeof(tss2::ours) >= sizeof(theirs) && \
                offsetof(tss2::ours, buffer) == offsetof(theirs, bytes))
MG_SAME_SIZED(Digest, TPM2B_DIGEST, buffer);
MG_SAME_SIZED(Digest, TPM2B_NONCE, buffer);
MG_SAME_SIZED(Digest, TPM2B_DATA, buffer);
MG_SAME_SIZED(Name, TPM2B_NAME, name);
MG_SAME_SIZED(Private, TPM2B_PRIVATE, buffer);
MG_SAME_SIZED(SensitiveData, TPM2B_SENSITIVE_DATA, buffer);
static_assert(sizeof(tss2::Public) >= sizeof(TPM2B_PUBLIC) && alignof(tss2::Public) >= alignof(TPM2B_PUBLIC));

// Structures whose fields we set.
static_assert(sizeof(tss2::SensitiveCreate) == sizeof(TPM2B_SENSITIVE_CREATE));
static_assert(offsetof(tss2::SensitiveCreate, auth) == offsetof(TPM2B_SENSITIVE_CREATE, sensitive.userAuth));
static_assert(offsetof(tss2::SensitiveCreate, data) == offsetof(TPM2B_SENSITIVE_CREATE, sensitive.data));
static_assert(sizeof(tss2::SymDef) == sizeof(TPMT_SYM_DEF));
static_assert(offsetof(tss2::SymDef, algorithm) == offsetof(TPMT_SYM_DEF, algorithm));
static_assert(offsetof(tss2::SymDef, bits) == offsetof(TPMT_SYM_DEF, keyBits.aes));
static_assert(offsetof(tss2::SymDef, mode) == offsetof(TPMT_SYM_DEF, mode.aes));
static_assert(sizeof(tss2::PcrSelection) == sizeof(TPMS_PCR_SELECTION));
static_assert(offsetof(tss2::PcrSelection, hash) == offsetof(TPMS_PCR_SELECTION, hash));
static_assert(offsetof(tss2::PcrSelection, size) == offsetof(TPMS_PCR_SELECTION, sizeofSelect));
static_assert(offsetof(tss2::PcrSelection, bits) == offsetof(TPMS_PCR_SELECTION, pcrSelect));
static_assert(sizeof(tss2::PcrSelections) == sizeof(TPML_PCR_SELECTION));
static_assert(offsetof(tss2::PcrSelections, count) == offsetof(TPML_PCR_SELECTION, count));
static_assert(offsetof(tss2::PcrSelections, banks) == offsetof(TPML_PCR_SELECTION, pcrSelections));
static_assert(sizeof(tss2::DigestList) == sizeof(TPML_DIGEST) && sizeof(tss2::Digest) == sizeof(TPM2B_DIGEST));
static_assert(offsetof(tss2::DigestList, count) == offsetof(TPML_DIGEST, count));
static_assert(offsetof(tss2::DigestList, digests) == offsetof(TPML_DIGEST, digests));
static_assert(offsetof(tss2::Capability<tss2::HandleList>, data.count) == offsetof(TPMS_CAPABILITY_DATA, data.handles.count));
static_assert(offsetof(tss2::Capability<tss2::HandleList>, data.first) == offsetof(TPMS_CAPABILITY_DATA, data.handles.handle));
static_assert(offsetof(tss2::Capability<tss2::PcrSelections>, data) == offsetof(TPMS_CAPABILITY_DATA, data.assignedPCR));
static_assert(sizeof(tss2::Capability<tss2::PcrSelections>) <= sizeof(TPMS_CAPABILITY_DATA));

static_assert(tss2::kPassword == ESYS_TR_PASSWORD && tss2::kNone == ESYS_TR_NONE);
static_assert(tss2::kOwner == ESYS_TR_RH_OWNER && tss2::kEndorsement == ESYS_TR_RH_ENDORSEMENT);
static_assert(tss2::kAes == TPM2_ALG_AES && tss2::kSha256 == TPM2_ALG_SHA256);
static_assert(tss2::kNull == TPM2_ALG_NULL && tss2::kCfb == TPM2_ALG_CFB);
static_assert(tss2::kHmacSession == TPM2_SE_HMAC && tss2::kPolicySession == TPM2_SE_POLICY);
static_assert(tss2::kTrialSession == TPM2_SE_TRIAL && tss2::kContinue == TPMA_SESSION_CONTINUESESSION);
static_assert(tss2::kDecrypt == TPMA_SESSION_DECRYPT && tss2::kEncrypt == TPMA_SESSION_ENCRYPT);
static_assert(tss2::kCapHandles == TPM2_CAP_HANDLES && tss2::kCapPcrs == TPM2_CAP_PCRS);
static_assert(tss2::kCapProperties == TPM2_CAP_TPM_PROPERTIES && tss2::kFixedProperties == TPM2_PT_FIXED);

namespace {

// As many parameters, each passed the same way: an integer of the same size, or a pointer.
template <class Ours, class Theirs>
struct SameCall : std::false_type {};
template <class R, class... A, class S, class... B>
struct SameCall<R (*)(A...), S (*)(B...)> {
  static constexpr bool passed_alike() {
    if constexpr (sizeof...(A) == sizeof...(B)) {
      return std::is_same_v<R, S> && ((std::is_pointer_v<A> == std::is_pointer_v<B> && sizeof(A) == sizeof(B)) && ...);
    } else {
      return false;
    }
  }
  static constexpr bool value = passed_alike();
};
template <auto Member, class Theirs>
struct Field;
template <class Function, Function tss2::Library::*Member, class Theirs>
struct Field<Member, Theirs> : SameCall<Function, Theirs*> {};

}  // namespace

#define MG_SAME_CALL(ours, theirs) static_assert(Field<&tss2::Library::ours, decltype(theirs)>::value)
MG_SAME_CALL(tcti_initialize, Tss2_TctiLdr_Initialize);
MG_SAME_CALL(tcti_finalize, Tss2_TctiLdr_Finalize);
MG_SAME_CALL(initialize, Esys_Initialize);
MG_SAME_CALL(finalize, Esys_Finalize);
MG_SAME_CALL(free, Esys_Free);
MG_SAME_CALL(from_tpm_public, Esys_TR_FromTPMPublic);
MG_SAME_CALL(get_name, Esys_TR_GetName);
MG_SAME_CALL(read_public, Esys_ReadPublic);
MG_SAME_CALL(create_primary, Esys_CreatePrimary);
MG_SAME_CALL(create, Esys_Create);
MG_SAME_CALL(load, Esys_Load);
MG_SAME_CALL(unseal, Esys_Unseal);
MG_SAME_CALL(flush_context, Esys_FlushContext);
MG_SAME_CALL(start_auth_session, Esys_StartAuthSession);
MG_SAME_CALL(set_attributes, Esys_TRSess_SetAttributes);
MG_SAME_CALL(policy_pcr, Esys_PolicyPCR);
MG_SAME_CALL(pcr_read, Esys_PCR_Read);
MG_SAME_CALL(policy_get_digest, Esys_PolicyGetDigest);
MG_SAME_CALL(get_capability, Esys_GetCapability);
MG_SAME_CALL(marshal_public, Tss2_MU_TPM2B_PUBLIC_Marshal);
MG_SAME_CALL(unmarshal_public, Tss2_MU_TPM2B_PUBLIC_Unmarshal);

TEST_CASE("tpm: our declarations agree with the library's headers") { CHECK(true); }  // else this file does not compile

#else
TEST_CASE("tpm: our declarations agree with the library's headers") { std::printf("SKIPPED: libtss2-dev is not installed\n"); }
#endif
