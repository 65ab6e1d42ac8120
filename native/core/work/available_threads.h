// The number of threads that can run at a time in this process.
#pragma once
#include <string>

namespace mg::work {

// The CPUs of the affinity mask, or those that the cgroups allow (v1 and v2) if they are fewer; at least 1.
unsigned available_threads();

// CPUs that the cgroups of this process allow, rounded up; 0: no limit. Reads <root>/proc/self/cgroup and <root>/sys/fs/cgroup.
unsigned cgroup_threads(const std::string& root);

}  // namespace mg::work
