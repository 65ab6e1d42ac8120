// The salts compiled into this build, masked; an organisation bakes its own (docs/format.md, section 13). Masking hides
// them from a search of the binary, not from a debugger.
#pragma once
#include <array>
#include <atomic>
#include <string>

#include "memory/secret.h"
#include "status.h"

namespace mg::salts {

enum class Name : uint8_t { pepper, download, hardware, resource };  // the last three: legacy profile
const char* salt_name(Name name);
constexpr size_t kPepper = 32, kMaxLegacySalt = 1024;

Result<Secret> compiled_in(Name name);  // SALTS_INVALID where this build has no such salt
bool is_default();                      // the public salts: every public build opens the bindings of this one
using Id = std::array<uint8_t, 8>;
Id id();  // of the pepper: SHA-256("model-guard/v1/salts" || pepper), first 8 bytes
constexpr Id kDefaultId = {0xe7, 0xf7, 0x67, 0x2b, 0x3c, 0xbf, 0x71, 0x38};  // of the public default pepper

struct FromFile {
  Secret salt;
  bool too_open = false;  // other users may read or write the file
};
// One salt of a salts file. NOT_FOUND, PERMISSION_DENIED, SALTS_INVALID, ABORT_ERR
Result<FromFile> read_salt(const std::string& path, Name name, const std::atomic<bool>* cancelled = nullptr);
// A new file (0600, refuses to overwrite) of random salts. ALREADY_EXISTS, …
Status write_new_file(const std::string& path);

}  // namespace mg::salts
