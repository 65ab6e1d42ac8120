// NativeReader: the plaintext of a container, piece by piece.
#include "container/reader.h"

#include "convert.h"
#include "entry.h"
#include "guarded_copies.h"
#include "handles.h"
#include "source.h"

namespace mg::addon {
namespace {

class ReaderHandle : public Handle<ReaderHandle> {
 public:
  explicit ReaderHandle(const Napi::CallbackInfo& info) : Handle(info), state_(constructed_from<ReaderState>(info)) {
    show_files(info, state_.reader->files());
  }

  Napi::Value read(const Napi::CallbackInfo& info) {
    auto piece = std::make_shared<std::optional<container::Reader::Piece>>();
    Job job = reading(info, std::make_shared<Work>(), piece, {nullptr, container::Reader::kMaxRead});
    job.result = [piece](Napi::Env e) { return to_js(e, (*piece)->bytes()); };
    return Environment::of(info.Env()).run(info.Env(), std::move(job));
  }

  // Into guarded memory. With a source, the payload is read from there.
  Napi::Value readGuarded(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!state_.reader) raise(env, closed());
    auto piece = std::make_shared<std::optional<container::Reader::Piece>>();
    auto work = std::make_shared<Work>();
    std::shared_ptr<SourceRequest> source;
    if (!info[3].IsUndefined()) {
      source = as_source(info[3], work);
      if (!source->script) raise_argument(env, "a reader reads from a script or from its file");
    }
    const auto from = source ? std::make_shared<JoinedPayload>(state_.head, source->script) : nullptr;
    Job job = reading(info, work, piece, {from.get(), Environment::of(env).max_array});
    auto self = std::make_shared<Napi::ObjectReference>(Napi::Persistent(info.This().As<Napi::Object>()));
    const size_t size = size_t(as_integer(info[2], "length"));
    job.result = [this, self, piece, size](Napi::Env e) -> Napi::Value {
      if (!state_.reader) raise(e, closed());
      return copies_.give(e, std::make_shared<Region>((*piece)->take()), size);
    };
    job.failure = [this, self, source, from](Napi::Env e) -> Napi::Value {
      if (!state_.reader) return to_js(e, closed());
      return source ? source->script->error(e) : Napi::Value();
    };
    if (source) job.waits = Job::Waits::script;
    return Environment::of(env).run(env, std::move(job));
  }

  // Reads in flight hold what they read from; those into guarded memory give nothing any more.
  void close(const Napi::CallbackInfo&) {
    state_ = {};  // the head belongs to what was opened, and that has the keys
    copies_.wipe();
  }

 private:
  static Status closed() { return Status(Code::DISPOSED, "the reader was closed"); }

  Job reading(const Napi::CallbackInfo& info, const std::shared_ptr<Work>& work,
              const std::shared_ptr<std::optional<container::Reader::Piece>>& piece,
              const container::Reader::Options& options) const {
    if (!state_.reader) raise(info.Env(), closed());
    const uint64_t index = as_integer(info[0], "index"), offset = as_integer(info[1], "offset"),
                   length = as_integer(info[2], "length");
    Job job;
    job.work = work;
    job.compute = [reader = state_.reader, index, offset, length, piece, options, work = work.get()](work::Pool& pool) -> Status {
      auto read = reader->read(index, offset, length, pool, work->control, options);
      if (!read.ok()) return read.status();
      piece->emplace(std::move(*read));
      return {};
    };
    return job;
  }

  ReaderState state_;
  GuardedCopies copies_;
};

}  // namespace

Napi::Value new_reader(Napi::Env env, ReaderState state) { return construct(env, Environment::of(env).reader, state); }

void define_reader(Napi::Env env, Environment& environment) {
  environment.reader =
      Napi::Persistent(ReaderHandle::DefineClass(env, "Reader",
                                                 {
                                                     ReaderHandle::define<&ReaderHandle::read>("read"),
                                                     ReaderHandle::define<&ReaderHandle::readGuarded>("readGuarded"),
                                                     ReaderHandle::define<&ReaderHandle::close>("close"),
                                                 }));
}

}  // namespace mg::addon
