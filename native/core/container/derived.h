// The keys of artifacts that runtimes derive from a model, as engines built for one GPU (docs/format.md, section 14).
#pragma once
#include "hardware/machine.h"
#include "memory/secret.h"

namespace mg::container {

// Stands for the data key of one encryption of a model, which it does not give away. 32 bytes. `payload_id`: 32 hex digits.
Result<Secret> deriving_key(View data_key, const std::string& payload_id);

// An artifact is told from others by these texts, UTF-8.
struct Artifact {
  std::string runtime;  // with its version, and the settings that change the artifact
  std::string name;
};
constexpr size_t kMaxArtifactText = 4096;

// The key of one artifact on one machine, 32 bytes. INVALID_ARGUMENT for a text of more than kMaxArtifactText bytes.
Result<Secret> derived_key(View deriving_key, const Artifact& artifact, const hardware::Machine& machine);
// Names the artifact of this key, and tells nothing of it, 32 bytes.
Result<Secret> derived_tag(View derived_key);

}  // namespace mg::container
