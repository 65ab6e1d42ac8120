// A NativeSource as a payload::Source: a file, a copy of bytes, or a JavaScript function.
#pragma once
#include <napi.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>

#include "environment.h"
#include "payload/io.h"

namespace mg::addon {

// Reads through a function that returns a promise of the bytes, in one array or in several. read() is called on engine threads and
// waits for the JavaScript thread.
class ScriptSource : public payload::Source {
 public:
  ScriptSource(Environment& environment, std::shared_ptr<Work> work, Napi::Function read, uint64_t size);
  uint64_t size() const override { return size_; }
  Status read(uint64_t offset, Span out) override;
  bool is_remote() const override { return true; }
  bool renew(uint64_t, uint64_t) override { return true; }
  Napi::Value error(Napi::Env env) const;  // what the function rejected with first, or empty; JavaScript thread

 private:
  struct Request;
  void ask(Napi::Env env, const std::shared_ptr<Request>& request);
  static void keep_error(Napi::ObjectReference& slot, Napi::Value reason);

  Environment& environment_;
  std::shared_ptr<Work> work_;
  Napi::FunctionReference read_;
  uint64_t size_;
  std::shared_ptr<Napi::ObjectReference> error_ = std::make_shared<Napi::ObjectReference>();
};

// Made on the JavaScript thread, opened (files) on the engine thread.
struct SourceRequest {
  std::optional<std::string> file;
  uint64_t file_offset = 0;
  Bytes bytes;
  std::shared_ptr<ScriptSource> script;
  std::unique_ptr<payload::Source> opened;

  Result<payload::Source*> open();
};
std::shared_ptr<SourceRequest> as_source(Napi::Value value, const std::shared_ptr<Work>& work);
// For Job::failure: the store's own error explains more than ours.
std::function<Napi::Value(Napi::Env)> store_error(const std::shared_ptr<SourceRequest>& source);

}  // namespace mg::addon
