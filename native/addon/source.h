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

// A whole payload: `head`, which came with the small part, then `big`.
class JoinedPayload : public payload::Source {
 public:
  JoinedPayload(std::shared_ptr<const Bytes> head, std::shared_ptr<payload::Source> big)
      : bytes_(std::move(head)), head_(View(*bytes_)), big_(std::move(big)) {}
  uint64_t size() const override { return joined_.size(); }
  Status read(uint64_t offset, Span out) override { return joined_.read(offset, out); }
  bool is_remote() const override { return joined_.is_remote(); }
  bool renew(uint64_t offset, uint64_t size) override { return joined_.renew(offset, size); }
  Status check_unchanged() override { return joined_.check_unchanged(); }

 private:
  const std::shared_ptr<const Bytes> bytes_;
  payload::MemorySource head_;
  const std::shared_ptr<payload::Source> big_;
  payload::JoinedSource joined_{head_, *big_};
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
