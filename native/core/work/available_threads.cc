#include "work/available_threads.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#ifdef __linux__
#include <sched.h>
#endif

namespace mg::work {
namespace {

std::string read_text(const std::string& path) {
  std::string text;
  FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return text;
  char buffer[4096];
  size_t n;
  while (text.size() < 65536 && (n = std::fread(buffer, 1, sizeof buffer, file)) > 0) text.append(buffer, n);
  std::fclose(file);
  return text;
}

// Reads one integer from `text` at `at`, after blanks. False where there is none: "max", "-1", nothing.
bool read_number(const std::string& text, size_t& at, uint64_t* out) {
  while (at < text.size() && (text[at] == ' ' || text[at] == '\t')) at++;
  size_t start = at;
  uint64_t value = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; at++) {
    if (value > UINT64_MAX / 10 - 1) return false;
    value = value * 10 + uint64_t(text[at] - '0');
  }
  *out = value;
  return at > start;
}

void lower_to(unsigned& limit, uint64_t quota, uint64_t period) {
  if (period == 0) return;
  uint64_t cpus = std::min<uint64_t>(std::max<uint64_t>((quota + period - 1) / period, 1), 65536);
  if (limit == 0 || cpus < limit) limit = unsigned(cpus);
}

void limit_v2(const std::string& folder, unsigned& limit) {
  std::string text = read_text(folder + "/cpu.max");
  size_t at = 0;
  uint64_t quota, period;
  if (read_number(text, at, &quota) && read_number(text, at, &period)) lower_to(limit, quota, period);
}

void limit_v1(const std::string& folder, unsigned& limit) {
  std::string quota_text = read_text(folder + "/cpu.cfs_quota_us"), period_text = read_text(folder + "/cpu.cfs_period_us");
  size_t quota_at = 0, period_at = 0;
  uint64_t quota, period;
  if (read_number(quota_text, quota_at, &quota) && read_number(period_text, period_at, &period)) lower_to(limit, quota, period);
}

// The limit of each ancestor applies too. A container may see the host's path, but only its own folders below the mount: missing folders
// are skipped.
template <class Limit>
void walk_up(const std::string& mount, std::string path, unsigned& limit, Limit&& limit_of) {
  if (path.find("/..") != std::string::npos) path.clear();
  while (!path.empty() && path != "/") {
    limit_of(mount + path, limit);
    path.erase(path.rfind('/'));
  }
  limit_of(mount, limit);
}

unsigned affinity_threads() {
#ifdef __linux__
  for (int cpus = 1024; cpus <= (1 << 16); cpus *= 4) {
    cpu_set_t* set = CPU_ALLOC(cpus);
    if (set == nullptr) break;
    size_t size = CPU_ALLOC_SIZE(cpus);
    CPU_ZERO_S(size, set);
    int n = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (n > 0) return unsigned(n);
  }
#endif
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? unsigned(online) : 1;
}

}  // namespace

unsigned cgroup_threads(const std::string& root) {
  const std::string mount = root + "/sys/fs/cgroup", groups = read_text(root + "/proc/self/cgroup");
  unsigned limit = 0;
  for (size_t at = 0; at < groups.size();) {
    size_t end = std::min(groups.find('\n', at), groups.size());
    std::string line = groups.substr(at, end - at);
    at = end + 1;
    size_t first = line.find(':'), second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::string controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    if (!path.empty() && path[0] != '/') continue;
    if (controllers.empty()) walk_up(mount, path, limit, limit_v2);
    // v1: the folder has the name of the whole list, usually with a link for each controller.
    if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
      walk_up(mount + "/" + controllers, path, limit, limit_v1);
      if (controllers != "cpu") walk_up(mount + "/cpu", path, limit, limit_v1);
    }
  }
  return limit;
}

unsigned available_threads() {
  unsigned threads = affinity_threads(), limit = cgroup_threads("");
  return std::max(1u, limit == 0 ? threads : std::min(threads, limit));
}

}  // namespace mg::work
