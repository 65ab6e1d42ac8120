// Counts the runs of scrypt of one opening against a bound. Write access to a container is enough to add slots, and each slot may cost runs.
#pragma once
#include <atomic>
#include <cstdint>

#include "status.h"

namespace mg::crypto {

// The unit is a run with N = 2^15, r = 8, p = 1. Each step of log N doubles the work.
constexpr unsigned kUnitLogN = 15;
constexpr uint32_t derivations_of(unsigned log_n) { return log_n <= kUnitLogN ? 1 : 1u << (log_n - kUnitLogN); }

class Derivations {
 public:
  explicit Derivations(uint32_t most = UINT32_MAX, const std::atomic<bool>* cancelled = nullptr)
      : most_(most), cancelled_(cancelled) {}

  // Called before each run. ABORT_ERR, DERIVATIONS_EXCEEDED.
  Status begin(uint32_t units) {
    if (cancelled_ && cancelled_->load()) return Status(Code::ABORT_ERR, "cancelled");
    if (units > most_ - made_)
      return Status(Code::DERIVATIONS_EXCEEDED,
                    "it did not open within " + std::to_string(most_) + " derivations of keys from passphrases and machines");
    made_ += units;
    return {};
  }
  uint32_t count() const { return made_; }

 private:
  const uint32_t most_;
  const std::atomic<bool>* const cancelled_;
  uint32_t made_ = 0;  // never above most_
};

}  // namespace mg::crypto
