#include "container/manifest.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "payload/layout.h"
#include "support/seed.h"
#include "text/json.h"

using namespace mg;
using namespace mg::container;

namespace {

using Random = std::mt19937_64;

bool path_ok(std::string_view path) {
  Status s = check_path(path);
  CHECK((s.ok() || (s.code == Code::NAME_INVALID && !s.what.empty())));
  return s.ok();
}

std::vector<File> files(std::initializer_list<const char*> paths) {
  std::vector<File> out;
  for (const char* path : paths) out.push_back({path, 1, 0});
  return out;
}

Code pack_code(std::vector<File> list) {
  Result<Manifest> packed = pack(std::move(list));
  return packed.ok() ? Code::OK : packed.status().code;
}
Code pack_code(std::initializer_list<const char*> paths) { return pack_code(files(paths)); }

Code parse_code(const std::string& text, uint64_t plaintext_size) {
  Result<Manifest> parsed = parse_manifest(View(text), plaintext_size);
  return parsed.ok() ? Code::OK : parsed.status().code;
}

// The manifest of these (offset, path, size), in the order given, with a message size that fits the last one.
Code raw(const std::vector<File>& list) {
  Manifest manifest{list};
  Bytes text = write_manifest(manifest);
  return parse_code(std::string(View(text).text()), manifest.plaintext_size(text.size()));
}

constexpr Code kBad = Code::MANIFEST_INVALID;

}  // namespace

TEST_CASE("paths: what is allowed") {
  for (const char* good : {"a",
                           "model.onnx",
                           "a/b/c",
                           ".hidden",
                           "..a",
                           "a b",
                           " a",
                           "CO",
                           "COMA",
                           "COM10",
                           "LPT",
                           "XCON",
                           "CONSOLE",
                           "CON-1",
                           "a.CON",
                           "nulls/a",
                           "\"<>|?*'%",
                           "\u00E9",
                           "\u65E5\u672C\u8A9E/\uD55C",
                           "\U0001F600",
                           "\u00A0",
                           "CON\u00E9",
                           "COM\u2070"}) {
    CAPTURE(good);
    CHECK(path_ok(good));
  }
  CHECK(path_ok(std::string(255, 'x')));
  CHECK(path_ok(std::string(255, 'x') + "/" + std::string(255, 'x') + "/" + std::string(255, 'x') + "/" + std::string(255, 'x') +
                "/x") == false);  // 1,025 bytes
  CHECK(path_ok(std::string(255, 'x') + "/" + std::string(255, 'x') + "/" + std::string(255, 'x') + "/" + std::string(254, 'x') +
                "/x"));  // 1,024
}

TEST_CASE("paths: each rule") {
  for (const char* bad :
       {"",        "/",      "/a",           "a/",    "a//b",   ".",        "..",   "./a",      "a/..",         "a/../b",
        "a/./b",   "a.",     "a ",           "a./b",  "a /b",   "...",      " ",    "a\\b",     "\\",           "C:",
        "a:b",     "a\nb",   "\x1F",         "\x7F",  "\u0080", "a\u009Fb", "\xFF", "\xC0\x80", "\xED\xA0\x80", "a\xC3",
        "e\u0301", "\u212B", "\u1100\u1161", "\u0958"}) {
    CAPTURE(bad);
    CHECK_FALSE(path_ok(bad));
  }
  CHECK_FALSE(path_ok(std::string_view("a\0b", 3)));
  CHECK_FALSE(path_ok(std::string(256, 'x')));
  for (const char* reserved : {"CON",       "con",     "Prn",        "AUX",      "nul",     "CONIN$",    "conout$",
                               "COM0",      "com1",    "COM9",       "LPT0",     "lpt9",    "COM\u00B9", "lpt\u00B2",
                               "LPT\u00B3", "CON.txt", "nul.tar.gz", "con .txt", "aux  .a", "a/nul/b",   "b/COM1.bin"}) {
    CAPTURE(reserved);
    CHECK_FALSE(path_ok(reserved));
  }
}

