// Arrays over guarded memory that JavaScript holds, wiped together.
#pragma once
#include <napi.h>

#include <list>
#include <memory>

#include "memory/region.h"

namespace mg::addon {

// An ArrayBuffer over memory that `keep` owns; empty where the runtime shows no memory but its own, as Electron does. The memory is
// unmapped when V8 has freed the backing store (a transfer to another thread moves it there) and the ArrayBuffer itself is collected too:
// native readers hold either, and a late one then reads mapped zeros.
Napi::ArrayBuffer show_memory(Napi::Env env, uint8_t* data, size_t size, const std::shared_ptr<void>& keep);

class GuardedCopies {
 public:
  // The first `size` bytes of `region`. In Electron a copy in the runtime's own memory, which can be swapped and dumped.
  Napi::Value give(Napi::Env env, const std::shared_ptr<Region>& region, size_t size);
  // The arrays that are still held show zeros from now on.
  void wipe();

 private:
  Napi::Value copy_out(Napi::Env env, View bytes);

  std::list<std::weak_ptr<Region>> regions_;
  size_t sweep_at_ = 0;                                       // so that thousands of arrays take no quadratic time
  std::list<Napi::Reference<Napi::ArrayBuffer>> copies_out_;  // weak
};

}  // namespace mg::addon
