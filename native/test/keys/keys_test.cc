// Key files and passphrases: accepted and refused texts, and the files on disk.
#include "keys/keys.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "memory/secret_file.h"
#include "text/text.h"

using namespace mg;
using namespace mg::keys;

namespace {

struct Folder {
  std::string path;
  Folder() {
    char name[] = "/tmp/mg-keys-XXXXXX";
    REQUIRE(mkdtemp(name));
    path = name;
  }
  ~Folder() {
    for (const auto& file : files) unlink(file.c_str());
    rmdir(path.c_str());
  }
  std::string operator/(const char* name) {
    files.push_back(path + "/" + name);
    return files.back();
  }
  std::vector<std::string> files;
};

void put(const std::string& path, std::string_view text, mode_t mode = 0600) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  REQUIRE(file);
  REQUIRE(std::fwrite(text.data(), 1, text.size(), file) == text.size());
  std::fclose(file);
  REQUIRE(chmod(path.c_str(), mode) == 0);
}

}  // namespace

TEST_CASE("a key file gives back the key, is 0600, and is never overwritten") {
  for (const Type type : {Type::master, Type::device, Type::signing}) {
    Folder folder;
    const std::string path = folder / "key";
    auto key = Key::generate(type);
    REQUIRE(key.ok());
    REQUIRE(write_key_file(**key, path).ok());
    struct stat st;
    REQUIRE(stat(path.c_str(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0600);
    auto back = read_key_file(path);
    REQUIRE_MESSAGE(back.ok(), back.status().what);
    CHECK(back->key->type() == type);
    CHECK(!back->too_open);
    CHECK(equal(back->key->secret().reveal(), (*key)->secret().reveal()));
    CHECK(back->key->ed25519_public() == (*key)->ed25519_public());
    CHECK(write_key_file(**key, path).code == Code::ALREADY_EXISTS);
    CHECK(write_key_file(**key, folder.path + "/no/key").code == Code::NOT_FOUND);
  }
}

TEST_CASE("a key file that other users may read is reported") {
  Folder folder;
  const std::string path = folder / "key";
  REQUIRE(write_key_file(**Key::generate(Type::master), path).ok());
  REQUIRE(chmod(path.c_str(), 0640) == 0);
  CHECK(read_key_file(path)->too_open);
}

TEST_CASE("a damaged or foreign key file is refused with a code") {
  Folder folder;
  const std::string path = folder / "key";
  const std::string head = "model-guard-key v1 master plain\n", key(43, 'A');
  put(path, head + key + "\n");
  REQUIRE(read_key_file(path).ok());
  const std::string texts[] = {"",
                               "ssh-rsa AAAA\n",
                               head,
                               head + key,
                               head + key + "\n\n",
                               head + key + "\nmore\n",
                               head + key + "A\n",
                               head + std::string(42, 'A') + "\n",
                               head + std::string(42, 'A') + "B\n",  // a stray bit
                               head + std::string(42, 'A') + "=\n",
                               "model-guard-key v1 device plain\n" + key + "\n",
                               "model-guard-key v1 master sealed\n" + key + "\n",
                               "model-guard-key v1 other plain\n" + key + "\n",
                               "model-guard-key v2 master plain\n" + key + "\n",
                               head + key + "\r\n"};
  for (const auto& text : texts) {
    put(path, text);
    CHECK_MESSAGE(read_key_file(path).status().code == Code::KEY_INVALID, text);
  }
  put(path, std::string(17000, 'x'));
  CHECK(read_key_file(path).status().code == Code::LIMIT_EXCEEDED);
  CHECK(read_key_file(folder.path).status().code == Code::SOURCE_UNSUPPORTED);
  CHECK(read_key_file(folder.path + "/none").status().code == Code::NOT_FOUND);
}

TEST_CASE("a passphrase is normalised text without its one trailing newline") {
  auto bytes = [](std::string_view text) {
    auto key = Key::from_passphrase(View(text));
    REQUIRE_MESSAGE(key.ok(), key.status().what);
    return std::string((*key)->secret().reveal().text());
  };
  CHECK(bytes("secret\n") == "secret");
  CHECK(bytes("secret\r\n") == "secret");
  CHECK(bytes("secret\n\n") == "secret\n");
  CHECK(bytes(" two words ") == " two words ");
  CHECK(bytes("e\xcc\x81") == "\xc3\xa9");
  CHECK(bytes("\xf0\x9f\x94\x91") == "\xf0\x9f\x94\x91");
  CHECK(bytes(std::string(1024, 'a')).size() == 1024);
  std::string decomposed;  // 1,536 bytes, 1,024 once composed
  for (int i = 0; i < 512; i++) decomposed += "e\xcc\x81";
  CHECK(bytes(decomposed).size() == 1024);
  for (const std::string& bad : {std::string(), std::string("\n"), std::string("\xff"), std::string(1025, 'a')})
    CHECK(Key::from_passphrase(View(bad)).status().code == Code::PASSPHRASE_INVALID);
}

TEST_CASE("a device key's public halves are those of its private ones") {
  const Bytes zeros(64, 1);
  auto key = Key::from_bytes(Type::device, View(zeros));
  REQUIRE(key.ok());
  // RFC 7748 and RFC 8032 functions of 32 bytes 0x01, as any other implementation gives them
  CHECK(text::hex(View((*key)->x25519_public())) == "a4e09292b651c278b9772c569f5fa9bb13d906b46ab68c9df9dc2b4409f8a209");
  CHECK(text::hex(View((*key)->ed25519_public())) == "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c");
  CHECK(Key::from_bytes(Type::device, View(zeros).sub(0, 63)).status().code == Code::KEY_INVALID);
}

TEST_CASE("a passphrase may come through a pipe, whenever its writer comes, and waiting for it can be cancelled") {
  Folder folder;
  const std::string path = folder / "pipe";
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  std::thread writer([&] {
    std::FILE* pipe = std::fopen(path.c_str(), "w");  // returns once the reader is there
    std::fputs("through a pipe\n", pipe);
    std::fclose(pipe);
  });
  auto read = read_passphrase_file(path);
  writer.join();
  REQUIRE_MESSAGE(read.ok(), read.status().what);
  CHECK(read->key->secret().reveal().text() == "through a pipe");
  CHECK(!read->too_open);

  const Cancelled cancelled(true);
  CHECK(read_passphrase_file(path, &cancelled).status().code == Code::ABORT_ERR);
}

TEST_CASE("a secret file is open to other users by its mode, or because it is theirs") {
  struct Row {
    mode_t mode;
    uid_t owner, user;
    bool open;
  };
  const Row rows[] = {{0600, 1000, 1000, false}, {0400, 1000, 1000, false}, {0640, 1000, 1000, true}, {0604, 1000, 1000, true},
                      {0620, 1000, 1000, true},  {0600, 1001, 1000, true},  {0600, 0, 1000, false},   {0600, 1000, 0, true},
                      {0600, 0, 0, false},       {0644, 0, 0, true}};
  for (const Row& row : rows) {
    CAPTURE(row.mode);
    CAPTURE(row.owner);
    CAPTURE(row.user);
    CHECK(is_open_to_others(row.mode, row.owner, row.user) == row.open);
  }
}

TEST_CASE("a key file's name may be as long as the system allows") {
  char folder[] = "/tmp/mg-long-name-XXXXXX";
  REQUIRE(mkdtemp(folder));
  const std::string path = std::string(folder) + "/" + std::string(255, 'k');
  const auto key = keys::Key::generate(keys::Type::master);
  REQUIRE(key.ok());
  const Status written = keys::write_key_file(**key, path);
  CHECK_MESSAGE(written.ok(), written.what);
  CHECK(keys::read_key_file(path).ok());
  CHECK(keys::write_key_file(**key, path).code == Code::ALREADY_EXISTS);
  unlink(path.c_str());
  CHECK(rmdir(folder) == 0);
}
