#include "text/json.h"

#include <algorithm>

#include "text/text.h"

namespace mg::json {
namespace {

// RFC 8785 sorts by UTF-16 code units. That is the order of UTF-8 bytes, but that U+E000–U+FFFF (which begin with EE
// or EF) stand after the surrogate pairs of what lies above (F0–F4).
bool utf16_less(std::string_view a, std::string_view b) {
  auto rank = [](char c) {
    unsigned byte = uint8_t(c);
    return byte == 0xEE || byte == 0xEF ? byte + 0x10 : byte;
  };
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return rank(x) < rank(y); });
}

char short_escape(char c) {  // what follows the backslash, 0 where there is no such form
  switch (c) {
    case '"': return '"';
    case '\\': return '\\';
    case '\b': return 'b';
    case '\t': return 't';
    case '\n': return 'n';
    case '\f': return 'f';
    case '\r': return 'r';
    default: return 0;
  }
}

bool is_plain(char c) { return uint8_t(c) >= 0x20 && c != '"' && c != '\\'; }

void write_string(std::string& out, std::string_view s) {
  out += '"';
  for (char c : s) {
    if (is_plain(c)) {
      out += c;
    } else if (char letter = short_escape(c)) {
      out += '\\';
      out += letter;
    } else {
      out += "\\u00";
      out += text::hex(View(std::string_view(&c, 1)));
    }
  }
  out += '"';
}

