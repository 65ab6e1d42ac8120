// Reads the files that the kernel and udev show, below one root: each whole or not at all, none outside the root. Symbolic links are
// followed by hand, an absolute one from the root on, so that a recorded machine is read exactly as a live one.
#pragma once
#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mg::hardware {

class SystemTree {
 public:
  static constexpr size_t kSmall = 64 << 10;
  static constexpr size_t kLarge = 16 << 20;  // /proc/cpuinfo of a thousand processors, the mounts of a host with many containers

  explicit SystemTree(std::string root);

  // The content of a regular file (a pipe would hang). Nothing: it is absent, cannot be read, or is longer than `limit`.
  std::optional<std::string> read(const std::string& path, size_t limit = kSmall) const;
  std::string attribute(const std::string& path) const;  // the content without white space at its ends; "" for nothing
  // Names in a folder, ascending. None where there are more than 16,384: the kernel lists them in no fixed order.
  std::vector<std::string> list(const std::string& path) const;
  bool exists(const std::string& path) const;
  std::string resolve(const std::string& path) const;  // the path without links in it; "" where nothing is there

  // Of the files and folders that were used: those that not everyone may read. A value that depends on one of them differs between users.
  struct Access {
    std::string root_only;  // the first that root alone may read; empty: none
    std::string refused;    // the first that this user may not read; empty: none
  };
  const Access& access() const { return access_; }  // since set_access()
  void set_access(Access access) const { access_ = std::move(access); }

 private:
  struct Place {
    std::string path;  // below the root, "" the root itself
    mode_t mode;
    gid_t group;
  };
  std::optional<Place> find(const std::string& path) const;
  void note_mode(const std::string& path, const Place& place, mode_t right) const;
  void note_failure(const std::string& path) const;
  std::string root_;  // without a slash at its end
  mutable Access access_;
};

}  // namespace mg::hardware
