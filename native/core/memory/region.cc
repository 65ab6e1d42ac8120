#include "memory/region.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "memory/memfd.h"

#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif

namespace mg {
namespace {

size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

// Locks pages as they are first touched: locking them up front would fault the whole model in on one thread.
bool lock_on_fault(void* data, size_t size) {
#if defined(__linux__) && defined(SYS_mlock2)
  return syscall(SYS_mlock2, data, size, MLOCK_ONFAULT) == 0;
#else
  return mlock(data, size) == 0;
#endif
}

// Maps `fd`, or anonymous memory where it is -1. `at` is a mapping to replace, or null.
uint8_t* map(void* at, size_t size, int fd) {
  const int kind = fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
  void* data = mmap(at, size, PROT_READ | PROT_WRITE, kind | (at ? MAP_FIXED : 0), fd, 0);
  return data == MAP_FAILED ? nullptr : static_cast<uint8_t*>(data);
}

// A mapping that starts on a 2 MiB boundary: the kernel gives huge pages only to whole aligned ones.
uint8_t* map_aligned(size_t size, int fd) {
  uint8_t* start = map(nullptr, size + kHugePage, -1);
  if (!start) return nullptr;
  uint8_t* aligned = reinterpret_cast<uint8_t*>(round_up(reinterpret_cast<uintptr_t>(start), kHugePage));
  const size_t before = size_t(aligned - start), after = kHugePage - before;
  if (before) munmap(start, before);
  if (after) munmap(aligned + size, after);
  if (fd >= 0 && !map(aligned, size, fd)) {
    munmap(aligned, size);
    return nullptr;
  }
#ifdef MADV_HUGEPAGE
  madvise(aligned, size, MADV_HUGEPAGE);
#endif
  return aligned;
}

// Bytes of huge pages within [data, data + size), from the kernel's own account.
size_t huge_bytes(const uint8_t* data, size_t size) {
  std::FILE* smaps = std::fopen("/proc/self/smaps", "re");
  if (!smaps) return 0;
  const uintptr_t from = reinterpret_cast<uintptr_t>(data), to = from + size;
  size_t total = 0;
  bool inside = false;
  char line[512];
  while (std::fgets(line, sizeof line, smaps)) {
    uintptr_t start, end;
    size_t kib;
    if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &start, &end) == 2) {
      inside = start < to && end > from;
    } else if (inside && (std::sscanf(line, "AnonHugePages: %zu kB", &kib) == 1 ||
                          std::sscanf(line, "ShmemPmdMapped: %zu kB", &kib) == 1)) {
      total += kib * 1024;
    }
  }
  std::fclose(smaps);
  return total;
}

void zero(uint8_t* data, size_t size) {
  std::memset(data, 0, size);
  __asm__ __volatile__("" : : "r"(data) : "memory");  // so that the compiler cannot drop it as a dead store
}

// Zeroes what is resident of anonymous memory. Touching the rest would only fault empty pages in, gigabytes of them after an early abort.
void zero_resident(uint8_t* data, size_t size) {
  constexpr size_t kWindow = size_t(64) << 20;
  const size_t page = size_t(sysconf(_SC_PAGESIZE));
  Bytes resident(kWindow / page);
  for (size_t at = 0; at < size; at += kWindow) {
    const size_t window = size - at < kWindow ? size - at : kWindow;
    if (mincore(data + at, window, resident.data()) != 0) {
      zero(data + at, window);
      continue;
    }
    for (size_t i = 0; i * page < window; i++)
      if (resident[i] & 1) zero(data + at + i * page, page);
  }
}

}  // namespace

Result<Region> Region::allocate(size_t size, Pages pages, Backing backing) {
  Region region;
  if (size > SIZE_MAX - 2 * kHugePage) return Status(Code::OUT_OF_MEMORY, "the model is larger than the address space");
  if (backing == Backing::memfd) {
    auto fd = memfd::create(size);
    if (!fd.ok()) return fd.status();
    region.fd_ = *fd;
  }
  if (auto s = region.map_memory(size, pages); !s.ok()) return s;
  return region;
}

Result<Region> Region::adopt(int fd) {
  Region region;
  region.fd_ = fd;
  struct stat stats;
  if (fstat(fd, &stats) != 0) return Status::from_errno(errno, "cannot look up a file in memory", "");
  // Mapped before it is sealed: no mapping that could wipe it can be made afterwards.
  if (auto s = region.map_memory(size_t(stats.st_size), Pages::huge); !s.ok()) return s;
  // Its pages are there: locked when they are first touched, those that are not touched here would not be.
  region.locked_ = region.mapped_ && mlock(region.data_, region.mapped_) == 0;
  memfd::close_to_writers(fd);
  if (auto s = region.seal(size_t(stats.st_size)); !s.ok()) return s;
  return region;
}

Status Region::map_memory(size_t size, Pages pages) {
  if (size == 0) return {};
  const size_t mapped = round_up(size, size_t(sysconf(_SC_PAGESIZE)));
  data_ = mapped >= kHugePage && pages == Pages::huge ? map_aligned(mapped, fd_) : map(nullptr, mapped, fd_);
  if (!data_) return Status(Code::OUT_OF_MEMORY, "no memory is left for " + std::to_string(size) + " bytes of a model", errno);
  size_ = size;
  mapped_ = mapped;
  maker_ = getpid();
#ifdef __linux__
  dontdump_ = madvise(data_, mapped, MADV_DONTDUMP) == 0;
#endif
  locked_ = lock_on_fault(data_, mapped);
  return {};
}

Region::Region(Region&& other) noexcept { *this = std::move(other); }

Region& Region::operator=(Region&& other) noexcept {
  if (this == &other) return *this;
  release();
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  mapped_ = std::exchange(other.mapped_, 0);
  fd_ = std::exchange(other.fd_, -1);
  locked_ = other.locked_;
  dontdump_ = other.dontdump_;
  maker_ = other.maker_;
  return *this;
}

Region::~Region() { release(); }

Protection Region::protection() const {
  Protection achieved;
  achieved.locked = locked_;
  achieved.dontdump = dontdump_;
  achieved.memfd = fd_ >= 0;
  const size_t whole = mapped_ / kHugePage * kHugePage;
  achieved.hugePages = whole > 0 && huge_bytes(data_, mapped_) >= whole;
  return achieved;
}

Status Region::seal(size_t size) {
  const size_t kept = round_up(size, size_t(sysconf(_SC_PAGESIZE)));
  // Behind the end of a file, a mapped page is a fault.
  if (mapped_ > kept) munmap(data_ + kept, mapped_ - kept);
  mapped_ = kept;
  size_ = size;
  return memfd::seal(fd_, size);
}

void Region::wipe() {
  if (mapped_) {
    if (getpid() == maker_) zero_pages();
    hand_back();
  }
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

void Region::zero_pages() {
  if (fd_ >= 0) memfd::for_each_data(fd_, mapped_, [this](size_t at, size_t size) { zero(data_ + at, size); });
  else if (mapped_ < kHugePage) zero(data_, mapped_);
  else zero_resident(data_, mapped_);
}

void Region::hand_back() {
  // A locked page cannot be given back.
  if (locked_) munlock(data_, mapped_);
  locked_ = false;
  // Sealed pages cannot be cut out of a memfd: it is unmapped, and goes when its last descriptor is closed.
  if (fd_ >= 0) map(data_, mapped_, -1);
  else madvise(data_, mapped_, MADV_DONTNEED);
}

void Region::release() {
  wipe();
  if (mapped_) munmap(data_, mapped_);
  mapped_ = 0;
}

}  // namespace mg
