#include "guarded_copies.h"

#include <cstring>

#include "convert.h"

namespace mg::addon {
namespace {

void drop(void* keep) { delete static_cast<std::shared_ptr<void>*>(keep); }

}  // namespace

Napi::ArrayBuffer show_memory(Napi::Env env, uint8_t* data, size_t size, const std::shared_ptr<void>& keep) {
  if (size == 0) return Napi::ArrayBuffer::New(env, 0);
  auto store = std::make_unique<std::shared_ptr<void>>(keep);
  napi_value array;
  const napi_status created = napi_create_external_arraybuffer(
      env, data, size, [](napi_env, void*, void* hint) { drop(hint); }, store.get(), &array);
  if (created == napi_no_external_buffers_allowed) return Napi::ArrayBuffer();
  if (created != napi_ok) {
    store.release();  // Node runs the finalizer even when it refuses
    raise(env, Status(Code::OUT_OF_MEMORY, "this JavaScript runtime cannot show memory of that size without a copy"));
  }
  store.release();
  napi_add_finalizer(
      env, array, new std::shared_ptr<void>(keep), [](napi_env, void* object, void*) { drop(object); }, nullptr, nullptr);
  return Napi::ArrayBuffer(env, array);
}

Napi::Value GuardedCopies::give(Napi::Env env, const std::shared_ptr<Region>& region, size_t size) {
  const Napi::ArrayBuffer buffer = show_memory(env, region->data(), size, region);
  if (buffer.IsEmpty()) return copy_out(env, View(region->data(), size));
  if (size) regions_.add(region, [](const auto& other) { return other.expired(); });
  return Napi::Uint8Array::New(env, size, buffer, 0);
}

void GuardedCopies::wipe() {
  for (const auto& one : regions_.list)
    if (const auto region = one.lock()) region->wipe();
  regions_.list.clear();
  for (const auto& copy : copies_out_.list) {
    Napi::ArrayBuffer buffer = copy.Value();
    if (!buffer.IsEmpty() && buffer.ByteLength() > 0) std::memset(buffer.Data(), 0, buffer.ByteLength());
  }
  copies_out_.list.clear();
}

// Wiped like the others. The array's buffer is held, because views of other types may outlive the array.
Napi::Value GuardedCopies::copy_out(Napi::Env env, View bytes) {
  Napi::Uint8Array array = Napi::Uint8Array::New(env, bytes.size);
  std::memcpy(array.Data(), bytes.data, bytes.size);
  copies_out_.add(Napi::Weak(array.ArrayBuffer()), [](const auto& copy) { return copy.Value().IsEmpty(); });
  return array;
}

}  // namespace mg::addon
