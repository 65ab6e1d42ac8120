#include "text/text.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

using namespace mg;
using namespace mg::text;

namespace {

std::string utf8(std::u32string_view points) {
  std::string out;
  for (char32_t c : points) {
    if (c < 0x80) {
      out += char(c);
      continue;
    }
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    out += char((0xFF00 >> (more + 1) & 0xFF) | c >> (6 * more));
    while (more-- > 0) out += char(0x80 | (c >> (6 * more) & 0x3F));
  }
  return out;
}

std::string composed(std::u32string_view s) { return nfc(utf8(s)); }
std::string key(std::u32string_view s) { return caseless_key(utf8(s)); }

struct Sum {  // FNV-1a over strings, each ended by 0xFF
  uint64_t value = 0xCBF29CE484222325;
  void byte(uint8_t b) { value = (value ^ b) * 0x100000001B3; }
  void add(const std::string& s) {
    for (char c : s) byte(uint8_t(c));
    byte(0xFF);
  }
};

}  // namespace

TEST_CASE("UTF-8: exactly the well-formed byte sequences") {
  for (const char* good : {"", "a", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBF",
                           "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    CHECK(is_utf8(good));
  }
  CHECK(is_utf8(std::string_view("\0", 1)));
  for (const char* bad :
       {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x41", "\xC2\xC2\x80", "\xE0\x9F\xBF", "\xE0\xA0", "\xED\xA0\x80",
        "\xED\xBF\xBF", "\xF0\x8F\xBF\xBF", "\xF0\x90\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "a\xFE"}) {
    CHECK_FALSE(is_utf8(bad));
  }
}

TEST_CASE("NFC: composition, exclusions, order of marks, Hangul") {
  CHECK(composed(U"e\u0301") == "\u00E9");
  CHECK(composed(U"\u00E9") == "\u00E9");
  CHECK(composed(U"\u212B") == "\u00C5");                       // singleton: ANGSTROM SIGN
  CHECK(composed(U"\u1E9B\u0323") == utf8(U"\u1E9B\u0323"));    // the standard's own example
  CHECK(composed(U"q\u0307\u0323") == utf8(U"q\u0323\u0307"));  // 220 before 230
  CHECK(composed(U"a\u0301\u0300") == utf8(U"\u00E1\u0300"));   // equal classes keep their order and block
  CHECK(composed(U"a\u0323\u0301") == utf8(U"\u1EA1\u0301"));
  CHECK(composed(U"\u0301a") == utf8(U"\u0301a"));            // nothing to compose with
  CHECK(composed(U"\u0915\u093C") == utf8(U"\u0915\u093C"));  // excluded: DEVANAGARI QA
  CHECK(composed(U"\u0958") == utf8(U"\u0915\u093C"));
  CHECK(composed(U"\u2ADC") == utf8(U"\u2ADD\u0338"));  // excluded: not a starter before it existed
  CHECK(composed(U"\u0344") == utf8(U"\u0308\u0301"));  // excluded: begins with a mark
  CHECK(composed(U"\uFB1D") == utf8(U"\u05D9\u05B4"));
  CHECK(composed(U"\U0001D15E") == utf8(U"\U0001D157\U0001D165"));
  CHECK(composed(U"\U00011131\U00011127") == utf8(U"\U0001112E"));
  CHECK(composed(U"\u1112\u1161\u11AB") == utf8(U"\uD55C"));
  CHECK(composed(U"\uD558\u11AB") == utf8(U"\uD55C"));
  CHECK(composed(U"\uAC00\u11A7") == utf8(U"\uAC00\u11A7"));  // U+11A7 is one before the first final consonant
  CHECK(composed(U"\uAC01\u11A8") == utf8(U"\uAC01\u11A8"));  // has a final consonant already
  CHECK(composed(U"\u03B1\u0345\u0300\u0313") == utf8(U"\u1FB2\u0313"));
  CHECK(composed(U"\uF8FF\U000E0FFF") == utf8(U"\uF8FF\U000E0FFF"));  // private use, unassigned
}

TEST_CASE("nfc_into: never moves its buffer, leaves nothing behind the end") {
  std::string worst;
  for (int i = 0; i < 512; i++) worst += "\u0390";  // three code points out of two bytes
  std::u32string out = U"what stood there before";
  nfc_into(worst, out);
  CHECK(out.size() == 512);
  const char32_t* data = out.data();
  size_t capacity = out.capacity();
  nfc_into(worst, out);
  CHECK(out.data() == data);
  CHECK(out.capacity() == capacity);
  for (size_t i = 512; i < 3 * 512; i++) REQUIRE(data[i] == 0);  // where the decomposed form stood
}

TEST_CASE("caseless keys: full folding of version 14.0, no locale") {
  CHECK(key(U"stra\u00DFe") == "strasse");
  CHECK(key(U"STRASSE") == "strasse");
  CHECK(key(U"\u1E9E") == "ss");
  CHECK(key(U"\u017F") == "s");
  CHECK(key(U"\u212A") == "k");  // KELVIN SIGN
  CHECK(key(U"I") == "i");       // never Turkish
  CHECK(key(U"\u0130") == utf8(U"i\u0307"));
  CHECK(key(U"\u0131") == utf8(U"\u0131"));
  CHECK(key(U"\uFB03") == "ffi");
  CHECK(key(U"\u03A3\u03C3\u03C2") == utf8(U"\u03C3\u03C3\u03C3"));
  CHECK(key(U"\u00C9") == key(U"e\u0301"));
  CHECK(key(U"\u0345") == utf8(U"\u03B9"));
  CHECK(key(U"\u1FB3\u0301") == key(U"\u0391\u0301\u0345"));  // why D145 decomposes before it folds
  CHECK(key(U"\u13A0") == utf8(U"\u13A0"));                   // Cherokee folds to upper case
  CHECK(key(U"\uAB70") == utf8(U"\u13A0"));
  CHECK(key(U"\U00010400") == utf8(U"\U00010428"));
  CHECK(key(U"a/B\u00C4/c") == utf8(U"a/ba\u0308/c"));
}

TEST_CASE("every code point and random strings: as another implementation has it") {
  // The sums are printed by make-unicode-tables.py --sums.
  Sum every_nfc, every_key;
  std::u32string pool;
  for (char32_t c = 0; c < 0x110000; c++) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string s = utf8({&c, 1}), folded = caseless_key(s);
    every_nfc.add(nfc(s));
    every_key.add(folded);
    if (folded != s && (c < 0xAC00 || c >= 0xD7A4)) pool += c;
  }
  CHECK(every_nfc.value == 0x0420af2407615d53);
  CHECK(every_key.value == 0x407fa48eb2a59514);

  constexpr std::pair<char32_t, char32_t> kRanges[] = {{0x41, 0x5B},     {0x300, 0x370},     {0x591, 0x5C0},    {0x64B, 0x671},
                                                       {0x93C, 0x93D},   {0x9BE, 0x9BF},     {0xDCA, 0xDE0},    {0x102E, 0x102F},
                                                       {0x1100, 0x1113}, {0x1161, 0x1176},   {0x11A7, 0x11C3},  {0x3099, 0x309B},
                                                       {0xAC00, 0xAC80}, {0x11127, 0x11128}, {0x1D165, 0x1D173}};
  for (auto [first, end] : kRanges) {
    for (char32_t c = first; c < end; c++) pool += c;
  }
  REQUIRE(pool.size() == 3611);
  Sum random_nfc, random_key;
  uint64_t state = 0x6D6F64656C677561;
  for (int i = 0; i < 20000; i++) {
    std::u32string s;
    for (int k = 0; k < 8; k++) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      s += pool[state % pool.size()];
    }
    random_nfc.add(composed(s));
    random_key.add(key(s));
  }
  CHECK(random_nfc.value == 0xa99b20bcfa7a8ffc);
  CHECK(random_key.value == 0x165fb830b78562ec);
}

