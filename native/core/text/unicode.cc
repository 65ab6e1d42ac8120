#include <algorithm>
#include <iterator>

#include "text/text.h"
#include "text/unicode_tables.h"

namespace mg::text {
namespace {

using namespace tables;
using std::begin;
using std::end;

// Hangul syllables are composed by arithmetic (Unicode, section 3.12).
constexpr char32_t kS = 0xAC00, kL = 0x1100, kV = 0x1161, kT = 0x11A7;
constexpr char32_t kLCount = 19, kVCount = 21, kTCount = 28, kSCount = kLCount * kVCount * kTCount;

// The code point at s[*i], where *i < s.size(); moves past it. False, and *i as it was, if that is no valid UTF-8.
bool next(std::string_view s, size_t* i, char32_t* out) {
  uint8_t lead = uint8_t(s[*i]);
  if (lead < 0x80) {
    *out = lead;
    ++*i;
    return true;
  }
  size_t length = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
  if (length == 0 || s.size() - *i < length) return false;
  char32_t c = lead & (0x7F >> length);
  for (size_t k = 1; k < length; k++) {
    uint8_t byte = uint8_t(s[*i + k]);
    if ((byte & 0xC0) != 0x80) return false;
    c = c << 6 | (byte & 0x3F);
  }
  constexpr char32_t kLowest[] = {0x80, 0x800, 0x10000};
  if (c < kLowest[length - 2] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) return false;
  *out = c;
  *i += length;
  return true;
}

void put_utf8(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += char(c);
  } else if (c < 0x800) {
    out += char(0xC0 | c >> 6);
    out += char(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += char(0xE0 | c >> 12);
    out += char(0x80 | (c >> 6 & 0x3F));
    out += char(0x80 | (c & 0x3F));
  } else {
    out += char(0xF0 | c >> 18);
    out += char(0x80 | (c >> 12 & 0x3F));
    out += char(0x80 | (c >> 6 & 0x3F));
    out += char(0x80 | (c & 0x3F));
  }
}

std::string to_utf8(const std::u32string& points) {
  std::string out;
  out.reserve(points.size() + points.size() / 2);
  for (char32_t c : points) put_utf8(out, c);
  return out;
}

bool is_ascii(std::string_view s) {
  return std::all_of(s.begin(), s.end(), [](char c) { return uint8_t(c) < 0x80; });
}

uint8_t combining_class(char32_t c) {
  if (c < 0x300) return 0;
  auto it = std::lower_bound(begin(kClasses), end(kClasses), c, [](const ClassRange& r, char32_t v) { return r.last < v; });
  return it != end(kClasses) && c >= it->first ? it->value : 0;
}

void put_decomposed(std::u32string& out, char32_t c) {
  if (c < 0xC0) {
    out += c;
    return;
  }
  if (c - kS < kSCount) {  // unsigned: false below kS as well
    char32_t s = c - kS, t = s % kTCount;
    out += kL + s / (kVCount * kTCount);
    out += kV + s % (kVCount * kTCount) / kTCount;
    if (t != 0) out += kT + t;
    return;
  }
  auto it = std::lower_bound(begin(kDecompositions), end(kDecompositions), c,
                             [](const Decomposition& d, char32_t v) { return d.from < v; });
  if (it == end(kDecompositions) || it->from != c) {
    out += c;
    return;
  }
  put_decomposed(out, it->first);  // a handful of steps at most, by the data
  if (it->second != 0) put_decomposed(out, it->second);
}

// Sorts each run of marks by class, stably and in place: a sort that allocates would leave pieces of a passphrase
// behind. Quadratic in a run's length, which callers bound (paths and passphrases have at most 1,024 bytes).
void order_marks(std::u32string& s) {
  for (size_t i = 1; i < s.size(); i++) {
    char32_t c = s[i];
    uint8_t klass = combining_class(c);
    if (klass == 0) continue;
    size_t k = i;
    for (; k > 0 && combining_class(s[k - 1]) > klass; k--) s[k] = s[k - 1];
    s[k] = c;
  }
}

char32_t composed(char32_t a, char32_t b) {  // 0 where the two do not compose
  if (a - kL < kLCount && b - kV < kVCount) return kS + ((a - kL) * kVCount + (b - kV)) * kTCount;
  if (a - kS < kSCount && (a - kS) % kTCount == 0 && b - kT - 1 < kTCount - 1) return a + (b - kT);
  auto it = std::lower_bound(begin(kCompositions), end(kCompositions), std::make_pair(a, b),
                             [](uint16_t index, const std::pair<char32_t, char32_t>& v) {
                               const Decomposition& d = kDecompositions[index];
                               return std::make_pair(d.first, d.second) < v;
                             });
  if (it == end(kCompositions)) return 0;
  const Decomposition& d = kDecompositions[*it];
  return d.first == a && d.second == b ? d.from : 0;
}

size_t compose(std::u32string& s) {  // in place; returns the new length
  size_t length = 0, starter = 0;
  bool have_starter = false;
  int last = -1;  // class of what stands between the starter and here, -1 where nothing does
  for (size_t i = 0; i < s.size(); i++) {
    char32_t c = s[i];
    int klass = combining_class(c);
    if (have_starter && last < klass) {
      if (char32_t both = composed(s[starter], c)) {
        s[starter] = both;
        continue;
      }
    }
    if (klass == 0) {
      starter = length;
      have_starter = true;
      last = -1;
    } else {
      last = klass;
    }
    s[length++] = c;
  }
  return length;
}

void nfd_into(std::string_view utf8, std::u32string& out) {
  // Never outgrown, so nothing is left behind where it was: make-unicode-tables.py checks this bound.
  out.reserve(utf8.size() + utf8.size() / 2 + 1);
  for (size_t i = 0; i < utf8.size();) {
    char32_t c;
    if (!next(utf8, &i, &c)) {  // callers check; this keeps a mistake harmless
      c = 0xFFFD;
      i++;
    }
    put_decomposed(out, c);
  }
  order_marks(out);
}

void put_folded(std::u32string& out, char32_t c) {
  auto full = std::lower_bound(begin(kFullFolds), end(kFullFolds), c, [](const FullFold& f, char32_t v) { return f.from < v; });
  if (full != end(kFullFolds) && full->from == c) {
    for (char32_t to : full->to) {
      if (to != 0) out += to;
    }
    return;
  }
  auto it = std::lower_bound(begin(kFolds), end(kFolds), c, [](const FoldRange& r, char32_t v) { return r.last < v; });
  bool folds = it != end(kFolds) && c >= it->first && (c - it->first) % it->step == 0;
  out += folds ? char32_t(int32_t(c) + it->distance) : c;
}

// This room does not use crypto/. volatile keeps the compiler from dropping the stores.
void wipe(char32_t* p, size_t n) {
  volatile char32_t* v = p;
  for (size_t i = 0; i < n; i++) v[i] = 0;
}

}  // namespace

bool is_utf8(std::string_view s) {
  char32_t c;
  for (size_t i = 0; i < s.size();) {
    if (!next(s, &i, &c)) return false;
  }
  return true;
}

void nfc_into(std::string_view utf8, std::u32string& out) {
  wipe(out.data(), out.size());
  out.clear();
  nfd_into(utf8, out);
  size_t length = compose(out);
  wipe(out.data() + length, out.size() - length);  // beyond the caller's reach once shortened
  out.resize(length);
}

std::string nfc(std::string_view utf8) {
  if (is_ascii(utf8)) return std::string(utf8);
  std::u32string points;
  nfc_into(utf8, points);
  return to_utf8(points);
}

std::string caseless_key(std::string_view utf8) {
  if (is_ascii(utf8)) {
    std::string key(utf8);
    for (char& c : key) {
      if (c >= 'A' && c <= 'Z') c = char(c + 0x20);
    }
    return key;
  }
  std::u32string points, folded, key;
  nfd_into(utf8, points);
  for (char32_t c : points) put_folded(folded, c);
  for (char32_t c : folded) put_decomposed(key, c);
  order_marks(key);
  return to_utf8(key);
}

}  // namespace mg::text
