// Binds a random secret S to a machine, and recovers it there (docs/format.md, section 12).
#pragma once
#include <atomic>
#include <map>
#include <optional>
#include <utility>

#include "crypto/derivations.h"
#include "hardware/helper.h"

namespace mg::hardware {

enum class TpmUse : uint8_t { never, when_usable, required };

// The owner's rules for a binding. Empty means default, except for `require`.
struct Policy {
  // The factors that count. Default: cpu, gpu, memory, drive, as far as they can be read.
  std::vector<Kind> factors;
  // Needed in every opening. Default: the drive, where it is strong and counts. Empty: none.
  std::optional<std::vector<Kind>> require;
  // The weight that an opening must reach, 1 to the sum of the weights. Default: the sum; of three or more factors with one required, less
  // the lightest that is not required.
  unsigned at_least = 0;
  std::map<Kind, unsigned> weights;  // 1 to 16 each. Default: 1
  TpmUse tpm = TpmUse::never;
  uint32_t pcrs = 0;  // 0: the TPM room's default
};

constexpr size_t kBox = 48;
// The public part: in a machine file, for publishers, and in a sealed key.
struct Binding {
  Helper helper;
  std::array<uint8_t, kBox> box{};       // S under the key that the factors give
  std::array<uint8_t, 32> public_key{};  // X25519, derived from S
};

struct NewBinding {
  Binding binding;
  Secret secret;                // S
  std::string tpm_unused;       // why the TPM was not used, with TpmUse::when_usable
  uint32_t tpm_unmeasured = 0;  // the PCRs of the policy that hold no measurement (bit i: PCR i)
};
using Cancelled = std::atomic<bool>;

// INVALID_ARGUMENT (a factor twice, a weight that is not 1 to 16 or whose factor does not count, at_least above the sum),
// HARDWARE_UNREADABLE, TPM_UNAVAILABLE, TPM_LOCKED, ABORT_ERR.
Result<NewBinding> bind(const Machine& machine, const Policy& policy, const Cancelled* cancelled = nullptr);

// The factors of a machine, stretched by scrypt: each when it is first needed, once for each salt.
class StretchedFactors {
 public:
  StretchedFactors(const Machine& machine, crypto::Derivations& derivations) : machine_(machine), derivations_(derivations) {}
  const Machine& machine() const { return machine_; }
  // ABORT_ERR, DERIVATIONS_EXCEEDED. The view is valid as long as this object.
  Result<View> of(const BoundFactor& factor);

 private:
  const Machine& machine_;
  crypto::Derivations& derivations_;
  std::map<std::pair<Kind, std::array<uint8_t, kSalt>>, Secret> stretched_;
};

// S, whose X25519 key pair is derive_key_pair(S). HARDWARE_MISMATCH, HARDWARE_UNREADABLE, SALTS_MISMATCH, TPM_*, DERIVATIONS_EXCEEDED,
// ABORT_ERR.
Result<Secret> open(const Helper& helper, View box, StretchedFactors& stretched, const Cancelled* cancelled = nullptr);
// The same with a bound of its own: at most six derivations.
Result<Secret> open(const Helper& helper, View box, const Machine& machine, const Cancelled* cancelled = nullptr);

// Checks a publisher's demand: every set that opens holds `require` and has at least `at_least` factors, whatever their weights.
// MACHINE_POLICY_WEAK.
Status check_demand(const Helper& helper, const std::vector<Kind>& require, unsigned at_least);

// helper || box || public key: the public part of a hardware recipient. MACHINE_FILE_INVALID, INVALID_ARGUMENT, KEY_INVALID.
Bytes encode_binding(const Binding& binding);
Result<Binding> parse_binding(View bytes);

// machine.json (docs/format.md, section 12). MACHINE_FILE_INVALID, VERSION_UNSUPPORTED.
Result<Binding> parse_machine_file(View text);
Result<Bytes> write_machine_file(const Binding& binding);

}  // namespace mg::hardware
