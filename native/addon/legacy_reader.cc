// Ranges of an artifact's plaintext, and its digest, without the whole plaintext in memory.
#include <memory>
#include <string>
#include <utility>

#include "convert.h"
#include "entry.h"
#include "handles.h"
#include "legacy.h"

namespace mg::addon {
namespace {

constexpr uint64_t kMaxRead = uint64_t(1) << 30;

class LegacyReaderHandle : public Handle<LegacyReaderHandle> {
 public:
  explicit LegacyReaderHandle(const Napi::CallbackInfo& info)
      : Handle(info), from_(constructed_from<std::shared_ptr<legacy::Decrypted>>(info)) {
    show(info, "size", Napi::Number::New(info.Env(), double(from_->size())));
  }

  Napi::Value read(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!from_) raise(env, Status(Code::DISPOSED, "the artifact was closed"));
    const uint64_t offset = as_integer(info[0], "offset"), length = as_integer(info[1], "length");
    if (offset > from_->size() || length > from_->size() - offset) {
      raise_argument(env, "bytes " + std::to_string(offset) + " to " + std::to_string(offset + length) +
                              " are not in the artifact's plaintext, which has " + std::to_string(from_->size()));
    }
    if (length > kMaxRead) raise(env, Status(Code::LIMIT_EXCEEDED, "a read has at most 1 GiB"));
    auto copy = std::make_shared<Region>(unwrap(env, Region::allocate(size_t(length))));
    Job job;
    job.compute = [from = from_, copy, offset](work::Pool&) { return from->read(offset, Span(copy->data(), copy->size())); };
    job.result = [copy](Napi::Env e) { return to_js(e, View(copy->data(), copy->size())); };
    return Environment::of(env).run(env, std::move(job));
  }

  Napi::Value sha256(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!from_) raise(env, Status(Code::DISPOSED, "the artifact was closed"));
    auto work = as_work(info[0]);
    auto digest = std::make_shared<crypto::Sha256>();
    Job job;
    job.work = work;
    job.compute = [from = from_, digest, work](work::Pool&) -> Status {
      auto computed = legacy::sha256(*from, work->control);
      if (!computed.ok()) return computed.status();
      *digest = *computed;
      return {};
    };
    job.result = [digest](Napi::Env e) { return to_js(e, View(*digest)); };
    return Environment::of(env).run(env, std::move(job));
  }

  // Reads in flight hold what they read from.
  void close(const Napi::CallbackInfo&) { from_.reset(); }

 private:
  std::shared_ptr<legacy::Decrypted> from_;
};

}  // namespace

Napi::Value new_legacy_reader(Napi::Env env, std::shared_ptr<legacy::Decrypted> from) {
  return construct(env, Environment::of(env).legacy_reader, from);
}

void define_legacy_reader(Napi::Env env, Environment& environment) {
  environment.legacy_reader =
      Napi::Persistent(LegacyReaderHandle::DefineClass(env, "LegacyReader",
                                                       {
                                                           LegacyReaderHandle::define<&LegacyReaderHandle::read>("read"),
                                                           LegacyReaderHandle::define<&LegacyReaderHandle::sha256>("sha256"),
                                                           LegacyReaderHandle::define<&LegacyReaderHandle::close>("close"),
                                                       }));
}

}  // namespace mg::addon
