// Test vectors: a small JSON reader of its own (the one under test must not judge itself), hex, zlib, and the folder.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bytes.h"

namespace mg::test {

struct Json {
  enum class Kind { null, boolean, number, string, array, object };
  Kind kind = Kind::null;
  bool boolean = false;
  double number = 0;  // exact for integers below 2^53
  std::string text;   // UTF-8
  std::vector<Json> items;
  std::vector<std::pair<std::string, Json>> members;  // in the file's order

  bool has(std::string_view key) const;
  const Json& operator[](std::string_view key) const;  // throws std::runtime_error where absent
  long long integer() const { return static_cast<long long>(number); }
  bool operator==(const char* s) const { return kind == Kind::string && text == s; }
};

Json parse_json(std::string_view text);  // throws std::runtime_error; RFC 8259

Bytes unhex(std::string_view hex);  // throws std::runtime_error
inline Bytes unhex(const Json& json) { return unhex(std::string_view(json.text)); }
std::string hex(View bytes);
Bytes inflate(View zlib_stream);  // RFC 1950; throws std::runtime_error

// $MG_SHARED, else "<repository>/../shared".
std::string shared_folder();
// The file <shared>/vectors/wycheproof/<name>.json. Without it, prints one line that says SKIPPED and returns nothing.
std::optional<Json> wycheproof(const std::string& name);
// Prints "wycheproof <name>: <good> of <all><note>", the line that CI looks for.
void report(const std::string& name, size_t good, size_t all, const std::string& note = "");

}  // namespace mg::test
