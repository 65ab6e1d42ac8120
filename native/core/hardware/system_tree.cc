#include "hardware/system_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>

#include "hardware/ascii.h"
#include "memory/fd.h"

namespace mg::hardware {
namespace {

constexpr int kMaxLinks = 40;  // as many as the kernel follows
constexpr mode_t kRead = 4, kSearch = 1;
constexpr size_t kMaxNames = 16384;

// Puts the parts of a path on a stack, the first one on top.
void push_parts(const std::string& path, std::vector<std::string>& stack) {
  std::vector<std::string> parts = split(path, '/');
  stack.insert(stack.end(), parts.rbegin(), parts.rend());
}

}  // namespace

SystemTree::SystemTree(std::string root) : root_(std::move(root)) {
  while (!root_.empty() && root_.back() == '/') root_.pop_back();
}

// A group other than root's counts as everyone: its members are the users that the administrator chose.
void SystemTree::note_mode(const std::string& path, const Place& place, mode_t right) const {
  const bool others = place.mode & right, group = place.group != 0 && (place.mode & right << 3);
  if (!others && !group && access_.root_only.empty()) access_.root_only = path;
}

// Right after a call of the system failed.
void SystemTree::note_failure(const std::string& path) const {
  if ((errno == EACCES || errno == EPERM) && access_.refused.empty()) access_.refused = path;
}

std::optional<SystemTree::Place> SystemTree::find(const std::string& path) const {
  Place place{"", S_IFDIR, 0};
  std::vector<std::string> left;
  push_parts(path, left);
  for (int links = 0; !left.empty();) {
    const std::string part = std::move(left.back());
    left.pop_back();
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (!place.path.empty()) place.path.resize(place.path.rfind('/'));  // above the root is the root
      place.mode = S_IFDIR;
      continue;
    }
    const std::string next = place.path + "/" + part;
    struct stat st;
    if (lstat((root_ + next).c_str(), &st) != 0) {
      note_failure(path);
      return std::nullopt;
    }
    if (S_ISLNK(st.st_mode)) {
      char target[PATH_MAX];
      const ssize_t size = readlink((root_ + next).c_str(), target, sizeof target);
      if (size <= 0 || size == ssize_t(sizeof target) || ++links > kMaxLinks) return std::nullopt;
      if (target[0] == '/') place.path.clear();
      push_parts(std::string(target, size_t(size)), left);
      place.mode = S_IFDIR;
      continue;
    }
    place = Place{next, st.st_mode, st.st_gid};
    if (S_ISDIR(st.st_mode) && !left.empty()) note_mode(path, place, kSearch);
  }
  return place;
}

std::optional<std::string> SystemTree::read(const std::string& path, size_t limit) const {
  const auto place = find(path);
  if (!place || !S_ISREG(place->mode)) return std::nullopt;
  note_mode(path, *place, kRead);
  // Checked again once open: the file may have become a pipe since, which O_NONBLOCK opens without waiting.
  Fd fd(open((root_ + place->path).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY));
  if (fd.get() < 0) note_failure(path);
  struct stat st;
  if (fd.get() < 0 || fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode)) return std::nullopt;
  std::string content;
  char buffer[16384];
  for (;;) {  // to its end: /proc and /sys report sizes of 0 or 4,096
    const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 || content.size() + size_t(n) > limit) return std::nullopt;
    if (n == 0) return content;
    content.append(buffer, size_t(n));
  }
}

std::string SystemTree::attribute(const std::string& path) const {
  const auto content = read(path);
  return content ? std::string(trim(*content)) : "";
}

std::vector<std::string> SystemTree::list(const std::string& path) const {
  const auto place = find(path);
  if (!place || !S_ISDIR(place->mode)) return {};
  note_mode(path, *place, kRead);
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir((root_ + place->path + "/").c_str()), closedir);
  if (!folder) {
    note_failure(path);
    return {};
  }
  std::vector<std::string> names;
  while (const dirent* entry = readdir(folder.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (names.size() == kMaxNames) return {};
    names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool SystemTree::exists(const std::string& path) const { return find(path).has_value(); }

std::string SystemTree::resolve(const std::string& path) const {
  const auto place = find(path);
  return !place ? "" : place->path.empty() ? "/" : place->path;
}

}  // namespace mg::hardware
