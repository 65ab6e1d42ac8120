// String functions for text that the kernel writes: ASCII only, independent of the locale.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace mg::hardware {

inline bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

inline std::string lower(std::string_view s) {
  std::string out(s);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = char(c + ('a' - 'A'));
  }
  return out;
}

inline bool starts_with(std::string_view s, std::string_view with) { return s.substr(0, with.size()) == with; }
inline bool contains(std::string_view s, std::string_view part) { return s.find(part) != std::string_view::npos; }

inline std::string_view trim(std::string_view s) {
  while (!s.empty() && is_space(s.front())) s.remove_prefix(1);
  while (!s.empty() && is_space(s.back())) s.remove_suffix(1);
  return s;
}

// With each run of white space as one space, and none at the ends.
inline std::string collapse_spaces(std::string_view s) {
  std::string out;
  for (const char c : trim(s)) {
    if (!is_space(c)) out += c;
    else if (out.back() != ' ') out += ' ';
  }
  return out;
}

inline std::vector<std::string> split(std::string_view s, char at) {
  std::vector<std::string> parts;
  for (;;) {
    const size_t end = s.find(at);
    parts.emplace_back(s.substr(0, end));
    if (end == std::string_view::npos) return parts;
    s.remove_prefix(end + 1);
  }
}

template <class Items>
std::string join(const Items& items, std::string_view between) {
  std::string out;
  for (const auto& item : items) {
    if (!out.empty()) out += between;
    out += item;
  }
  return out;
}

// The last part of a path, and the path without it.
inline std::string base(const std::string& path) { return path.substr(path.rfind('/') + 1); }
inline std::string parent(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

}  // namespace mg::hardware
