// A software TPM (swtpm) of a test's own: a child process on free loopback ports, with its state in a folder of its own.
#pragma once
#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bytes.h"

namespace mg::test {

class Swtpm {
 public:
  // Where swtpm, tpm2-tools or the TPM library is missing, prints one line that says SKIPPED and returns nothing.
  static std::unique_ptr<Swtpm> start();
  ~Swtpm();
  Swtpm(const Swtpm&) = delete;
  Swtpm& operator=(const Swtpm&) = delete;

  void use() const;  // makes it the TPM of this process (MODEL_GUARD_TCTI)
  void restart();    // the same TPM after a reboot, PCRs back at their start; makes it the TPM of this process
  const std::string& tcti() const { return tcti_; }

  // Runs one of tpm2-tools on this TPM, in a folder for its files; what it printed, or nothing where it failed.
  std::optional<std::string> tool(std::vector<std::string> command) const;
  Bytes name_of(const std::string& key) const;  // a handle, or a context in the folder
  // Extends a PCR with a fixed digest.
  void extend(unsigned pcr, const std::string& digest = std::string(64, 'a')) const;  // SHA-256, as hex
  // Whether neither an object nor a session is in the TPM's memory.
  bool is_clean() const;

  const std::string& folder() const { return folder_; }

 private:
  Swtpm() = default;
  void spawn();
  bool spawn(unsigned port);
  void stop();
  std::string folder_, tcti_;
  pid_t child_ = -1;
};

// Captures the text that this process, libraries included, prints to stderr.
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
