// Renaming that never overwrites.
#pragma once
#include <string>

#include "status.h"

namespace mg::files {

// Gives the file `temporary` the name `path` in the same folder, atomically. ALREADY_EXISTS where that name is taken; then, and
// after every other failure, `temporary` stays. A hard link or RENAME_NOREPLACE decides; where the file system has neither, processes
// that come through here take turns, and a program that goes another way may lose a file that it makes at the same moment.
Status rename_new(const std::string& temporary, const std::string& path);

}  // namespace mg::files
