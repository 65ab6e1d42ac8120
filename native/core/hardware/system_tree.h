// The files below one root, as the kernel and udev show them: read whole or not at all, never outside the root. Symbolic links
// are followed by hand, an absolute one from the root on, so that a recorded machine is read exactly as a live one.
#pragma once
#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace mg::hardware {

class SystemTree {
 public:
  static constexpr size_t kSmall = 64 << 10;
  static constexpr size_t kLarge = 16 << 20;  // /proc/cpuinfo of a thousand processors, the mounts of a host with many containers

  explicit SystemTree(std::string root);

  // The content; nothing where that is absent, not a regular file (a pipe would hang), unreadable, or longer than `limit`.
  std::optional<std::string> read(const std::string& path, size_t limit = kSmall) const;
  std::string attribute(const std::string& path) const;  // the same without white space at its ends; "" for nothing
  // Names in a folder, ascending. None where there are more than 16,384: which ones come first is chance.
  std::vector<std::string> list(const std::string& path) const;
  bool exists(const std::string& path) const;
  std::string resolve(const std::string& path) const;  // the path without links in it; "" where nothing is there
  bool root_only(const std::string& path) const;       // is there, and not for everyone to read

 private:
  struct Place {
    std::string path;  // below the root, "" the root itself
    mode_t mode;
  };
  std::optional<Place> find(const std::string& path) const;
  std::string root_;  // without a slash at its end
};

}  // namespace mg::hardware
