// The core: the public facts of a container that everything else binds to (docs/format.md, section 2).
#pragma once
#include <string>

#include "bytes.h"
#include "crypto/crypto.h"
#include "status.h"

namespace mg::container {

struct Core {
  std::string created, format, name, payload_id, version;
  uint64_t plaintext_size = 0;
};
constexpr size_t kMaxCore = 8192;

Result<Core> parse_core(View json);
Bytes write_core(const Core& core);
Result<crypto::Sha384> core_hash(View core_json);  // over the raw bytes that stand in the header

}  // namespace mg::container
