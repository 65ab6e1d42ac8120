// Finds the TPM library. Two things are deliberately left undone:
// - TSS2_LOG is not set, so the library prints its errors to stderr (TSS2_LOG=all+none silences it). Setting it would change the
//   environment while another thread may be in getenv. Instead, likely refusals are checked before the library meets them: no persistent
//   key, another TPM, other PCR values.
// - RTLD_DEEPBIND is not used: with a preloaded allocator, memory of one malloc would reach the other's free. In Node, ESYS therefore
//   calls the OpenSSL 3 that Node exports, for every function it needs, so that two OpenSSLs never share an object.
#include "hardware/tss2.h"

#include <dlfcn.h>

#include <mutex>
#include <optional>
#include <string>

namespace mg::hardware::tss2 {
namespace {

#ifdef __APPLE__
constexpr const char *kEsys = "libtss2-esys.0.dylib", *kLoader = "libtss2-tctildr.0.dylib", *kMu = "libtss2-mu.0.dylib";
#else
constexpr const char *kEsys = "libtss2-esys.so.0", *kLoader = "libtss2-tctildr.so.0", *kMu = "libtss2-mu.so.0";
#endif

// Binds the functions of one library; the first failure stays.
class Binder {
 public:
  Binder(const char* name, Status* status) : name_(name), status_(status) {
    if (!status_->ok()) return;
    library_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library_) return;
    const char* why = dlerror();
    *status_ = Status(Code::TPM_UNAVAILABLE, std::string("the TPM library cannot be loaded: ") + (why ? why : name));
  }

  template <class Function>
  void operator()(const char* symbol, Function* function) {
    if (!status_->ok()) return;
    *function = reinterpret_cast<Function>(dlsym(library_, symbol));
    if (!*function)
      *status_ = Status(Code::TPM_UNAVAILABLE, std::string("the TPM library ") + name_ + " is too old: it has no " + symbol);
  }

 private:
  const char* name_;
  Status* status_;
  void* library_ = nullptr;
};

struct Loaded {
  Library library{};
  Status status;
};

Loaded load() {
  Loaded loaded;
  Library& to = loaded.library;
  Binder mu(kMu, &loaded.status);
  mu("Tss2_MU_TPM2B_PUBLIC_Marshal", &to.marshal_public);
  mu("Tss2_MU_TPM2B_PUBLIC_Unmarshal", &to.unmarshal_public);
  Binder loader(kLoader, &loaded.status);
  loader("Tss2_TctiLdr_Initialize", &to.tcti_initialize);
  loader("Tss2_TctiLdr_Finalize", &to.tcti_finalize);
  Binder esys(kEsys, &loaded.status);
  esys("Esys_Initialize", &to.initialize);
  esys("Esys_Finalize", &to.finalize);
  esys("Esys_Free", &to.free);
  esys("Esys_TR_FromTPMPublic", &to.from_tpm_public);
  esys("Esys_TR_GetName", &to.get_name);
  esys("Esys_ReadPublic", &to.read_public);
  esys("Esys_CreatePrimary", &to.create_primary);
  esys("Esys_Create", &to.create);
  esys("Esys_Load", &to.load);
  esys("Esys_Unseal", &to.unseal);
  esys("Esys_FlushContext", &to.flush_context);
  esys("Esys_StartAuthSession", &to.start_auth_session);
  esys("Esys_TRSess_SetAttributes", &to.set_attributes);
  esys("Esys_PolicyPCR", &to.policy_pcr);
  esys("Esys_PCR_Read", &to.pcr_read);
  esys("Esys_PolicyGetDigest", &to.policy_get_digest);
  esys("Esys_GetCapability", &to.get_capability);
  return loaded;
}

}  // namespace

Result<const Library*> library() {
  static std::mutex mutex;
  static std::optional<Library> kept;  // not const: tests put faults in
  std::lock_guard<std::mutex> lock(mutex);
  if (!kept) {
    Loaded loaded = load();
    if (!loaded.status.ok()) return loaded.status;  // not kept: the library may be installed later
    kept = loaded.library;
  }
  return &*kept;
}

}  // namespace mg::hardware::tss2