TEST_CASE("base64url: RFC 4648 without padding, one text for each value") {
  const std::pair<const char*, const char*> vectors[] = {
      {"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"\xFB\xFF", "-_8"}};
  for (auto [plain, encoded] : vectors) {
    CHECK(base64url(View(std::string_view(plain))) == encoded);
    Bytes out(base64url_decoded_size(std::string_view(encoded).size()));
    CHECK(base64url_decode(encoded, Span(out)));
    CHECK(View(out).text() == plain);
  }
  uint8_t out[3] = {1, 2, 3};
  for (const char* bad : {"Zg==", "Zm9", "Zh", "Zm9v ", "Zm+v", "Zm/v", "Zm9v\n", "Z", "Zm9vY", "=m9v"}) {
    size_t n = base64url_decoded_size(std::string_view(bad).size());
    CHECK_FALSE(base64url_decode(bad, Span(out, std::min<size_t>(n, 3))));
  }
  CHECK_FALSE(base64url_decode("Zm9v", Span(out, 2)));
  CHECK(out[0] == 0);  // a refused text leaves nothing behind
  CHECK(base64url_decoded_size(43) == 32);
  CHECK(base64url_decoded_size(86) == 64);
  CHECK(base64url_decoded_size(5) == 0);
}

TEST_CASE("hex and names") {
  CHECK(hex(View(std::string_view("\x00\x1F\xAB", 3))) == "001fab");
  for (const char* good : {"a", "0", "gpt-2", "v1.0_beta", "a.", "1--"}) CHECK(is_name(good));
  for (const char* bad : {"", "-a", ".a", "_a", "A", "a b", "a/b", "\xC3\xA9", "a\n"}) CHECK_FALSE(is_name(bad));
  CHECK_FALSE(is_name(std::string_view("a\0", 2)));
  CHECK(is_name(std::string(128, 'x')));
  CHECK_FALSE(is_name(std::string(129, 'x')));
}
