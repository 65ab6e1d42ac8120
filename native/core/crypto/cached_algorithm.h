// An algorithm of OpenSSL by name. Fetched at first use and kept until the process ends, because a fetch costs more than a small digest.
// A fetch that failed (no memory, a provider that is not there yet) is not kept: the next use tries again.
#pragma once
#include <atomic>

namespace mg::crypto {

template <class Algorithm, class Library, Algorithm* (*fetch)(Library*, const char*, const char*), void (*release)(Algorithm*)>
class CachedAlgorithm {
 public:
  constexpr explicit CachedAlgorithm(const char* name) : name_(name) {}

  Algorithm* get() {  // null if it is not available now
    Algorithm* kept = kept_.load(std::memory_order_acquire);
    if (kept) return kept;
    Algorithm* fetched = fetch(nullptr, name_, nullptr);
    if (!fetched || kept_.compare_exchange_strong(kept, fetched)) return fetched;
    release(fetched);  // another thread was faster
    return kept;
  }

 private:
  const char* name_;
  std::atomic<Algorithm*> kept_{nullptr};
};

}  // namespace mg::crypto
