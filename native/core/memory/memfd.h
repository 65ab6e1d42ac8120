// Files that lie in memory alone: memfd_create(2), Linux.
#pragma once
#include <functional>

#include "status.h"

namespace mg::memfd {

// A descriptor of a new file of `size` zeros, which programs started from here do not inherit. OUT_OF_MEMORY, naming the limit of the
// process if one is in the way; INVALID_ARGUMENT where the system has no such files, or cannot seal them as seal() does.
Result<int> create(size_t size);

// An empty file that this process and those of its user may write to by path, until close_to_writers(). The same errors.
Result<int> create_writable();

// Takes the right to open the file for writing away; seal() ends writing by descriptors that are open.
void close_to_writers(int fd);

// Cuts the file to `size` bytes. From now on no descriptor can write to it or change its size, and no new mapping can write; mappings
// that are there can. INVALID_ARGUMENT where the system has no such seal (before Linux 5.1).
Status seal(int fd, size_t size);

// Calls `visit` for the ranges of [0, size) that hold data, in swap space too.
void for_each_data(int fd, size_t size, const std::function<void(size_t at, size_t size)>& visit);

}  // namespace mg::memfd
