#include "memory/secret.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace mg {
namespace {

constexpr size_t kMaxSecret = 64 * 1024;

size_t page_size() {
  static const size_t size = size_t(sysconf(_SC_PAGESIZE));
  return size;
}

// Secrets that this process has, and the process that made them. A fork copies both.
std::atomic<size_t> living{0};
std::atomic<pid_t> maker{0};

void wipe(volatile uint8_t* p, size_t n) {
  while (n--) *p++ = 0;
}

}  // namespace

Status forked() { return Status(Code::PROCESS_FORKED, "this process was forked from one that had keys; they were wiped here"); }

Status check_process() {
  if (living.load() == 0 || maker.load() == getpid()) return {};
  return forked();
}

Result<Secret> Secret::allocate(size_t size) {
  if (auto s = check_process(); !s.ok()) return s;
  if (size == 0 || size > kMaxSecret) return Status(Code::INTERNAL, "a secret of an impossible size was asked for");
  const size_t page = page_size();
  const size_t data = (size + page - 1) / page * page;
  void* base = mmap(nullptr, data + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return Status(Code::OUT_OF_MEMORY, "no memory is left for a key", errno);
  uint8_t* pages = static_cast<uint8_t*>(base) + page;
  if (mprotect(pages, data, PROT_READ | PROT_WRITE) != 0) {
    const int error = errno;
    munmap(base, data + 2 * page);
    return Status(Code::OUT_OF_MEMORY, "no memory is left for a key", error);
  }
#ifdef __linux__
  madvise(pages, data, MADV_DONTDUMP);
  madvise(pages, data, MADV_WIPEONFORK);
#endif
  maker = getpid();
  living++;
  Secret secret;
  secret.locked_ = mlock(pages, data) == 0;
  secret.mapped_ = data + 2 * page;
  secret.size_ = size;
  // Against the guard page behind it, so that an overrun faults at once.
  secret.data_ = pages + data - (size + 15) / 16 * 16;
  return secret;
}

Result<Secret> Secret::copy(View bytes) {
  auto secret = allocate(bytes.size);
  if (secret.ok()) std::memcpy(secret->data_, bytes.data, bytes.size);
  return secret;
}

Secret::Secret(Secret&& other) noexcept { *this = std::move(other); }

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this == &other) return *this;
  release();
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  mapped_ = std::exchange(other.mapped_, 0);
  locked_ = std::exchange(other.locked_, false);
  return *this;
}

Secret::~Secret() { release(); }

void Secret::shrink(size_t size) {
  if (size >= size_) return;
  wipe(data_ + size, size_ - size);
  size_ = size;
}

void Secret::release() {
  if (!mapped_) return;
  const size_t page = page_size();
  const uintptr_t start = reinterpret_cast<uintptr_t>(data_) / page * page;
  uint8_t* first = reinterpret_cast<uint8_t*>(start);
  wipe(first, mapped_ - 2 * page);
  munmap(first - page, mapped_);
  mapped_ = 0;
  living--;
}

}  // namespace mg
