// Reads the manifest out of a message, so that its files can be read (docs/format.md, section 4).
#pragma once
#include <functional>

#include "container/manifest.h"
#include "memory/region.h"
#include "payload/layout.h"

namespace mg::container {

struct Listing {
  Region chunks;            // manifest and padding as they were authenticated, whole chunks
  uint64_t area_chunk = 0;  // where the file area begins
  std::vector<File> files;
  uint64_t area() const { return area_chunk * payload::kChunk; }
};

// Authentic plaintext of chunks [first, first + count), side by side.
using ReadChunks = std::function<Status(uint64_t first, uint64_t count, Region& into)>;
Result<Listing> read_listing(uint64_t plaintext_size, const ReadChunks& read);

// Checks that the whole chunks of a file end in zeros. MANIFEST_INVALID.
Status check_padding(View padding, const std::string& path);

}  // namespace mg::container
