#include "text/json.h"

#include <doctest/doctest.h>

using namespace mg;

namespace {

bool accepts(std::string_view text) {
  Result<json::Value> parsed = json::parse(text);
  if (!parsed.ok()) {
    CHECK(parsed.status().code == Code::CONTAINER_MALFORMED);
    return false;
  }
  CHECK(json::write(*parsed) == text);
  return true;
}

std::string why(std::string_view text) {
  Result<json::Value> parsed = json::parse(text);
  return parsed.ok() ? "accepted" : parsed.status().what;
}

std::string nested(int depth) { return std::string(size_t(depth), '[') + std::string(size_t(depth), ']'); }

}  // namespace

TEST_CASE("JSON: values of the subset") {
  for (const char* text :
       {"0", "7", "9007199254740991", "\"\"", "[]", "{}", "[1,[2],{\"a\":3}]", "{\"\":0}", "{\"a\":{\"b\":[\"c\",1]},\"b\":\"\"}",
        "\"\x7F\"", "\"\\\"\\\\\\b\\t\\n\\f\\r\"", "\"\\u0000\\u001f\"", "\"\u00E9/\u2028\U0001F600\""}) {
    CAPTURE(text);
    CHECK(accepts(text));
  }
  Result<json::Value> parsed = json::parse("{\"a\":[5,\"x\\n\"],\"b\":\"\\u0001\"}");
  REQUIRE(parsed.ok());
  CHECK(parsed->get("a")->items[0].integer == 5);
  CHECK(parsed->get("a")->items[1].string == "x\n");
  CHECK(parsed->get("b")->string == "\x01");
  CHECK(parsed->get("c") == nullptr);
}

TEST_CASE("JSON: all other values are refused") {
  for (const char* text : {"",
                           " ",
                           "0 ",
                           " 0",
                           "[1, 2]",
                           "[1,]",
                           "[,1]",
                           "[1 2]",
                           "{\"a\":1,}",
                           "{\"a\" :1}",
                           "{\"a\":}",
                           "{\"a\"}",
                           "{a:1}",
                           "{1:1}",
                           "[",
                           "]",
                           "{",
                           "[1}",
                           "[]]",
                           "00",
                           "01",
                           "-1",
                           "-0",
                           "1.0",
                           "1e3",
                           "1E0",
                           "+1",
                           "9007199254740992",
                           "18446744073709551616",
                           "99999999999999999999999",
                           "true",
                           "false",
                           "null",
                           "NaN",
                           "'a'",
                           "\"",
                           "\"a",
                           "\"\\",
                           "\"\\u",
                           "\"\\u00",
                           "\"\\u0009\"",
                           "\"\\u001F\"",
                           "\"\\u0020\"",
                           "\"\\u0041\"",
                           "\"\\u00e9\"",
                           "\"\\ud800\"",
                           "\"\\ud83d\\ude00\"",
                           "\"\\/\"",
                           "\"\\a\"",
                           "\"\\\"",
                           "\"\n\"",
                           "\"\x01\"",
                           "\"\xFF\"",
                           "\"\xED\xA0\x80\"",
                           "\"\xC3\"",
                           "\xEF\xBB\xBF{}",
                           "{\"b\":1,\"a\":2}",
                           "{\"a\":1,\"a\":1}",
                           "{\"a\":1,\"\\u0061\":2}",
                           "//\n1",
                           "[1]/"}) {
    CAPTURE(text);
    CHECK_FALSE(accepts(text));
  }
  CHECK_FALSE(accepts(std::string_view("\"\0\"", 3)));
  CHECK_FALSE(accepts(std::string_view("0\0", 2)));
}

TEST_CASE("JSON: members in the order of UTF-16 code units") {
  // The example of RFC 8785, section 3.2.3.
  json::Value object = json::object();
  for (const char* name : {"\u20AC", "\r", "\uFB33", "1", "\U0001F600", "\u0080", "\u00F6"}) {
    object.members.emplace_back(name, json::integer(1));
  }
  std::string text = json::write(object);
  CHECK(text == "{\"\\r\":1,\"1\":1,\"\u0080\":1,\"\u00F6\":1,\"\u20AC\":1,\"\U0001F600\":1,\"\uFB33\":1}");
  CHECK(accepts(text));
  CHECK_FALSE(accepts("{\"\uFB33\":1,\"\U0001F600\":1}"));  // the order of the bytes
  CHECK(accepts("{\"\uD7FF\":1,\"\U00010000\":1,\"\uE000\":1,\"\uFFFF\":1}"));
  CHECK(accepts("{\"a\":1,\"a\\u0000\":1,\"aa\":1}"));
}

TEST_CASE("JSON: bounds") {
  CHECK(accepts(nested(8)));
  CHECK_FALSE(accepts(nested(9)));
  CHECK_FALSE(accepts(std::string(1 << 20, '[')));
  CHECK(accepts("[[[[[[[[1]]]]]]]]"));

  auto zeros = [](size_t n) {
    std::string text = "[0";
    for (size_t i = 1; i < n; i++) text += ",0";
    return text + "]";
  };
  CHECK(accepts(zeros(json::kMaxValues - 1)));
  CHECK_FALSE(accepts(zeros(json::kMaxValues)));
  CHECK_FALSE(accepts(zeros(8 << 20)));
  CHECK(accepts("\"" + std::string(16 << 20, 'x') + "\""));
}

TEST_CASE("JSON: errors name the problem and the byte") {
  CHECK(why("[1,x]") == "only objects, arrays, strings and integers from 0 may stand here (at byte 3 of the JSON)");
  CHECK(why("{\"a\":1,\"a\":2}") == "a member occurs twice (at byte 7 of the JSON)");
  CHECK(why("{\"b\":1,\"a\":2}") == "members are not in canonical order (at byte 7 of the JSON)");
  CHECK(why("[1] ") == "the JSON goes on after its value ends (at byte 3 of the JSON)");
  CHECK(why("[\"\\u0009\"]") == "not canonical (at byte 3 of the JSON)");
  CHECK(why("[0,007]") == "not canonical (at byte 3 of the JSON)");
  CHECK(why("[\"a") == "a string does not end (at byte 1 of the JSON)");
}
