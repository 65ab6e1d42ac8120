// Arrays over guarded memory that JavaScript holds, wiped together.
#pragma once
#include <napi.h>

#include <list>
#include <memory>
#include <utility>

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

  // Weak references. Collected ones are removed only when the list has doubled, so that thousands of arrays take no quadratic time.
  template <class Weak>
  struct Held {
    template <class Collected>
    void add(Weak one, Collected collected) {
      if (list.size() >= sweep_at) {
        list.remove_if(collected);
        sweep_at = 2 * list.size() + kSweep;
      }
      list.push_back(std::move(one));
    }
    static constexpr size_t kSweep = 64;
    std::list<Weak> list;
    size_t sweep_at = 0;
  };

  Held<std::weak_ptr<Region>> regions_;
  Held<Napi::Reference<Napi::ArrayBuffer>> copies_out_;
};

}  // namespace mg::addon
