// Salts files (docs/format.md, section 13). bake.mjs reads the same when a build is made, with the same words for what is wrong.
#include "crypto/crypto.h"
#include "crypto/secret_buffer.h"
#include "memory/secret_file.h"
#include "salts/salts.h"
#include "text/text.h"

namespace mg::salts {
namespace {

constexpr size_t kMaxFile = 16 * 1024;
constexpr std::string_view kFirstLine = "model-guard-salts v1";
constexpr Name kNames[] = {Name::pepper, Name::download, Name::hardware, Name::resource};

using Values = std::array<std::string_view, 4>;  // by Name, as they stand in the file; empty where there is none

// The name that a line begins with, and its value. False if there is none.
bool split(std::string_view line, Name* name, std::string_view* value) {
  for (const Name candidate : kNames) {
    const std::string_view word = salt_name(candidate);
    if (line.substr(0, word.size()) != word || line.size() <= word.size() || line[word.size()] != ' ') continue;
    *name = candidate;
    *value = line.substr(word.size() + 1);
    return true;
  }
  return false;
}

// "" or what is wrong with a line after the first. Never shows what stands in it.
std::string take(std::string_view line, Values* values) {
  Name name;
  std::string_view value;
  if (!split(line, &name, &value))
    return "does not begin with pepper, legacy-download, legacy-hardware or legacy-resource and a space";
  std::string_view& place = (*values)[size_t(name)];
  if (!place.empty()) return std::string("gives ") + salt_name(name) + " a second time";
  crypto::SecretBuffer<kPepper> pepper;
  if (name == Name::pepper && !text::base64url_decode(value, pepper.span()))
    return "must hold the base64url of 32 bytes: 43 characters, no padding";
  if (value.empty() || value.size() > kMaxLegacySalt) return "must hold a salt of 1 to 1,024 bytes";
  place = value;
  return "";
}

Result<Values> parse(std::string_view text, const std::string& path) {
  const std::string file = "the salts file '" + path + "'";
  if (!text::is_utf8(text)) return Status(Code::SALTS_INVALID, file + " is not UTF-8 text");
  Values values;
  for (size_t number = 1; !text.empty(); number++) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    std::string wrong;
    if (end == std::string_view::npos) wrong = "does not end with a newline";
    else if (number > 1) wrong = take(line, &values);
    else if (line == std::string(kFirstLine) + "\r") wrong = "has a Windows line end";
    else if (line != kFirstLine) wrong = "is not \"" + std::string(kFirstLine) + "\"";
    if (!wrong.empty()) return Status(Code::SALTS_INVALID, "line " + std::to_string(number) + " of " + file + " " + wrong);
    text.remove_prefix(end + 1);
  }
  return values;
}

}  // namespace

Result<FromFile> read_salt(const std::string& path, Name name, const std::atomic<bool>* cancelled) {
  auto file = read_secret_file(path, "salts file", Code::SALTS_INVALID, kMaxFile, cancelled);
  if (!file.ok()) return file.status();
  auto values = parse(file->bytes.reveal().text(), path);
  if (!values.ok()) return values.status();
  const std::string_view value = (*values)[size_t(name)];
  if (value.empty()) return Status(Code::SALTS_INVALID, std::string("the salts file '") + path + "' has no " + salt_name(name));
  auto salt = name == Name::pepper ? Secret::allocate(kPepper) : Secret::copy(value);
  if (!salt.ok()) return salt.status();
  if (name == Name::pepper) text::base64url_decode(value, salt->reveal_mut());
  return FromFile{std::move(*salt), file->too_open};
}

Status write_new_file(const std::string& path) {
  auto text = Secret::allocate(512);
  if (!text.ok()) return text.status();
  const Span room = text->reveal_mut();
  size_t size = 0;
  const auto put = [&](std::string_view part) {
    std::memcpy(room.data + size, part.data(), part.size());
    size += part.size();
  };
  put(kFirstLine);
  put("\n");
  for (const Name name : kNames) {
    crypto::SecretBuffer<kPepper> random;
    if (auto s = crypto::random_bytes(random.span()); !s.ok()) return s;
    put(salt_name(name));
    put(" ");
    constexpr size_t kEncoded = (kPepper * 4 + 2) / 3;
    text::base64url_encode(random.view(), room.sub(size, kEncoded));
    size += kEncoded;
    put("\n");
  }
  text->shrink(size);
  return write_new_secret_file(path, "salts file", text->reveal());
}

}  // namespace mg::salts
