#include "support/machine_tree.h"

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace mg::test {
namespace {

namespace fs = std::filesystem;

const fs::path kFolder = fs::path(MG_ROOT) / "test/machines";

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error("recorded machine: " + what); }

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) fail("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

int hex_digit(char c) {
  const char* at = c ? std::strchr("0123456789abcdef", c) : nullptr;
  if (!at) fail("a bad \\x escape");
  return int(at - "0123456789abcdef");
}

// A line of content, with its newline unless a backslash ends it.
std::string unescaped(std::string_view line) {
  std::string out;
  for (size_t i = 0; i < line.size(); i++) {
    if (line[i] != '\\') {
      out += line[i];
    } else if (++i == line.size()) {
      return out;
    } else if (line[i] == 'x' && i + 2 < line.size()) {
      out += char(hex_digit(line[i + 1]) * 16 + hex_digit(line[i + 2]));
      i += 2;
    } else if (line[i] == '\\' || line[i] == 't' || line[i] == '0') {
      out += line[i] == '\\' ? '\\' : line[i] == 't' ? '\t' : '\0';
    } else {
      fail("a bad escape in '" + std::string(line) + "'");
    }
  }
  return out + '\n';
}

bool is_mark(std::string_view line) {
  if (line.size() < 3 || line[2] != ' ') return false;
  for (const std::string_view mark : {"==", "=>", "--", "!!", ">>", "##"}) {
    if (line.substr(0, 2) == mark) return true;
  }
  return false;
}

std::string checked_path(std::string_view path) {
  const bool spaced = path.find(' ') != std::string_view::npos;
  if (path.size() < 2 || path[0] != '/' || path.back() == '/' || spaced) fail("a bad path '" + std::string(path) + "'");
  return std::string(path);
}

bool is_in(const std::string& path, const std::string& folder) {
  return path == folder || path.compare(0, folder.size() + 1, folder + "/") == 0;
}

}  // namespace

MachineFolder::MachineFolder() {
  const char* memory = "/dev/shm";
  const bool use_memory = !getenv("TMPDIR") && access(memory, W_OK) == 0;
  path_ = ((use_memory ? fs::path(memory) : fs::temp_directory_path()) / "model-guard-machine-XXXXXX").string();
  if (!mkdtemp(path_.data())) fail(std::string("no temporary folder: ") + std::strerror(errno));
  fs::permissions(path_, fs::perms(0755));  // another user may have to look into it
}

MachineFolder::~MachineFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

const MachineFolder& MachineFolder::set(const std::string& path, const std::string& content) const {
  std::ofstream out(path_ + path, std::ios::binary | std::ios::in | std::ios::out | std::ios::trunc);
  if (!out.write(content.data(), std::streamsize(content.size())).flush()) fail("cannot write over " + path);
  return *this;
}

MachineTree::MachineTree(std::string name) : name_(std::move(name)) { apply(read_file(kFolder / (name_ + ".tree"))); }

