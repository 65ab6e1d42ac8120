#include "container/core_fields.h"

#include "payload/layout.h"
#include "text/json.h"
#include "text/text.h"

namespace mg::container {
namespace {

Status malformed(std::string what) { return {Code::CONTAINER_MALFORMED, std::move(what)}; }

bool is_payload_id(std::string_view s) {
  return s.size() == 32 && s.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// YYYY-MM-DDThh:mm:ssZ, and a moment that exists in the calendar; leap seconds have no such form here.
bool is_timestamp(std::string_view s) {
  constexpr std::string_view kForm = "0000-00-00T00:00:00Z";
  if (s.size() != kForm.size()) return false;
  for (size_t i = 0; i < s.size(); i++) {
    if (kForm[i] == '0' ? s[i] < '0' || s[i] > '9' : s[i] != kForm[i]) return false;
  }
  auto number = [&](size_t at, size_t digits) {
    unsigned n = 0;
    for (size_t i = 0; i < digits; i++) n = n * 10 + unsigned(s[at + i] - '0');
    return n;
  };
  unsigned year = number(0, 4), month = number(5, 2), day = number(8, 2);
  if (month < 1 || month > 12) return false;
  constexpr unsigned kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  unsigned days = kDays[month - 1] + (month == 2 && leap ? 1 : 0);
  return day >= 1 && day <= days && number(11, 2) < 24 && number(14, 2) < 60 && number(17, 2) < 60;
}

// Moves a string member out, or returns the reason why it is refused.
Status take(json::Value& object, size_t index, bool (*valid)(std::string_view), const char* rule, std::string* out) {
  auto& [name, value] = object.members[index];
  if (value.kind != json::Value::Kind::string || !valid(value.string)) {
    return malformed("the core's member \"" + name + "\" must be " + rule);
  }
  *out = std::move(value.string);
  return {};
}

}  // namespace

Result<Core> parse_core(View json) {
  if (json.size == 0 || json.size > kMaxCore) {
    return malformed("the core has " + std::to_string(json.size) + " bytes, it must have 1 to " + std::to_string(kMaxCore));
  }
  Result<json::Value> parsed = json::parse(json.text());
  if (!parsed.ok()) return malformed("the core is refused: " + parsed.status().what);

  constexpr const char* kMembers[] = {"created", "format", "name", "payloadId", "plaintextSize", "version"};
  constexpr size_t kCount = sizeof(kMembers) / sizeof(kMembers[0]);
  bool exact = parsed->kind == json::Value::Kind::object && parsed->members.size() == kCount;
  for (size_t i = 0; exact && i < kCount; i++) exact = parsed->members[i].first == kMembers[i];
  if (!exact) {
    return malformed(
        "the core must be an object with the members created, format, name, payloadId, "
        "plaintextSize, version and no other");
  }

  constexpr const char* kName = "1 to 128 characters of a-z 0-9 . _ - that begin with a letter or digit";
  Core core;
  Status s = take(*parsed, 0, is_timestamp, "a real time written YYYY-MM-DDThh:mm:ssZ", &core.created);
  if (s.ok()) s = take(*parsed, 1, text::is_name, kName, &core.format);
  if (s.ok()) s = take(*parsed, 2, text::is_name, kName, &core.name);
  if (s.ok()) s = take(*parsed, 3, is_payload_id, "32 lowercase hex digits", &core.payload_id);
  if (s.ok()) s = take(*parsed, 5, text::is_name, kName, &core.version);
  if (!s.ok()) return s;

  const json::Value& size = parsed->members[4].second;
  if (size.kind != json::Value::Kind::integer || size.integer < payload::kChunk || size.integer > payload::kMaxPlaintext) {
    return malformed("the core's member \"plaintextSize\" must be an integer from 16384 to 2^52 - 1");
  }
  core.plaintext_size = size.integer;
  return core;
}

Bytes write_core(const Core& core) {
  json::Value object = json::object();
  object.members.emplace_back("created", json::string(core.created));
  object.members.emplace_back("format", json::string(core.format));
  object.members.emplace_back("name", json::string(core.name));
  object.members.emplace_back("payloadId", json::string(core.payload_id));
  object.members.emplace_back("plaintextSize", json::integer(core.plaintext_size));
  object.members.emplace_back("version", json::string(core.version));
  return View(json::write(object)).copy();
}

Result<crypto::Sha384> core_hash(View core_json) {
  crypto::Sha384 hash;
  Status s = crypto::digest(crypto::Hash::sha384, {core_json}, Span(hash.data(), hash.size()));
  if (!s.ok()) return s;
  return hash;
}

}  // namespace mg::container
