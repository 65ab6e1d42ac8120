// A lock that ends with its process.
#pragma once
#include <memory>
#include <string>

#include "memory/fd.h"
#include "status.h"

namespace mg::files {

// One holder at a time, in this process or another, until the lock is destroyed or the process ends in any way. Makes the file (0600) if it
// is missing; the holder may remove it. Null: the lock is held already.
Result<std::shared_ptr<Fd>> lock_file(const std::string& path);

}  // namespace mg::files
