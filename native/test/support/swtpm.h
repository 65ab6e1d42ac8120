// A software TPM (swtpm) of a test's own: a child process on free loopback ports, with its state in a folder of its own.
#pragma once
#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace mg::test {

class Swtpm {
 public:
  // Where swtpm, tpm2-tools or the TPM library is missing, prints one line that says SKIPPED and returns nothing.
  static std::unique_ptr<Swtpm> start();
  ~Swtpm();
  Swtpm(const Swtpm&) = delete;
  Swtpm& operator=(const Swtpm&) = delete;

  void restart();  // the same TPM after a reboot: PCRs are back at their start
  void use() const;  // makes it the TPM of this process (MODEL_GUARD_TCTI)
  const std::string& tcti() const { return tcti_; }

  // Runs one of tpm2-tools on this TPM, in a folder for its files; what it printed, or nothing where it failed.
  std::optional<std::string> tool(std::vector<std::string> command) const;
  // Extends a PCR with a fixed digest.
  void extend(unsigned pcr) const;
  // Whether neither an object nor a session is in the TPM's memory.
  bool is_clean() const;

  const std::string& folder() const { return folder_; }

 private:
  Swtpm() = default;
  bool spawn(unsigned port);
  void stop();
  std::string folder_, tcti_;
  unsigned port_ = 0;
  pid_t child_ = -1;
};

// What this process prints to stderr while it lives, libraries included.
class StderrCapture {
 public:
  StderrCapture();
  ~StderrCapture();
  StderrCapture(const StderrCapture&) = delete;
  StderrCapture& operator=(const StderrCapture&) = delete;
  std::string text() const;

 private:
  int saved_, file_;
};

}  // namespace mg::test
