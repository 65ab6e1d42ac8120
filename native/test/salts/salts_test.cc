// The salts of a build and salts files (docs/format.md, section 13). These tests are built with the public salts.
#include "salts/salts.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "crypto/crypto.h"
#include "support/vectors.h"
#include "text/text.h"

using namespace mg;
using namespace mg::salts;

namespace {

constexpr Name kNames[] = {Name::pepper, Name::download, Name::hardware, Name::resource};

std::string slurp(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

// A file of a test's own, 0600, removed at the end of its scope.
struct File {
  std::string path;
  explicit File(std::string_view text) {
    char name[] = "/tmp/mg-salts-XXXXXX";
    const int fd = mkstemp(name);
    REQUIRE(fd >= 0);
    REQUIRE(write(fd, text.data(), text.size()) == ssize_t(text.size()));
    close(fd);
    path = name;
  }
  ~File() { unlink(path.c_str()); }
};

Bytes sha256(std::string_view text) {
  Bytes out(32);
  REQUIRE(crypto::digest(crypto::Hash::sha256, {text}, out).ok());
  return out;
}

const std::string kHead = "model-guard-salts v1\n", kPepperLine = "pepper " + std::string(43, 'A') + "\n";

}  // namespace

TEST_CASE("a build without salts of its own has the public ones of docs/format.md") {
  auto pepper = compiled_in(Name::pepper);
  REQUIRE_MESSAGE(pepper.ok(), pepper.status().what);
  CHECK(text::hex(pepper->reveal()) == text::hex(View(sha256("model-guard public default pepper"))));
  const std::pair<Name, const char*> legacy[] = {
      {Name::download, "download"}, {Name::hardware, "hardware"}, {Name::resource, "resource"}};
  for (const auto& [name, word] : legacy) {
    auto salt = compiled_in(name);
    REQUIRE_MESSAGE(salt.ok(), salt.status().what);
    const Bytes hash = sha256(std::string("model-guard public default ") + word + " salt");
    CHECK_MESSAGE(salt->reveal().text() == text::base64url(View(hash)), word);
  }
  CHECK(is_default());
}

TEST_CASE("the salts id is that of the pepper") {
  auto pepper = compiled_in(Name::pepper);
  REQUIRE(pepper.ok());
  Bytes hash(32);
  REQUIRE(crypto::digest(crypto::Hash::sha256, {"model-guard/v1/salts", pepper->reveal()}, hash).ok());
  CHECK(equal(View(id()), View(hash).sub(0, 8)));
  CHECK(id() == kDefaultId);
}

TEST_CASE("a salts file gives each salt that it holds, and names a missing one") {
  const test::Json files = test::parse_json(slurp(MG_ROOT "/test/salts/files.json"));
  for (const test::Json& one : files["accepted"].items) {
    const File file(one["text"].text);
    for (const Name name : kNames) {
      auto read = read_salt(file.path, name);
      if (one["salts"].has(salt_name(name))) {
        REQUIRE_MESSAGE(read.ok(), one["what"].text << ": " << read.status().what);
        CHECK_MESSAGE(text::hex(read->salt.reveal()) == one["salts"][salt_name(name)].text, one["what"].text);
        CHECK(!read->too_open);
      } else {
        CHECK_MESSAGE(read.status().code == Code::SALTS_INVALID, one["what"].text);
        CHECK(read.status().what.find(std::string("has no ") + salt_name(name)) != std::string::npos);
      }
    }
  }
  CHECK(files["accepted"].items.size() >= 3);
}

TEST_CASE("a malformed salts file is refused by its line, whichever salt is asked for, and nothing of it is shown") {
  const test::Json files = test::parse_json(slurp(MG_ROOT "/test/salts/files.json"));
  for (const test::Json& one : files["refused"].items) {
    const File file(one["text"].text);
    for (const Name name : kNames) {
      const Status status = read_salt(file.path, name).status();
      CHECK_MESSAGE(status.code == Code::SALTS_INVALID, one["what"].text);
      const std::string line = "line " + std::to_string(one["line"].integer()) + " of the salts file '" + file.path + "' ";
      CHECK_MESSAGE(status.what.find(line + one["why"].text) == 0, one["what"].text << ": " << status.what);
      CHECK(status.what.find("AAECAwQF") == std::string::npos);
    }
  }
  CHECK(files["refused"].items.size() >= 20);
}

TEST_CASE("a salts file that is absent, empty, too large or no text is refused with a code") {
  const auto code = [](const std::string& text) {
    const File file(text);
    return read_salt(file.path, Name::download).status().code;
  };
  CHECK(code("") == Code::SALTS_INVALID);
  CHECK(code(kHead + "legacy-download \xff\n") == Code::SALTS_INVALID);
  CHECK(code(kHead + std::string(16 * 1024, '\n')) == Code::LIMIT_EXCEEDED);
  CHECK(read_salt("/tmp/mg-salts-none", Name::pepper).status().code == Code::NOT_FOUND);
  CHECK(read_salt("/tmp", Name::pepper).status().code == Code::SOURCE_UNSUPPORTED);
}

TEST_CASE("a legacy salt has 1 to 1,024 bytes of any value but newline") {
  const auto read = [](const std::string& salt) {
    const File file(kHead + kPepperLine + "legacy-resource " + salt + "\n");
    auto read = read_salt(file.path, Name::resource);
    return read.ok() ? std::string(read->salt.reveal().text()) : code_name(read.status().code);
  };
  for (const std::string& salt : {std::string("x"), std::string(" "), std::string(1, '\0'), std::string(1024, 'y')})
    CHECK(read(salt) == salt);
  CHECK(read(std::string(1025, 'y')) == "SALTS_INVALID");
}

TEST_CASE("a salts file that other users may read or write is reported") {
  const File file(kHead + kPepperLine);
  for (const mode_t mode : {0640, 0604, 0620, 0602}) {
    REQUIRE(chmod(file.path.c_str(), mode) == 0);
    auto read = read_salt(file.path, Name::pepper);
    REQUIRE_MESSAGE(read.ok(), read.status().what);
    CHECK(read->too_open);
  }
}

TEST_CASE("waiting for salts from a pipe can be cancelled") {
  const File file("");
  const std::string path = file.path + "-pipe";
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  const std::atomic<bool> cancelled(true);
  CHECK(read_salt(path, Name::pepper, &cancelled).status().code == Code::ABORT_ERR);
  unlink(path.c_str());
}

TEST_CASE("a new salts file holds four random salts, is 0600, and never overwrites another") {
  std::vector<std::string> seen;
  for (int i = 0; i < 2; i++) {
    const File place("");
    unlink(place.path.c_str());
    REQUIRE(write_new_file(place.path).ok());
    struct stat st;
    REQUIRE(stat(place.path.c_str(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0600);
    for (const Name name : kNames) {
      auto read = read_salt(place.path, name);
      REQUIRE_MESSAGE(read.ok(), read.status().what);
      CHECK(read->salt.size() == (name == Name::pepper ? 32 : 43));
      seen.emplace_back(read->salt.reveal().text());
    }
    const std::string text = slurp(place.path);
    CHECK(write_new_file(place.path).code == Code::ALREADY_EXISTS);
    CHECK(slurp(place.path) == text);
  }
  std::sort(seen.begin(), seen.end());
  CHECK(std::unique(seen.begin(), seen.end()) == seen.end());
  CHECK(write_new_file("/tmp/mg-salts-none/file").code == Code::NOT_FOUND);
}
