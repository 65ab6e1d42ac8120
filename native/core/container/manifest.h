// The manifest: which files a model consists of and where they lie in the message (docs/format.md, section 4).
#pragma once
#include <string>
#include <vector>

#include "bytes.h"
#include "status.h"

namespace mg::container {

constexpr size_t kMaxManifest = 16u << 20, kMaxFiles = 10000, kMaxPath = 1024, kMaxSegment = 255;

struct File {
  std::string path;
  uint64_t size = 0, offset = 0;  // offset counts from the start of the file area
};

struct Manifest {
  std::vector<File> files;
  uint64_t file_area(size_t manifest_length) const;  // start of the file area in the message
  uint64_t plaintext_size(size_t manifest_length) const;
};

Status check_path(std::string_view path);  // NAME_INVALID: one path by itself
// Sorts, checks every rule between paths, fills in the offsets. NAME_INVALID, SOURCE_EMPTY, LIMIT_EXCEEDED.
Result<Manifest> pack(std::vector<File> files);
Bytes write_manifest(const Manifest& manifest);
// MANIFEST_INVALID for bytes that pack() and write_manifest() would not make.
Result<Manifest> parse_manifest(View json, uint64_t plaintext_size);

}  // namespace mg::container
