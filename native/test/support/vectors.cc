#include "vectors.h"

#include <zlib.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

#ifndef MG_ROOT
#define MG_ROOT "."
#endif

namespace mg::test {
namespace {

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Json document() {
    Json value = read(0);
    space();
    if (at_ != text_.size()) fail("more text after the value");
    return value;
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw std::runtime_error("JSON, byte " + std::to_string(at_) + ": " + why);
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    at_++;
    return true;
  }
  void need(char c) {
    if (!take(c)) fail(std::string("'") + c + "' expected");
  }
  void space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) at_++;
  }
  void word(std::string_view w) {
    if (text_.substr(at_, w.size()) != w) fail("unknown word");
    at_ += w.size();
  }

  Json read(int depth) {
    if (depth > 100) fail("nested too deep");
    Json value;
    space();
    switch (peek()) {
      case 'n': word("null"); break;
      case 't': word("true"), value.kind = Json::Kind::boolean, value.boolean = true; break;
      case 'f': word("false"), value.kind = Json::Kind::boolean; break;
      case '"': value.kind = Json::Kind::string, value.text = string(); break;
      case '[': array(value, depth); break;
      case '{': object(value, depth); break;
      default: value.kind = Json::Kind::number, value.number = number();
    }
    return value;
  }

  void array(Json& value, int depth) {
    value.kind = Json::Kind::array;
    need('[');
    space();
    if (take(']')) return;
    do value.items.push_back(read(depth + 1)), space();
    while (take(','));
    need(']');
  }

  void object(Json& value, int depth) {
    value.kind = Json::Kind::object;
    need('{');
    space();
    if (take('}')) return;
    do {
      space();
      std::string key = string();
      space();
      need(':');
      value.members.emplace_back(std::move(key), read(depth + 1));
      space();
    } while (take(','));
    need('}');
  }

  double number() {
    const size_t start = at_;
    const auto digits = [this] {
      if (peek() < '0' || peek() > '9') fail("a digit expected");
      while (peek() >= '0' && peek() <= '9') at_++;
    };
    take('-');
    if (!take('0')) digits();
    if (take('.')) digits();
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      digits();
    }
    return std::strtod(std::string(text_.substr(start, at_ - start)).c_str(), nullptr);
  }

  unsigned four_hex() {
    unsigned value = 0;
    for (int i = 0; i < 4; i++, at_++) {
      const char c = peek();
      const char* all = "0123456789abcdef";
      const char* found = c ? std::strchr(all, c >= 'A' && c <= 'F' ? c + 32 : c) : nullptr;
      if (!found) fail("four hexadecimal digits expected");
      value = value * 16 + unsigned(found - all);
    }
    return value;
  }

  void escape(std::string& out) {
    const char c = peek();
    at_++;
    const size_t simple = std::string_view("\"\\/bfnrt").find(c);
    if (c != '\0' && simple != std::string_view::npos) {
      out += "\"\\/\b\f\n\r\t"[simple];
      return;
    }
    if (c != 'u') fail("unknown escape");
    unsigned code = four_hex();
    if (code >= 0xd800 && code < 0xdc00) {
      need('\\');
      need('u');
      const unsigned low = four_hex();
      if (low < 0xdc00 || low > 0xdfff) fail("half a surrogate pair");
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xdc00 && code < 0xe000) {
      fail("half a surrogate pair");
    }
    if (code < 0x80) {
      out += char(code);
    } else {
      const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
      out += char((0xff00 >> (more + 1) & 0xff) | code >> (6 * more));
      for (int i = more - 1; i >= 0; i--) out += char(0x80 | (code >> (6 * i) & 0x3f));
    }
  }

  std::string string() {
    std::string out;
    need('"');
    while (!take('"')) {
      if (at_ >= text_.size()) fail("a string without an end");
      const char c = text_[at_++];
      if (static_cast<unsigned char>(c) < 0x20) fail("a control character in a string");
      if (c == '\\') {
        escape(out);
      } else {
        out += c;
      }
    }
    return out;
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

bool Json::has(std::string_view key) const {
  for (const auto& member : members)
    if (member.first == key) return true;
  return false;
}

const Json& Json::operator[](std::string_view key) const {
  for (const auto& member : members)
    if (member.first == key) return member.second;
  throw std::runtime_error("JSON: no member \"" + std::string(key) + "\"");
}

Json parse_json(std::string_view text) { return Reader(text).document(); }

Bytes unhex(std::string_view hex) {
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    throw std::runtime_error("not hexadecimal");
  };
  if (hex.size() % 2) throw std::runtime_error("hexadecimal of odd length");
  Bytes out;
  out.reserve(hex.size() / 2);
  for (size_t i = 0; i < hex.size(); i += 2) out.push_back(uint8_t(digit(hex[i]) << 4 | digit(hex[i + 1])));
  return out;
}

std::string hex(View bytes) {
  std::string out;
  for (uint8_t b : bytes) {
    out += "0123456789abcdef"[b >> 4];
    out += "0123456789abcdef"[b & 15];
  }
  return out;
}

Bytes inflate(View in) {
  z_stream stream = {};
  if (inflateInit(&stream) != Z_OK) throw std::runtime_error("zlib does not start");
  stream.next_in = const_cast<uint8_t*>(in.data);
  stream.avail_in = uInt(in.size);
  Bytes out;
  int result = Z_OK;
  while (result == Z_OK) {
    uint8_t buffer[16384];
    stream.next_out = buffer;
    stream.avail_out = sizeof buffer;
    result = ::inflate(&stream, Z_NO_FLUSH);
    append(out, View(buffer, sizeof buffer - stream.avail_out));
  }
  const bool whole = result == Z_STREAM_END && stream.avail_in == 0;
  inflateEnd(&stream);
  if (!whole) throw std::runtime_error("not one whole zlib stream");
  return out;
}

std::string shared_folder() {
  const char* given = std::getenv("MG_SHARED");
  return given && *given ? given : MG_ROOT "/../shared";
}

std::optional<Json> wycheproof(const std::string& name) {
  const std::string path = shared_folder() + "/vectors/wycheproof/" + name + ".json";
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::printf("SKIPPED: third-party vectors not found at %s\n", path.c_str());
    std::fflush(stdout);
    return std::nullopt;
  }
  std::ostringstream text;
  text << file.rdbuf();
  return parse_json(text.str());
}

void report(const std::string& name, size_t good, size_t all, const std::string& note) {
  std::printf("wycheproof %s: %zu of %zu%s\n", name.c_str(), good, all, note.c_str());
  std::fflush(stdout);
}

}  // namespace mg::test
