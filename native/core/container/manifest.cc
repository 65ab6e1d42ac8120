#include "container/manifest.h"

#include <algorithm>

#include "payload/layout.h"
#include "text/json.h"
#include "text/text.h"

namespace mg::container {
namespace {

using payload::kMaxPlaintext;
using payload::round_up;

Status refuse(Code code, std::string what) { return {code, std::move(what)}; }
Status bad_name(std::string what) { return {Code::NAME_INVALID, std::move(what)}; }
std::string quoted(std::string_view path) { return "\"" + std::string(path) + "\""; }

// CON, COM1.txt, "nul .x": Windows opens a device regardless of the text after the first dot.
bool is_reserved(std::string_view segment) {
  std::string_view base = segment.substr(0, segment.find('.'));
  while (!base.empty() && base.back() == ' ') base.remove_suffix(1);
  std::string upper(base);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = char(c - 0x20);
  }
  for (std::string_view name : {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}) {
    if (upper == name) return true;
  }
  if (upper.size() < 4 || (upper.compare(0, 3, "COM") != 0 && upper.compare(0, 3, "LPT") != 0)) return false;
  std::string_view port = std::string_view(upper).substr(3);
  return (port.size() == 1 && port[0] >= '0' && port[0] <= '9') || port == "\xC2\xB9" || port == "\xC2\xB2" || port == "\xC2\xB3";
}

Status check_segment(std::string_view path, std::string_view segment) {
  if (segment.empty()) return bad_name("the path " + quoted(path) + " has an empty segment or a / at an end");
  if (segment.size() > kMaxSegment) {
    return bad_name("the path " + quoted(path) + " has a segment of " + std::to_string(segment.size()) + " bytes, at most " +
                    std::to_string(kMaxSegment) + " are allowed");
  }
  if (segment == "." || segment == "..") return bad_name("the path " + quoted(path) + " has a segment . or ..");
  if (segment.back() == '.' || segment.back() == ' ') {
    return bad_name("the path " + quoted(path) + " has a segment that ends in a dot or a space");
  }
  if (is_reserved(segment)) {
    return bad_name("the path " + quoted(path) + " has the segment " + quoted(segment) + ", which Windows reserves");
  }
  return {};
}

// No two paths equal, none a folder of another, without regard to case. Needs valid paths.
Status check_clashes(const std::vector<File>& files) {
  // With U+0000 for "/" (which folds and decomposes by itself; no path has U+0000) the content of a folder sorts
  // right behind a file of the folder's name, so that only neighbours need comparing.
  std::vector<std::pair<std::string, size_t>> keys;
  keys.reserve(files.size());
  for (size_t i = 0; i < files.size(); i++) {
    std::string key = text::caseless_key(files[i].path);
    std::replace(key.begin(), key.end(), '/', '\0');
    keys.emplace_back(std::move(key), i);
  }
  std::sort(keys.begin(), keys.end());
  for (size_t i = 1; i < keys.size(); i++) {
    const std::string &a = keys[i - 1].first, &b = keys[i].first;
    if (b.compare(0, a.size(), a) != 0 || (b.size() > a.size() && b[a.size()] != '\0')) continue;
    const std::string &first = files[keys[i - 1].second].path, &second = files[keys[i].second].path;
    if (a.size() < b.size()) return bad_name(quoted(first) + " is a file and the folder of " + quoted(second));
    if (first == second) return bad_name("the path " + quoted(first) + " occurs twice");
    return bad_name("the paths " + quoted(first) + " and " + quoted(second) + " differ in upper and lower case only");
  }
  return {};
}

// Sets `next` to the start of the next file; false if the file area has grown beyond what a container may hold.
bool advance(const File& file, uint64_t* next) {
  if (file.offset > kMaxPlaintext || file.size > kMaxPlaintext - file.offset) return false;
  *next = round_up(file.offset + file.size);
  return true;
}

// Moves the file out of a member of "files". False if it is no object of exactly offset, path and size.
bool take_file(json::Value& value, File* out) {
  using Kind = json::Value::Kind;
  if (value.kind != Kind::object || value.members.size() != 3) return false;
  auto &offset = value.members[0], &path = value.members[1], &size = value.members[2];
  if (offset.first != "offset" || offset.second.kind != Kind::integer) return false;
  if (path.first != "path" || path.second.kind != Kind::string) return false;
  if (size.first != "size" || size.second.kind != Kind::integer) return false;
  *out = {std::move(path.second.string), size.second.integer, offset.second.integer};
  return true;
}

}  // namespace

uint64_t Manifest::file_area(size_t manifest_length) const { return round_up(4 + uint64_t(manifest_length)); }

uint64_t Manifest::plaintext_size(size_t manifest_length) const {
  uint64_t end = files.empty() ? 0 : files.back().offset + files.back().size;
  return file_area(manifest_length) + end;
}

