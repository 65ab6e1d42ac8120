// A lock that dies with its process.
#pragma once
#include <memory>
#include <string>

#include "memory/fd.h"
#include "status.h"

namespace mg::files {

// Held by one holder at a time, of this process or another, until it is destroyed or the process ends, however that happens. Makes the
// file (0600) where it is missing; a holder may remove it. Null: somebody else holds it.
Result<std::shared_ptr<Fd>> lock_file(const std::string& path);

}  // namespace mg::files
