// The size of memory. Each kernel keeps a little more or less for itself: rounded up, the size is that of the built-in memory.
#include "hardware/ascii.h"
#include "hardware/readers.h"

namespace mg::hardware {
namespace {

constexpr const char* kMeminfo = "/proc/meminfo";

// "MemTotal:       16271072 kB"; 0 where there is none.
uint64_t total_kb(const std::string& meminfo) {
  for (const std::string& line : split(meminfo, '\n')) {
    if (!starts_with(line, "MemTotal:")) continue;
    std::string_view text = trim(std::string_view(line).substr(9));
    uint64_t kb = 0;
    while (!text.empty() && is_digit(text.front())) {
      kb = kb * 10 + uint64_t(text.front() - '0');
      if (kb > uint64_t(1) << 50) return 0;
      text.remove_prefix(1);
    }
    return trim(text) == "kB" ? kb : 0;
  }
  return 0;
}

// Up to a multiple of a quarter of the power of two below: 15.5 GiB and 15.7 GiB become 16 GiB, 12 GiB stays.
uint64_t rounded(uint64_t mib) {
  uint64_t power = 1;
  while (power <= mib / 2) power *= 2;
  const uint64_t step = power < 4 ? 1 : power / 4;
  return (mib + step - 1) / step * step;
}

std::string for_people(uint64_t mib) {
  if (mib < 1024) return std::to_string(mib) + " MiB";
  // Below 4 GiB the steps are quarters of a GiB or less: two decimals are enough.
  std::string text = std::to_string(mib / 1024);
  if (const uint64_t hundredths = mib % 1024 * 100 / 1024) {
    text += (hundredths < 10 ? ".0" : ".") + std::to_string(hundredths);
    if (text.back() == '0') text.pop_back();
  }
  return text + " GiB";
}

}  // namespace

Reading read_memory(const System& system) {
  Reading memory;
  memory.source = kMeminfo;
  const auto meminfo = system.tree.read(kMeminfo);
  if (!meminfo) {
    memory.why = system.absence_of(std::string(kMeminfo) + " to read");
    return memory;
  }
  const uint64_t kb = total_kb(*meminfo);
  if (kb == 0) {
    memory.why = "no MemTotal";
    return memory;
  }
  const uint64_t mib = rounded((kb + 1023) / 1024);
  memory.value = std::to_string(mib) + " MiB";
  memory.shown = for_people(mib);
  memory.quality = Quality::weak;
  memory.why = "many machines have the same";
  for (const Mount& mount : system.mounts) {
    if (mount.point != kMeminfo) continue;
    memory.quality = Quality::is_virtual;
    memory.why = "container: what its manager shows, not what the machine has";
  }
  return memory;
}

}  // namespace mg::hardware