Status check_path(std::string_view path) {
  if (path.empty() || path.size() > kMaxPath) {
    return bad_name("a path has " + std::to_string(path.size()) + " bytes, it must have 1 to " + std::to_string(kMaxPath));
  }
  if (!text::is_utf8(path)) return bad_name("a path is not valid UTF-8");
  for (size_t i = 0; i < path.size(); i++) {
    uint8_t c = uint8_t(path[i]);
    bool c1 = c == 0xC2 && uint8_t(path[i + 1]) < 0xA0;  // U+0080–U+009F; valid UTF-8, so a byte follows
    if (c < 0x20 || c == 0x7F || c1) {
      return bad_name("a path has a control character at byte " + std::to_string(i));
    }
  }
  if (path.find_first_of("\\:") != std::string_view::npos) {
    return bad_name("the path " + quoted(path) + " has a \\ or a :");
  }
  if (text::nfc(path) != path) {
    return bad_name("the path " + quoted(path) + " is not in Unicode normalisation form C");
  }
  for (size_t start = 0;;) {
    size_t end = path.find('/', start);
    if (Status s = check_segment(path, path.substr(start, end - start)); !s.ok()) return s;
    if (end == std::string_view::npos) return {};
    start = end + 1;
  }
}

Result<Manifest> pack(std::vector<File> files) {
  if (files.empty()) return refuse(Code::SOURCE_EMPTY, "there is no file to seal");
  if (files.size() > kMaxFiles) {
    return refuse(Code::LIMIT_EXCEEDED,
                  "there are " + std::to_string(files.size()) + " files, at most " + std::to_string(kMaxFiles) + " are allowed");
  }
  for (const File& file : files) {
    if (Status s = check_path(file.path); !s.ok()) return s;
  }
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) { return a.path < b.path; });
  if (Status s = check_clashes(files); !s.ok()) return s;

  Manifest manifest{std::move(files)};
  uint64_t next = 0;
  for (File& file : manifest.files) {
    file.offset = next;
    if (!advance(file, &next)) {
      return refuse(Code::LIMIT_EXCEEDED, "with " + quoted(file.path) + " the files reach 2^52 bytes");
    }
  }
  size_t length = write_manifest(manifest).size();
  if (length > kMaxManifest) {
    return refuse(Code::LIMIT_EXCEEDED, "the manifest has " + std::to_string(length) + " bytes, at most " +
                                            std::to_string(kMaxManifest) + " are allowed: use shorter paths");
  }
  if (manifest.plaintext_size(length) > kMaxPlaintext) {
    return refuse(Code::LIMIT_EXCEEDED, "the files and their manifest reach 2^52 bytes");
  }
  return manifest;
}

Bytes write_manifest(const Manifest& manifest) {
  json::Value list = json::array();
  list.items.reserve(manifest.files.size());
  for (const File& file : manifest.files) {
    json::Value entry = json::object();
    entry.members.emplace_back("offset", json::integer(file.offset));
    entry.members.emplace_back("path", json::string(file.path));
    entry.members.emplace_back("size", json::integer(file.size));
    list.items.push_back(std::move(entry));
  }
  json::Value object = json::object();
  object.members.emplace_back("files", std::move(list));
  return View(json::write(object)).copy();
}

Result<Manifest> parse_manifest(View json, uint64_t plaintext_size) {
  auto invalid = [](const std::string& what) { return Status(Code::MANIFEST_INVALID, "the manifest is refused: " + what); };
  if (json.size > kMaxManifest) {
    return invalid("it has " + std::to_string(json.size) + " bytes, at most " + std::to_string(kMaxManifest) + " are allowed");
  }
  Result<json::Value> parsed = json::parse(json.text());
  if (!parsed.ok()) return invalid(parsed.status().what);
  auto& members = parsed->members;  // empty unless it is an object
  if (members.size() != 1 || members[0].first != "files" || members[0].second.kind != json::Value::Kind::array) {
    return invalid("it must be an object with the array \"files\" and nothing else");
  }
  std::vector<json::Value>& list = members[0].second.items;
  if (list.empty() || list.size() > kMaxFiles) {
    return invalid("it has " + std::to_string(list.size()) + " files, it must have 1 to " + std::to_string(kMaxFiles));
  }

  Manifest manifest;
  manifest.files.reserve(list.size());
  uint64_t next = 0;
  for (json::Value& value : list) {
    File file;
    if (!take_file(value, &file)) {
      return invalid("file " + std::to_string(manifest.files.size() + 1) +
                     " must have an offset, a path, a size and nothing else");
    }
    if (Status s = check_path(file.path); !s.ok()) return invalid(s.what);
    if (!manifest.files.empty() && file.path <= manifest.files.back().path) {
      return invalid("the path " + quoted(file.path) + " does not stand in ascending byte order");
    }
    if (file.offset != next) {
      return invalid(quoted(file.path) + " has the offset " + std::to_string(file.offset) + ", it must be " +
                     std::to_string(next));
    }
    if (!advance(file, &next)) return invalid("with " + quoted(file.path) + " the files reach 2^52 bytes");
    manifest.files.push_back(std::move(file));
  }
  if (Status s = check_clashes(manifest.files); !s.ok()) return invalid(s.what);
  if (manifest.plaintext_size(json.size) != plaintext_size) {
    return invalid("its files make a message of " + std::to_string(manifest.plaintext_size(json.size)) +
                   " bytes, the core says " + std::to_string(plaintext_size));
  }
  return manifest;
}

}  // namespace mg::container
