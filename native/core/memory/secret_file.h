// Small files that hold secrets: read straight into secret pages, written whole or not at all. `what` names the file in messages:
// "key file".
#pragma once
#include <sys/types.h>

#include <atomic>
#include <string>

#include "memory/secret.h"

namespace mg {

struct SecretFile {
  Secret bytes;           // at least 1 byte
  bool too_open = false;  // other users may read or write the file
};
// Whether users besides `user` may read or write a file: by its mode, or because they own it. Root may read any file, so a
// file that root owns does not count as open.
bool is_open_to_others(mode_t mode, uid_t owner, uid_t user);

// Reads a file or a pipe. For a pipe it waits for the writer; `cancelled` ends the wait. `empty` is the code for a file
// of no bytes, LIMIT_EXCEEDED that for one of more than `max`, a multiple of 1 KiB.
Result<SecretFile> read_secret_file(const std::string& path, const std::string& what, Code empty, size_t max,
                                    const std::atomic<bool>* cancelled);

// 0600 and on disk when this returns. ALREADY_EXISTS: nothing is ever overwritten. "/dev/stdout" is the standard output of this process.
Status write_new_secret_file(const std::string& path, const std::string& what, View content);

}  // namespace mg
