// Recorded machines (test/machines/README.md has the format) and changes to them, written into a folder for the hardware reader.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace mg::test {

// A temporary folder, removed with the object. In memory, where TMPDIR does not say otherwise: a machine is hundreds of files.
class MachineFolder {
 public:
  MachineFolder();  // throws std::runtime_error, like everything here
  ~MachineFolder();
  MachineFolder(MachineFolder&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  MachineFolder(const MachineFolder&) = delete;
  MachineFolder& operator=(const MachineFolder&) = delete;
  MachineFolder& operator=(MachineFolder&&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& below) const { return path_ + "/" + below; }
  const MachineFolder& set(const std::string& path, const std::string& content) const;  // writes over a file that is there

 private:
  std::string path_;
};

class MachineTree {
 public:
  explicit MachineTree(std::string name);  // the machine of test/machines/NAME.tree
  static std::vector<std::string> names();
  std::vector<std::string> disturbances() const;  // names for edit() that leave every factor as it is
  std::vector<std::string> replaced() const;      // factors that have an edit of their own: edit("other-" + factor)

  MachineTree& edit(const std::string& name);
  MachineTree& apply(std::string_view instructions);
  MachineTree& set(const std::string& path, std::string content, unsigned mode = 0644);
  MachineTree& link(const std::string& path, const std::string& target);
  MachineTree& folder(const std::string& path);
  MachineTree& remove(const std::string& path);
  MachineTree& move(const std::string& from, const std::string& to);
  MachineTree& swap(const std::string& a, const std::string& b);
  const std::string& content(const std::string& path) const;  // of a file
  std::vector<std::string> paths() const;

  MachineFolder write() const;

 private:
  struct Node {
    enum class Kind { file, link, folder } kind;
    std::string text;  // content or target
    unsigned mode;
  };
  std::vector<std::string> edits() const;
  void put(const std::string& path, Node node);
  std::map<std::string, Node> take(const std::string& path);  // removes it, with all below
  std::string name_;
  std::map<std::string, Node> nodes_;
};

}  // namespace mg::test
