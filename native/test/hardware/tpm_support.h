// Sealing and opening with a TPM, checked, and a blob that no TPM made.
#pragma once
#include <doctest/doctest.h>
#include <stdlib.h>

#include "hardware/tpm.h"
#include "hardware/tpm_blob.h"
#include "hardware/tss2.h"

namespace tpm_test {

using namespace mg;
using namespace mg::hardware;

struct Environment {  // MODEL_GUARD_TCTI for one test
  explicit Environment(const char* value) { value ? setenv("MODEL_GUARD_TCTI", value, 1) : unsetenv("MODEL_GUARD_TCTI"); }
  ~Environment() { unsetenv("MODEL_GUARD_TCTI"); }
};

// While one lives, `Before` runs before each call of a function of the TPM library. Where it gives a code other than 0, that is the
// result, and nothing is called.
template <auto Function, tss2::Rc (*Before)()>
class Hooked;
template <class... A, tss2::Rc (*tss2::Library::*Function)(A...), tss2::Rc (*Before)()>
class Hooked<Function, Before> {
 public:
  Hooked() : library_(const_cast<tss2::Library&>(**tss2::library())) {
    original_ = library_.*Function;
    library_.*Function = call;
  }
  ~Hooked() { library_.*Function = original_; }

 private:
  static tss2::Rc call(A... arguments) {
    const tss2::Rc code = Before();
    return code != 0 ? code : original_(arguments...);
  }
  static inline tss2::Rc (*original_)(A...);
  tss2::Library& library_;
};

inline tpm::Sealed seal(uint32_t pcrs = tpm::kDefaultPcrs) {
  auto sealed = tpm::seal(pcrs);
  REQUIRE_MESSAGE(sealed.ok(), sealed.status().what);
  return std::move(*sealed);
}

inline void check_opens(const tpm::Sealed& sealed) {
  const auto value = tpm::unseal(sealed.blob);
  REQUIRE_MESSAGE(value.ok(), value.status().what);
  CHECK(equal(value->reveal(), sealed.value.reveal()));
}

inline void check_refused(View blob, Code code) {
  const auto value = tpm::unseal(blob);
  REQUIRE(!value.ok());
  CHECK_MESSAGE(value.status().code == code, code_name(value.status().code), ": ", value.status().what);
}

// A blob in the form of a real one, with contents made up.
inline tpm::Blob made_up_blob() {
  tpm::Blob blob;
  blob.pcrs = 0x81;
  blob.parent = {0x00, 0x0b};
  blob.parent.resize(34, 0x11);
  blob.public_area = tpm::sealed_template(Bytes(32, 0x22));
  blob.public_area.back() = 32;
  blob.public_area.resize(blob.public_area.size() + 32, 0x33);
  blob.public_area[1] = uint8_t(blob.public_area.size() - 2);
  blob.private_area = {0x00, 0x50};
  blob.private_area.resize(2 + 0x50, 0x44);
  return blob;
}

}  // namespace tpm_test
