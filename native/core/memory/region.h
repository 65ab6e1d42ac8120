// Plaintext of a model: page-aligned memory that core dumps leave out; huge pages from 2 MiB up.
#pragma once
#include <sys/types.h>

#include "bytes.h"
#include "status.h"

namespace mg {

constexpr size_t kHugePage = size_t(2) << 20;

// Huge pages are faster where free memory is contiguous. Elsewhere the kernel compacts memory first, in the thread that touches the page.
enum class Pages : uint8_t { huge, ordinary };

// A memfd is a file that lies in memory alone: other programs open it as /proc/PID/fd/N.
enum class Backing : uint8_t { anonymous, memfd };

struct Protection {        // what was truly achieved, nothing more
  bool locked = false;     // no page of it can go to swap
  bool dontdump = false;   // left out of core dumps
  bool hugePages = false;  // every whole 2 MiB of it is one page
  bool memfd = false;      // reachable as a path
};

class Region {
 public:
  Region() = default;
  // Zeroed; size 0 gives an empty region. OUT_OF_MEMORY, also where a limit of the process allows no memfd of that size or no more
  // descriptors; INVALID_ARGUMENT where the system has no memfd.
  static Result<Region> allocate(size_t size, Pages pages = Pages::huge, Backing backing = Backing::anonymous);
  // A memfd as programs left it, sealed: it is the region's in every case. `fd`: of memfd::create_writable(). OUT_OF_MEMORY, IO_FAILED.
  static Result<Region> adopt(int fd);
  Region(Region&& other) noexcept;
  Region& operator=(Region&& other) noexcept;
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;
  ~Region();  // wipes and unmaps

  uint8_t* data() { return data_; }
  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  Protection protection() const;

  // Cuts a memfd to its first `size` bytes and seals it: from then on it changes through data() alone. The bytes behind `size` are
  // no longer mapped.
  Status seal(size_t size);
  int descriptor() const { return fd_; }  // of a memfd; -1 without one, and after wipe()

  // Zeroes every page and hands it back to the system, but keeps the addresses mapped: a late reader sees zeros
  // instead of crashing the process. A process that still holds the memfd sees zeros, too. A forked child zeroes nothing: the pages of a
  // memfd are its parent's.
  void wipe();

 private:
  Status map_memory(size_t size, Pages pages);
  void release();
  void zero_pages();
  void hand_back();
  int fd_ = -1;
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
  size_t mapped_ = 0;
  bool locked_ = false;
  bool dontdump_ = false;
  pid_t maker_ = 0;
};

}  // namespace mg
