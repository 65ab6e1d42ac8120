// Text that is ASCII by definition: base64url, hex, names.
#include <algorithm>

#include "text/text.h"

namespace mg::text {
namespace {

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int value_of(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool decode(std::string_view s, uint8_t* out) {
  uint32_t bits = 0;
  unsigned held = 0;  // bits not yet written
  for (char c : s) {
    int value = value_of(c);
    if (value < 0) return false;
    bits = bits << 6 | uint32_t(value);
    held += 6;
    if (held >= 8) {
      held -= 8;
      *out++ = uint8_t(bits >> held);
    }
  }
  return (bits & ((1u << held) - 1)) == 0;  // stray bits would make two texts of one key
}

}  // namespace

void base64url_encode(View bytes, Span out) {
  uint8_t* to = out.data;
  uint32_t bits = 0;
  unsigned held = 0;
  for (uint8_t byte : bytes) {
    bits = bits << 8 | byte;
    held += 8;
    while (held >= 6) {
      held -= 6;
      *to++ = uint8_t(kAlphabet[bits >> held & 63]);
    }
  }
  if (held > 0) *to = uint8_t(kAlphabet[bits << (6 - held) & 63]);
}

std::string base64url(View bytes) {
  std::string out((bytes.size * 4 + 2) / 3, '\0');
  base64url_encode(bytes, Span(reinterpret_cast<uint8_t*>(out.data()), out.size()));
  return out;
}

size_t base64url_decoded_size(size_t encoded) {
  size_t rest = encoded % 4;
  return rest == 1 ? 0 : encoded / 4 * 3 + (rest == 0 ? 0 : rest - 1);
}

bool base64url_decode(std::string_view s, Span out) {
  if (s.size() % 4 == 1 || out.size != base64url_decoded_size(s.size())) return false;
  if (decode(s, out.data)) return true;
  std::fill_n(out.data, out.size, uint8_t(0));
  return false;
}

std::string hex(View bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size * 2);
  for (uint8_t byte : bytes) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

bool is_name(std::string_view s) {
  auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (s.empty() || s.size() > 128 || !alphanumeric(s[0])) return false;
  return std::all_of(s.begin(), s.end(), [&](char c) { return alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

}  // namespace mg::text