std::vector<std::string> MachineTree::names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".tree") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> MachineTree::edits() const {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kFolder)) {
    const std::string stem = entry.path().stem().string();
    if (entry.path().extension() == ".edit" && stem.compare(0, name_.size() + 1, name_ + ".") == 0)
      names.push_back(stem.substr(name_.size() + 1));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> MachineTree::disturbances() const {
  std::vector<std::string> found;
  for (const std::string& name : edits()) {
    if (name.compare(0, 6, "other-") != 0) found.push_back(name);
  }
  return found;
}

std::vector<std::string> MachineTree::replaced() const {
  std::vector<std::string> found;
  for (const std::string& name : edits()) {
    if (name.compare(0, 6, "other-") == 0) found.push_back(name.substr(6));
  }
  return found;
}

MachineTree& MachineTree::edit(const std::string& name) { return apply(read_file(kFolder / (name_ + "." + name + ".edit"))); }

MachineTree& MachineTree::apply(std::string_view text) {
  std::string* content = nullptr;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!is_mark(line)) {
      if (!content) fail("'" + std::string(line) + "' belongs to no file");
      *content += unescaped(line);
      continue;
    }
    content = nullptr;
    const std::string_view mark = line.substr(0, 2), rest = line.substr(3);
    const size_t arrow = rest.find(" -> ");
    const auto first = [&] { return checked_path(rest.substr(0, arrow)); };
    const auto second = [&] { return arrow == std::string_view::npos ? std::string() : std::string(rest.substr(arrow + 4)); };
    if (mark == "==") {
      const size_t space = rest.find(' ');
      const std::string mode(space == std::string_view::npos ? "644" : rest.substr(space + 1));
      const std::string path = checked_path(rest.substr(0, space));
      set(path, "", unsigned(std::stoul(mode, nullptr, 8)));
      content = &nodes_.at(path).text;
    } else if (mark == "=>") {
      link(first(), second());
    } else if (mark == "--") {
      folder(first());
    } else if (mark == "!!") {
      remove(first());
    } else if (mark == ">>") {
      move(first(), checked_path(second()));
    }
  }
  return *this;
}

std::map<std::string, MachineTree::Node> MachineTree::take(const std::string& path) {
  std::map<std::string, Node> taken;
  for (auto at = nodes_.lower_bound(path); at != nodes_.end() && at->first.compare(0, path.size(), path) == 0;) {
    auto next = std::next(at);
    if (is_in(at->first, path)) taken.insert(nodes_.extract(at));
    at = next;
  }
  return taken;
}

void MachineTree::put(const std::string& path, Node node) {
  take(path);
  nodes_[checked_path(path)] = std::move(node);
}

MachineTree& MachineTree::set(const std::string& path, std::string content, unsigned mode) {
  put(path, {Node::Kind::file, std::move(content), mode});
  return *this;
}

MachineTree& MachineTree::link(const std::string& path, const std::string& target) {
  if (target.empty()) fail("a link without a target: " + path);
  put(path, {Node::Kind::link, target, 0});
  return *this;
}

MachineTree& MachineTree::folder(const std::string& path) {
  put(path, {Node::Kind::folder, "", 0});
  return *this;
}

MachineTree& MachineTree::remove(const std::string& path) {
  if (take(path).empty()) fail("there is no " + path + " to remove from " + name_);
  return *this;
}

MachineTree& MachineTree::move(const std::string& from, const std::string& to) {
  auto taken = take(from);
  if (taken.empty()) fail("there is no " + from + " to move in " + name_);
  take(to);
  for (auto& [path, node] : taken) nodes_[to + path.substr(from.size())] = std::move(node);
  return *this;
}

MachineTree& MachineTree::swap(const std::string& a, const std::string& b) {
  const std::string aside = "/swapped";
  return move(a, aside).move(b, a).move(aside, b);
}

const std::string& MachineTree::content(const std::string& path) const {
  const auto at = nodes_.find(path);
  if (at == nodes_.end() || at->second.kind != Node::Kind::file) fail("there is no file " + path + " in " + name_);
  return at->second.text;
}

std::vector<std::string> MachineTree::paths() const {
  std::vector<std::string> all;
  for (const auto& [path, node] : nodes_) all.push_back(path);
  return all;
}

MachineFolder MachineTree::write() const {
  MachineFolder folder;
  for (const auto& [path, node] : nodes_) {
    const fs::path place = folder.path() + path;
    fs::create_directories(node.kind == Node::Kind::folder ? place : place.parent_path());
    if (node.kind == Node::Kind::link) fs::create_symlink(node.text, place);
    if (node.kind != Node::Kind::file) continue;
    std::ofstream out(place, std::ios::binary);
    out << node.text;
    if (!out.flush()) fail("cannot write " + place.string());
    fs::permissions(place, fs::perms(node.mode));
  }
  return folder;
}

}  // namespace mg::test
