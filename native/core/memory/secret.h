// Key material. Own pages between guard pages, locked where the limit allows, never dumped, zero in a forked child,
// wiped on every path. Move-only. The bytes are reached only through reveal(): grep for it to review every use.
#pragma once
#include "bytes.h"
#include "status.h"

namespace mg {

// PROCESS_FORKED in a process that was forked while its parent had secrets: there they are zeros, and nothing may be done with them.
Status check_process();
Status forked();

class Secret {
 public:
  Secret() = default;
  static Result<Secret> allocate(size_t size);  // zeroed; size 1 to 64 KiB
  static Result<Secret> copy(View bytes);
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret();

  View reveal() const { return View(data_, size_); }
  Span reveal_mut() { return Span(data_, size_); }
  size_t size() const { return size_; }
  bool locked() const { return locked_; }
  void shrink(size_t size);  // wipes what falls away

 private:
  void release();
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
  size_t mapped_ = 0;  // data pages plus both guard pages
  bool locked_ = false;
};

}  // namespace mg
