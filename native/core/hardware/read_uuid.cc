// The product UUID that the maker wrote into the DMI tables. The kernel lets root alone read it.
#include "hardware/ascii.h"
#include "hardware/readers.h"

namespace mg::hardware {
namespace {

constexpr const char* kUuid = "/sys/class/dmi/id/product_uuid";

bool is_uuid(const std::string& s) {
  if (s.size() != 36) return false;
  for (size_t i = 0; i < s.size(); i++) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? s[i] != '-' : !is_hex(s[i])) return false;
  }
  return true;
}

}  // namespace

Reading read_uuid(const System& system) {
  Reading uuid;
  uuid.source = kUuid;
  uuid.needs_root = !system.tree.exists(kUuid);  // the kernel would make it for root alone
  if (!system.tree.exists("/sys/class/dmi/id")) {
    uuid.why = system.absence_of("DMI tables");
    return uuid;
  }
  if (!system.tree.exists(kUuid)) {
    uuid.why = "unset by the maker";
    return uuid;
  }
  const auto content = system.tree.read(kUuid);
  if (!content) {
    uuid.why = "cannot be read";
    return uuid;
  }
  const std::string value = lower(trim(*content));
  if (!is_uuid(value)) {
    uuid.why = "not a UUID";
    return uuid;
  }
  if (is_placeholder_uuid(value)) {
    uuid.why = kPlaceholder;
    return uuid;
  }
  uuid.value = value;
  // Some boards put a network address into the last group, and zeros into the others.
  const bool address = starts_with(value, "00000000-0000-0000-0000-");
  uuid.quality = address ? Quality::weak : Quality::strong;
  uuid.why = address ? "made from a network address" : "the maker's number for this machine";
  return uuid;
}

}  // namespace mg::hardware