TEST_CASE("pack: order, offsets, sizes") {
  Result<Manifest> packed = pack({{"b", 16384, 99}, {"a/z", 1, 7}, {"a", 0, 0}, {"c", 16385, 0}});
  REQUIRE_FALSE(packed.ok());  // "a" is a file and a folder
  packed = pack({{"b", 16384, 99}, {"a/z", 1, 7}, {"a-", 0, 0}, {"c", 16385, 0}});
  REQUIRE(packed.ok());
  const std::vector<File>& out = packed->files;
  CHECK(out[0].path == "a-");
  CHECK(out[1].path == "a/z");
  CHECK(out[0].offset == 0);
  CHECK(out[1].offset == 0);
  CHECK(out[2].offset == 16384);
  CHECK(out[3].offset == 32768);
  Bytes text = write_manifest(*packed);
  CHECK(packed->file_area(16380) == 16384);
  CHECK(packed->file_area(16381) == 32768);
  CHECK(packed->plaintext_size(text.size()) == 16384 + 32768 + 16385);
  CHECK(View(text).text() ==
        "{\"files\":[{\"offset\":0,\"path\":\"a-\",\"size\":0},"
        "{\"offset\":0,\"path\":\"a/z\",\"size\":1},"
        "{\"offset\":16384,\"path\":\"b\",\"size\":16384},"
        "{\"offset\":32768,\"path\":\"c\",\"size\":16385}]}");
  CHECK(pack_code({}) == Code::SOURCE_EMPTY);
  CHECK(pack_code({{"a", payload::kMaxPlaintext - 16384, 0}}) == Code::OK);
  CHECK(pack_code({{"a", payload::kMaxPlaintext - 16383, 0}}) == Code::LIMIT_EXCEEDED);
  CHECK(pack_code({{"a", ~uint64_t(0), 0}}) == Code::LIMIT_EXCEEDED);
  CHECK(pack_code({{"a", payload::kMaxPlaintext, 0}, {"b", ~uint64_t(0), 0}}) == Code::LIMIT_EXCEEDED);
  CHECK(pack_code({"a\\b"}) == Code::NAME_INVALID);
}

TEST_CASE("pack: 10,000 files, and the longest paths") {
  auto many = [](size_t n, size_t length, char filler) {
    std::vector<File> out;
    for (size_t i = 0; i < n; i++) {
      std::string path = std::to_string(i);
      while (path.size() + 1 < length) path += "/" + std::string(std::min(kMaxSegment, length - path.size() - 1), filler);
      out.push_back({path, i, 0});
    }
    return out;
  };
  Result<Manifest> packed = pack(many(kMaxFiles, 5, 'x'));
  REQUIRE(packed.ok());
  Bytes text = write_manifest(*packed);
  CHECK(parse_manifest(text, packed->plaintext_size(text.size())).ok());
  CHECK(pack_code(many(kMaxFiles + 1, 5, 'x')) == Code::LIMIT_EXCEEDED);
  CHECK(pack_code(many(kMaxFiles, 1024, 'x')) == Code::OK);
  CHECK(pack_code(many(kMaxFiles, 1024, '"')) == Code::LIMIT_EXCEEDED);  // escaped, more than 16 MiB
}

TEST_CASE("paths together: equal, or a file and a folder, without regard to case") {
  CHECK(pack_code({"a", "b/a", "c/a"}) == Code::OK);
  CHECK(pack_code({"a/b", "a/c", "a/d/e"}) == Code::OK);
  CHECK(pack_code({"a", "ab", "a-b/c", "a.b"}) == Code::OK);
  CHECK(pack_code({"i", "\u0131"}) == Code::OK);
  CHECK(pack_code({"ss", "s"}) == Code::OK);
  const std::initializer_list<const char*> clashes[] = {{"a", "a"},
                                                        {"A", "a"},
                                                        {"\u00E9", "\u00C9"},
                                                        {"stra\u00DFe", "STRASSE"},
                                                        {"\u1E9E", "\u00DF"},
                                                        {"\u017F", "s"},
                                                        {"K/a", "k/A"},
                                                        {"a", "a/b"},
                                                        {"A", "a/b"},
                                                        {"a-", "a/b", "A"},
                                                        {"x/Y", "X/y/z"},
                                                        {"\u03C2", "\u03A3"},
                                                        {"\uFB03/a", "FFI"},
                                                        {"a/b/c/d", "z", "A/B"},
                                                        {"\u0130", "i\u0307"},
                                                        {"\u1FB3\u0301\u0331", "\u0391\u0331\u0301\u0399"}};
  for (auto& paths : clashes) {
    auto first = std::string(*paths.begin());
    CAPTURE(first);
    CHECK(pack_code(paths) == Code::NAME_INVALID);
  }
}