void write_value(std::string& out, const Value& value) {
  switch (value.kind) {
    case Value::Kind::integer: out += std::to_string(value.integer); return;
    case Value::Kind::string: write_string(out, value.string); return;
    case Value::Kind::array: {
      out += '[';
      for (size_t i = 0; i < value.items.size(); i++) {
        if (i > 0) out += ',';
        write_value(out, value.items[i]);
      }
      out += ']';
      return;
    }
    case Value::Kind::object: {
      std::vector<const std::pair<std::string, Value>*> sorted;
      for (const auto& member : value.members) sorted.push_back(&member);
      std::stable_sort(sorted.begin(), sorted.end(), [](auto* a, auto* b) { return utf16_less(a->first, b->first); });
      out += '{';
      for (size_t i = 0; i < sorted.size(); i++) {
        if (i > 0) out += ',';
        write_string(out, sorted[i]->first);
        out += ':';
        write_value(out, sorted[i]->second);
      }
      out += '}';
      return;
    }
  }
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Status document(Value& out) {
    if (Status s = value(out, 0); !s.ok()) return s;
    if (at_ < text_.size()) return fail("the JSON goes on after its value ends");
    return {};
  }

 private:
  Status fail(const std::string& what) const { return fail_at(at_, what); }
  static Status fail_at(size_t at, const std::string& what) {
    return {Code::CONTAINER_MALFORMED, what + " (at byte " + std::to_string(at) + " of the JSON)"};
  }
  bool take(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    at_++;
    return true;
  }

  Status value(Value& out, int depth) {  // depth: arrays and objects around this value
    if (++count_ > kMaxValues) return fail("more than " + std::to_string(kMaxValues) + " values");
    if (at_ == text_.size()) return fail("the JSON ends where a value is expected");
    char c = text_[at_];
    if (c == '"') {
      out.kind = Value::Kind::string;
      return string(out.string);
    }
    if (c >= '0' && c <= '9') return integer(out);
    if (c != '{' && c != '[') return fail("only objects, arrays, strings and integers from 0 may stand here");
    if (depth == kMaxDepth) return fail("nested more than " + std::to_string(kMaxDepth) + " deep");
    at_++;
    return c == '{' ? object(out, depth + 1) : array(out, depth + 1);
  }

  Status integer(Value& out) {
    size_t start = at_;
    uint64_t n = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; at_++) {
      n = n * 10 + uint64_t(text_[at_] - '0');
      if (n > kMaxInteger) return fail_at(start, "an integer above 2^53-1");
    }
    out.kind = Value::Kind::integer;
    out.integer = n;
    return {};
  }

  Status string(std::string& out) {
    size_t start = at_++;
    for (;;) {
      size_t run = at_;
      while (at_ < text_.size() && is_plain(text_[at_])) at_++;
      std::string_view plain = text_.substr(run, at_ - run);
      if (!text::is_utf8(plain)) return fail_at(run, "a string is not valid UTF-8");
      out += plain;
      if (at_ == text_.size()) return fail_at(start, "a string does not end");
      if (take('"')) return {};
      if (text_[at_] != '\\') return fail("a control character that is not escaped");
      if (Status s = escape(out); !s.ok()) return s;
    }
  }

  Status escape(std::string& out) {  // those that RFC 8785 writes; document() compares the form with write()'s
    constexpr std::string_view kShort = "\"\\btnfr", kMeans = "\"\\\b\t\n\f\r";
    std::string_view rest = text_.substr(at_ + 1);
    size_t which = rest.empty() ? std::string_view::npos : kShort.find(rest[0]);
    if (which != std::string_view::npos) {
      out += kMeans[which];
      at_ += 2;
      return {};
    }
    constexpr std::string_view kHex = "0123456789abcdef";
    bool control = rest.size() >= 5 && (rest.substr(0, 4) == "u000" || rest.substr(0, 4) == "u001");
    size_t low = control ? kHex.find(rest[4]) : std::string_view::npos;
    if (low == std::string_view::npos) return fail("an escape that canonical JSON does not use");
    out += char((rest[3] - '0') * 16 + int(low));
    at_ += 6;
    return {};
  }

  Status array(Value& out, int depth) {
    out.kind = Value::Kind::array;
    if (take(']')) return {};
    do {
      out.items.emplace_back();
      if (Status s = value(out.items.back(), depth); !s.ok()) return s;
    } while (take(','));
    return take(']') ? Status() : fail("an array needs a comma or its end here");
  }

  Status object(Value& out, int depth) {
    out.kind = Value::Kind::object;
    if (take('}')) return {};
    do {
      size_t start = at_;
      if (at_ == text_.size() || text_[at_] != '"') return fail("a member needs its name here");
      out.members.emplace_back();
      if (Status s = string(out.members.back().first); !s.ok()) return s;
      size_t n = out.members.size();
      if (n > 1 && !utf16_less(out.members[n - 2].first, out.members[n - 1].first)) {
        bool twice = out.members[n - 2].first == out.members[n - 1].first;
        return fail_at(start, twice ? "a member occurs twice" : "members are not in canonical order");
      }
      if (!take(':')) return fail("a member needs a colon here");
      if (Status s = value(out.members.back().second, depth); !s.ok()) return s;
    } while (take(','));
    return take('}') ? Status() : fail("an object needs a comma or its end here");
  }

  std::string_view text_;
  size_t at_ = 0, count_ = 0;
};

}  // namespace

const Value* Value::get(std::string_view name) const {
  for (const auto& member : members) {
    if (member.first == name) return &member.second;
  }
  return nullptr;
}

Value integer(uint64_t v) {
  Value out;
  out.integer = v;
  return out;
}

Value string(std::string v) {
  Value out;
  out.kind = Value::Kind::string;
  out.string = std::move(v);
  return out;
}

Value array() {
  Value out;
  out.kind = Value::Kind::array;
  return out;
}

Value object() {
  Value out;
  out.kind = Value::Kind::object;
  return out;
}

Result<Value> parse(std::string_view text) {
  Value value;
  if (Status s = Parser(text).document(value); !s.ok()) return s;
  std::string again = write(value);
  if (again != text) {
    auto at = std::mismatch(text.begin(), text.end(), again.begin(), again.end()).first - text.begin();
    return Status(Code::CONTAINER_MALFORMED, "not canonical (at byte " + std::to_string(at) + " of the JSON)");
  }
  return value;
}

std::string write(const Value& value) {
  std::string out;
  write_value(out, value);
  return out;
}

}  // namespace mg::json
