// Plaintext of a model: page-aligned anonymous memory that core dumps leave out; huge pages from 2 MiB up.
#pragma once
#include "bytes.h"
#include "status.h"

namespace mg {

constexpr size_t kHugePage = size_t(2) << 20;

// Huge pages are faster where free memory is contiguous. Elsewhere the kernel compacts memory first, in the thread that touches the page.
enum class Pages : uint8_t { huge, ordinary };

struct Protection {        // what was truly achieved, nothing more
  bool locked = false;     // no page of it can go to swap
  bool dontdump = false;   // left out of core dumps
  bool hugePages = false;  // every whole 2 MiB of it is one page
  bool memfd = false;      // reachable as a path
};

class Region {
 public:
  Region() = default;
  static Result<Region> allocate(size_t size, Pages pages = Pages::huge);  // zeroed; size 0 gives an empty region
  Region(Region&& other) noexcept;
  Region& operator=(Region&& other) noexcept;
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;
  ~Region();  // wipes and unmaps

  uint8_t* data() { return data_; }
  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  Protection protection() const;

  // Zeroes every page and hands it back to the system, but keeps the addresses mapped: a late reader sees zeros
  // instead of crashing the process.
  void wipe();

 private:
  void release();
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
  size_t mapped_ = 0;
  bool locked_ = false;
  bool dontdump_ = false;
};

}  // namespace mg