TEST_CASE("manifest: text that parses is written the same") {
  uint64_t start = test::test_seed();
  CAPTURE(start);
  Random random(start);
  constexpr const char* kSegments[] = {"a", "b", "model", "\u00E9", "\uD55C", "x\"y", "\U0001F600", "w-1", ".c", "z z"};
  size_t accepted = 0;
  for (int round = 0; round < 300; round++) {
    std::vector<File> list;
    size_t n = 1 + random() % 8;
    for (size_t i = 0; i < n; i++) {
      std::string path = kSegments[random() % 10];
      for (size_t depth = random() % 3; depth > 0; depth--) path += std::string("/") + kSegments[random() % 10];
      list.push_back({path, (random() >> (20 + random() % 44)), 0});
    }
    Result<Manifest> packed = pack(list);
    if (!packed.ok()) continue;
    accepted++;
    Bytes text = write_manifest(*packed);
    uint64_t size = packed->plaintext_size(text.size());
    Result<Manifest> parsed = parse_manifest(text, size);
    REQUIRE(parsed.ok());
    CHECK(equal(write_manifest(*parsed), text));
    CHECK(parse_manifest(text, size + 1).status().code == kBad);
    for (int i = 0; i < 50; i++) {  // a changed byte: refused, or written back as changed
      Bytes changed = text;
      changed[random() % changed.size()] = uint8_t(random());
      Result<Manifest> again = parse_manifest(changed, size);
      if (again.ok()) CHECK(equal(write_manifest(*again), changed));
    }
    for (size_t cut = 0; cut < text.size(); cut += 1 + random() % 9) {
      Bytes shorter(text.begin(), text.begin() + long(cut));
      CHECK_FALSE(parse_manifest(shorter, size).ok());
    }
  }
  CHECK(accepted > 50);
}

TEST_CASE("manifest: refuses text that pack would not write") {
  CHECK(raw({{"a", 5, 0}, {"b", 20000, 16384}, {"c", 0, 49152}}) == Code::OK);
  CHECK(raw({}) == kBad);
  CHECK(raw({{"b", 5, 0}, {"a", 5, 16384}}) == kBad);                    // order
  CHECK(raw({{"\uE000", 5, 0}, {"\U00010000", 5, 16384}}) == Code::OK);  // of bytes, not of UTF-16
  CHECK(raw({{"a", 5, 0}, {"a", 5, 16384}}) == kBad);
  CHECK(raw({{"A", 5, 0}, {"a", 5, 16384}}) == kBad);
  CHECK(raw({{"a", 5, 0}, {"a/b", 5, 16384}}) == kBad);
  CHECK(raw({{"e\u0301", 5, 0}}) == kBad);  // not NFC
  CHECK(raw({{"../a", 5, 0}}) == kBad);
  CHECK(raw({{"a", 5, 16384}}) == kBad);                   // the first offset
  CHECK(raw({{"a", 5, 0}, {"b", 5, 5}}) == kBad);          // not rounded up
  CHECK(raw({{"a", 5, 0}, {"b", 5, 32768}}) == kBad);      // a gap
  CHECK(raw({{"a", 20000, 0}, {"b", 5, 16384}}) == kBad);  // an overlap
  CHECK(raw({{"a", json::kMaxInteger, 0}}) == kBad);
  CHECK(raw({{"a", payload::kMaxPlaintext + 1, 0}, {"b", 1, 0}}) == kBad);

  const std::string good = "{\"files\":[{\"offset\":0,\"path\":\"a\",\"size\":1}]}";
  CHECK(parse_code(good, 16385) == Code::OK);
  CHECK(parse_code(good, 16384) == kBad);
  CHECK(parse_code(good, 16386) == kBad);
  CHECK(parse_code(good, 1) == kBad);
  for (const char* bad :
       {"", "{}", "[]", "1", "{\"files\":[]}", "{\"files\":{}}", "{\"files\":[1]}", "{\"files\":[{}]}",
        "{\"files\":[{\"offset\":0,\"path\":\"a\"}]}", "{\"files\":[{\"offset\":0,\"path\":\"a\",\"sizes\":1}]}",
        "{\"files\":[{\"mode\":1,\"offset\":0,\"path\":\"a\",\"size\":1}]}",
        "{\"files\":[{\"offset\":\"0\",\"path\":\"a\",\"size\":1}]}", "{\"files\":[{\"offset\":0,\"path\":1,\"size\":1}]}",
        "{\"files\":[{\"offset\":0,\"path\":\"a\",\"size\":\"1\"}]}", "{\"files\":[[0,\"a\",1]]}",
        "{\"files\":[{\"offset\":0,\"path\":\"a\",\"size\":1}],\"version\":1}",
        "{\"files\":[{\"path\":\"a\",\"offset\":0,\"size\":1}]}", "{\"files\":[{\"offset\":0,\"path\":\"a\",\"size\":1}]}\n"}) {
    CAPTURE(bad);
    CHECK(parse_code(bad, 16385) == kBad);
  }
  CHECK(parse_code(std::string(kMaxManifest + 1, ' '), 16385) == kBad);
}
