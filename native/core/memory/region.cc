#include "memory/region.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>

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

// An anonymous mapping that starts on a 2 MiB boundary: the kernel gives huge pages only to whole aligned ones.
uint8_t* map_aligned(size_t size) {
  void* base = mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return nullptr;
  uint8_t* start = static_cast<uint8_t*>(base);
  uint8_t* aligned = reinterpret_cast<uint8_t*>(round_up(reinterpret_cast<uintptr_t>(base), kHugePage));
  const size_t before = size_t(aligned - start), after = kHugePage - before;
  if (before) munmap(start, before);
  if (after) munmap(aligned + size, after);
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
    } else if (inside && std::sscanf(line, "AnonHugePages: %zu kB", &kib) == 1) {
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

// Zeroes what is resident. Touching the rest would only fault empty pages in, gigabytes of them after an early abort.
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

Result<Region> Region::allocate(size_t size, Pages pages) {
  Region region;
  if (size == 0) return region;
  if (size > SIZE_MAX - 2 * kHugePage) return Status(Code::OUT_OF_MEMORY, "the model is larger than the address space");
  const size_t mapped = round_up(size, size_t(sysconf(_SC_PAGESIZE)));
  void* data = mapped >= kHugePage && pages == Pages::huge
                   ? map_aligned(mapped)
                   : mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == nullptr || data == MAP_FAILED)
    return Status(Code::OUT_OF_MEMORY, "no memory is left for " + std::to_string(size) + " bytes of a model", errno);
  region.data_ = static_cast<uint8_t*>(data);
  region.size_ = size;
  region.mapped_ = mapped;
#ifdef __linux__
  region.dontdump_ = madvise(data, mapped, MADV_DONTDUMP) == 0;
#endif
  region.locked_ = lock_on_fault(data, mapped);
  return region;
}

Region::Region(Region&& other) noexcept { *this = std::move(other); }

Region& Region::operator=(Region&& other) noexcept {
  if (this == &other) return *this;
  release();
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  mapped_ = std::exchange(other.mapped_, 0);
  locked_ = other.locked_;
  dontdump_ = other.dontdump_;
  return *this;
}

Region::~Region() { release(); }

Protection Region::protection() const {
  Protection achieved;
  achieved.locked = locked_;
  achieved.dontdump = dontdump_;
  const size_t whole = mapped_ / kHugePage * kHugePage;
  achieved.hugePages = whole > 0 && huge_bytes(data_, mapped_) >= whole;
  return achieved;
}

void Region::wipe() {
  if (!mapped_) return;
  if (mapped_ < kHugePage) zero(data_, mapped_);
  else zero_resident(data_, mapped_);
  // A locked page cannot be given back.
  if (locked_) munlock(data_, mapped_);
  locked_ = false;
  madvise(data_, mapped_, MADV_DONTNEED);
}

void Region::release() {
  if (!mapped_) return;
  wipe();
  munmap(data_, mapped_);
  mapped_ = 0;
}

}  // namespace mg
