#include "hardware/tpm_response.h"

#include <cstdio>

namespace mg::hardware::tpm {
namespace {

constexpr uint32_t kLayerShift = 16, kTpmLayer = 0, kResourceManagerTpmLayer = 12;  // the second: relayed by a resource manager
constexpr uint32_t kFormatOne = 0x080;  // in this format, bits 6 and 8 to 11 name a handle, session or parameter
constexpr uint32_t kFormatOneError = 0x0bf;

std::string hex(uint32_t rc) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08x", rc);
  return text;
}

ResponseClass format_one(uint32_t error) {
  switch (error) {
    case 0x08b:  // HANDLE
    case 0x095:  // SIZE
    case 0x09a:  // INSUFFICIENT
    case 0x09f:  // INTEGRITY
    case 0x0a5:  // BINDING
      return ResponseClass::foreign;
    case 0x09d:  // POLICY_FAIL
      return ResponseClass::refused;
    case 0x08e:  // AUTH_FAIL
    case 0x0a2:  // BAD_AUTH
      return ResponseClass::unauthorized;
    default: return ResponseClass::unavailable;
  }
}

ResponseClass format_zero(uint32_t code) {
  switch (code) {
    case 0x000: return ResponseClass::success;
    case 0x128:  // PCR_CHANGED
    case 0x908:  // YIELDED
    case 0x909:  // CANCELED
    case 0x90a:  // TESTING
    case 0x920:  // NV_RATE
    case 0x922:  // RETRY
      return ResponseClass::retry;
    case 0x921:  // LOCKOUT
      return ResponseClass::locked;
    default: return ResponseClass::unavailable;
  }
}

}  // namespace

ResponseClass classify(uint32_t rc) {
  if (rc == 0) return ResponseClass::success;
  const uint32_t layer = rc >> kLayerShift, code = rc & 0xffff;
  if ((layer != kTpmLayer && layer != kResourceManagerTpmLayer) || code == 0 || code > 0xfff) return ResponseClass::unavailable;
  return (code & kFormatOne) ? format_one(code & kFormatOneError) : format_zero(code);
}

Status refusal(uint32_t rc, const std::string& action) {
  switch (classify(rc)) {
    case ResponseClass::success: break;
    case ResponseClass::locked: return Status(Code::TPM_LOCKED, "the TPM is in lock-out and does not " + action);
    case ResponseClass::refused: return Status(Code::TPM_REFUSED, "the TPM does not " + action + ": the policy does not hold");
    case ResponseClass::foreign:
      return Status(Code::HARDWARE_MISMATCH,
                    "the TPM cannot " + action + ": the object is of another TPM, or damaged (" + hex(rc) + ")");
    case ResponseClass::unauthorized:
      return Status(Code::TPM_UNAVAILABLE, "the TPM asks for a password to " + action + " (" + hex(rc) + ")");
    case ResponseClass::retry: return Status(Code::TPM_UNAVAILABLE, "the TPM is too busy to " + action + " (" + hex(rc) + ")");
    case ResponseClass::unavailable: return Status(Code::TPM_UNAVAILABLE, "the TPM cannot " + action + " (" + hex(rc) + ")");
  }
  return Status(Code::INTERNAL, "no refusal to " + action);
}

}  // namespace mg::hardware::tpm
