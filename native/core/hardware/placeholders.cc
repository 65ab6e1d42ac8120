// Serial numbers and UUIDs that many machines share. An attacker can guess such a value, so it counts as absent. It is less than a virtual
// one: a number that a hypervisor makes differs between machines until one is cloned.
#include <algorithm>

#include "hardware/ascii.h"
#include "hardware/readers.h"

namespace mg::hardware {
namespace {

// A shorter one is a counter that starts anew in each machine, or a filler.
constexpr size_t kMinCharacters = 4;

constexpr const char* kWholeSerials[] = {"none", "null", "empty", "default", "serial", "deadbeef"};
constexpr const char* kSerialParts[] = {
    "tobefilled",  "defaultstring", "notspecified", "notapplicable", "notavailable",
    "notprovided", "unknown",       "invalid",      "serialnumber",
    "harddisk",                                     // the name of a virtual drive without a serial number
    "qm000",                                        // QEMU numbers its IDE and SATA drives from 1
    "drivescsi",   "driveide",      "drivevirtio",  // QEMU names its SCSI drives by their place
    "vmware",                                       // NVMe drives of VMware
    "vb123456789",                                  // NVMe drives of VirtualBox
};
constexpr const char* kUuids[] = {
    "03000200-0400-0500-0006-000700080009",  // an example in a firmware's source
    "00020003-0004-0005-0006-000700080009",  // the same with its bytes in the other order
    "00010203-0405-0607-0809-0a0b0c0d0e0f", "00112233-4455-6677-8899-aabbccddeeff", "12345678-1234-5678-90ab-cddeefaabbcc",
    "4c4c4544-0000-2010-8020-80c04f202020",  // Dell's, without the machine's service tag
    "44454c4c-0000-1020-8020-80c04f202020",  // the same with its bytes in the other order
};

// The letters and digits in lower case, without leading zeros: "0000_0000-01" becomes "1".
std::string significant(std::string_view s) {
  std::string out;
  for (const char c : lower(s)) {
    if ((c < 'a' || c > 'z') && !is_digit(c)) continue;
    if (c != '0' || !out.empty()) out += c;
  }
  return out;
}

// "1234567890", "89abcdef": each digit is one more than the last, in base 10 or 16.
bool counts_up(const std::string& s) {
  const auto digit = [](char c) { return is_digit(c) ? c - '0' : is_hex(c) ? c - 'a' + 10 : -100; };
  for (const int base : {10, 16}) {
    size_t i = 1;
    while (i < s.size() && digit(s[i]) == (digit(s[i - 1]) + 1) % base) i++;
    if (i >= s.size()) return true;
  }
  return false;
}

size_t distinct_characters(std::string s) {
  std::sort(s.begin(), s.end());
  return size_t(std::unique(s.begin(), s.end()) - s.begin());
}

}  // namespace

bool is_placeholder_serial(const std::string& serial) {
  std::string_view s = trim(serial);
  // SCSI names: "naa.5000c500a1b2c3d4"; "t10.", then vendor, model and serial number.
  if (starts_with(s, "t10.")) s.remove_prefix(s.find_last_of(' ') == std::string_view::npos ? 4 : s.find_last_of(' ') + 1);
  for (const std::string_view prefix : {"naa.", "eui.", "uuid.", "0x"}) {
    if (starts_with(s, prefix)) s.remove_prefix(prefix.size());
  }
  const std::string text = significant(s);
  if (text.size() < kMinCharacters || distinct_characters(text) == 1 || counts_up(text)) return true;
  const auto is_text = [&](const char* whole) { return text == whole; };
  const auto has_part = [&](const char* part) { return contains(text, part); };
  return std::any_of(std::begin(kWholeSerials), std::end(kWholeSerials), is_text) ||
         std::any_of(std::begin(kSerialParts), std::end(kSerialParts), has_part);
}

bool is_placeholder_uuid(const std::string& uuid) {
  const std::string digits = significant(uuid);
  return digits.size() < kMinCharacters || distinct_characters(digits) <= 2 || counts_up(digits) ||
         std::find(std::begin(kUuids), std::end(kUuids), uuid) != std::end(kUuids);
}

}  // namespace mg::hardware
