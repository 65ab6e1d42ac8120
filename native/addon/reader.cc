// NativeReader: the plaintext of a container on disk, piece by piece.
#include "container/reader.h"

#include "convert.h"
#include "entry.h"
#include "handles.h"

namespace mg::addon {
namespace {

class ReaderHandle : public Handle<ReaderHandle> {
 public:
  explicit ReaderHandle(const Napi::CallbackInfo& info)
      : Handle(info), reader_(constructed_from<std::shared_ptr<container::Reader>>(info)) {
    const Napi::Env env = info.Env();
    Napi::Array files = Napi::Array::New(env);
    for (const auto& file : reader_->files()) {
      Napi::Object one = Napi::Object::New(env);
      one.Set("path", file.path);
      one.Set("size", double(file.size));
      files.Set(files.Length(), one);
    }
    show(info, "files", files);
  }

  Napi::Value read(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!reader_) raise(env, Status(Code::DISPOSED, "the reader was closed"));
    const uint64_t index = as_integer(info[0], "index"), offset = as_integer(info[1], "offset"),
                   length = as_integer(info[2], "length");
    auto piece = std::make_shared<std::optional<container::Reader::Piece>>();
    Job job;
    job.work = std::make_shared<Work>();
    job.compute = [reader = reader_, index, offset, length, piece, work = job.work.get()](work::Pool& pool) -> Status {
      auto read = reader->read(index, offset, length, pool, work->control);
      if (!read.ok()) return read.status();
      piece->emplace(std::move(*read));
      return {};
    };
    job.result = [piece](Napi::Env e) { return to_js(e, (*piece)->bytes()); };
    return Environment::of(env).run(env, std::move(job));
  }

  // Reads in flight hold what they read from.
  void close(const Napi::CallbackInfo&) { reader_.reset(); }

 private:
  std::shared_ptr<container::Reader> reader_;
};

}  // namespace

Napi::Value new_reader(Napi::Env env, std::shared_ptr<container::Reader> reader) {
  return construct(env, Environment::of(env).reader, reader);
}

void define_reader(Napi::Env env, Environment& environment) {
  environment.reader = Napi::Persistent(ReaderHandle::DefineClass(env, "Reader",
                                                                  {
                                                                      ReaderHandle::define<&ReaderHandle::read>("read"),
                                                                      ReaderHandle::define<&ReaderHandle::close>("close"),
                                                                  }));
}

}  // namespace mg::addon
