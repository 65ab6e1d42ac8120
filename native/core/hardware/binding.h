// Binding a random secret S to a machine, and getting it back there (docs/format.md, section 12).
#pragma once
#include <atomic>
#include <map>
#include <optional>
#include <utility>

#include "crypto/derivations.h"
#include "hardware/helper.h"

namespace mg::hardware {

enum class TpmUse : uint8_t { never, when_usable, required };

// What an owner asks of a machine. Empty means default, but for `require`.
struct Policy {
  // Which count. Default: cpu, gpu, memory, drive, as far as they can be read.
  std::vector<Kind> factors;
  // In every opening. Default: the drive, where it is strong and counts. Empty: none.
  std::optional<std::vector<Kind>> require;
  // The weight that an opening reaches. Default: all; but for the lightest that is not required, of three or more with one required.
  unsigned at_least = 0;
  std::map<Kind, unsigned> weights;  // 1 to 16 each. Default: 1
  TpmUse tpm = TpmUse::never;
  uint32_t pcrs = 0;  // 0: the TPM room's default
};

constexpr size_t kBox = 48;
// What a publisher needs to encrypt to a machine, and what lies beside a sealed key.
struct Binding {
  Helper helper;
  std::array<uint8_t, kBox> box{};         // S under the key that the factors give
  std::array<uint8_t, 32> public_key{};    // X25519, derived from S
};

struct Bound {
  Binding binding;
  Secret secret;                // S
  std::string tpm_unused;       // why a TPM that is there was not used, with TpmUse::when_usable
  bool tpm_unmeasured = false;  // the TPM's part does not depend on how the machine was started
};
using Cancelled = std::atomic<bool>;

// INVALID_ARGUMENT (weights, k greater than n, a factor twice), HARDWARE_UNREADABLE, TPM_UNAVAILABLE, TPM_LOCKED, ABORT_ERR.
Result<Bound> bind(const Machine& machine, const Policy& policy, const Cancelled* cancelled = nullptr);

// The factors of a machine, stretched by scrypt. A factor is stretched when it is first needed, and once for each salt.
class Stretched {
 public:
  Stretched(const Machine& machine, crypto::Derivations& derivations) : machine_(machine), derivations_(derivations) {}
  const Machine& machine() const { return machine_; }
  // ABORT_ERR, DERIVATIONS_EXCEEDED. The view is good as long as this object.
  Result<View> of(const BoundFactor& factor);

 private:
  const Machine& machine_;
  crypto::Derivations& derivations_;
  std::map<std::pair<Kind, std::array<uint8_t, kSalt>>, Secret> stretched_;
};

// S, whose X25519 key pair is derive_key_pair(S). HARDWARE_MISMATCH, HARDWARE_UNREADABLE, SALTS_MISMATCH, TPM_*, DERIVATIONS_EXCEEDED,
// ABORT_ERR.
Result<Secret> open(const Helper& helper, View box, Stretched& stretched, const Cancelled* cancelled = nullptr);
// The same for helper data that stand alone: at most six derivations.
Result<Secret> open(const Helper& helper, View box, const Machine& machine, const Cancelled* cancelled = nullptr);

// What a publisher demands of a machine file, whatever weights it chose: every set that opens holds `require` and has at
// least `at_least` factors. MACHINE_POLICY_WEAK.
Status check_demand(const Helper& helper, const std::vector<Kind>& require, unsigned at_least);

// machine.json (docs/format.md, section 12). MACHINE_FILE_INVALID, VERSION_UNSUPPORTED.
Result<Binding> parse_machine_file(View text);
Result<Bytes> write_machine_file(const Binding& binding);

}  // namespace mg::hardware
