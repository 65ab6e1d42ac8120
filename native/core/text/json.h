// The subset of RFC 8785 JSON that containers use: objects, arrays, strings, integers 0 … 2^53-1. Canonical or nothing:
// parse() refuses any text that write() would not give back byte for byte.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "status.h"

namespace mg::json {

constexpr uint64_t kMaxInteger = (uint64_t(1) << 53) - 1;
constexpr int kMaxDepth = 8;  // arrays and objects around each other
// The fullest manifest has 40,002 values; the limit keeps 16 MiB of "[0,0,…" from becoming a gigabyte of Value.
constexpr size_t kMaxValues = 65536;

struct Value {
  enum class Kind { integer, string, array, object } kind = Kind::integer;
  uint64_t integer = 0;
  std::string string;  // valid UTF-8
  std::vector<Value> items;
  std::vector<std::pair<std::string, Value>> members;  // in canonical order once parsed or written
  const Value* get(std::string_view name) const;       // member of an object, or nullptr
};

Value integer(uint64_t v);
Value string(std::string v);
Value array();
Value object();

Result<Value> parse(std::string_view text);  // CONTAINER_MALFORMED; the message names the problem and the byte
std::string write(const Value& value);       // sorts members as RFC 8785 does

}  // namespace mg::json
