// Artifacts that runtimes derive from a model: the file in memory that one is written to, and its key.
#include "container/derived.h"

#include "convert.h"
#include "entry.h"
#include "handles.h"
#include "memory/memfd.h"

namespace mg::addon {
namespace {

struct MemoryFile {
  explicit MemoryFile(int descriptor) : fd(descriptor) {}
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { close(); }
  // The region wipes what was written when it goes. In a forked child the pages are the parent's, who goes on writing.
  void close() {
    if (getpid() == maker) (void)take();
    else if (fd >= 0) ::close(std::exchange(fd, -1));
  }
  Result<Region> take() {
    const int taken = std::exchange(fd, -1);
    if (taken < 0) return Status(Code::DISPOSED, "the file in memory is closed");
    return Region::adopt(taken);
  }
  int fd;
  const pid_t maker = getpid();
};

class MemoryFileHandle : public Handle<MemoryFileHandle> {
 public:
  explicit MemoryFileHandle(const Napi::CallbackInfo& info)
      : Handle(info), file_(constructed_from<std::shared_ptr<MemoryFile>>(info)) {
    show(info, "descriptor", Napi::Number::New(info.Env(), file_->fd));
  }

  Napi::Value seal(const Napi::CallbackInfo& info) {
    const std::string name = as_string(info[0], "name");
    std::vector<container::LoadedFile> files;
    Region region = unwrap(info.Env(), file_->take());
    const uint64_t size = region.size();
    files.push_back(container::LoadedFile{name, size, std::move(region)});
    return new_model(info.Env(), std::move(files));
  }

  void close(const Napi::CallbackInfo&) { file_->close(); }

 private:
  const std::shared_ptr<MemoryFile> file_;
};

Napi::Value memory_file(const Napi::CallbackInfo& info) {
  auto file = std::make_shared<MemoryFile>(unwrap(info.Env(), memfd::create_writable()));
  return construct(info.Env(), Environment::of(info.Env()).memory_file, file);
}

Napi::Value derived_key(const Napi::CallbackInfo& info) {
  struct Found {
    std::shared_ptr<const keys::Key> key;
    Bytes tag;
  };
  auto found = std::make_shared<Found>();
  Job job;
  job.work = std::make_shared<Work>();
  job.waits = Job::Waits::machine;
  job.compute = [found, deriving = as_key(info[0]), work = job.work,
                 artifact =
                     container::Artifact{as_string(info[1], "runtime"), as_string(info[2], "name")}](work::Pool&) -> Status {
    auto machine = hardware::read_machine({hardware::system_root(), false, &work->control.cancelled});
    if (!machine.ok()) return machine.status();
    auto bytes = container::derived_key(deriving->secret().reveal(), artifact, *machine);
    if (!bytes.ok()) return bytes.status();
    auto key = keys::Key::from_bytes(keys::Type::master, bytes->reveal());
    if (!key.ok()) return key.status();
    auto tag = container::derived_tag(bytes->reveal());
    if (!tag.ok()) return tag.status();
    *found = Found{std::move(*key), tag->reveal().copy()};
    return {};
  };
  job.result = [found](Napi::Env env) -> Napi::Value {
    Napi::Object out = Napi::Object::New(env);
    out.Set("key", new_key(env, found->key));
    out.Set("tag", to_js(env, View(found->tag)));
    return out;
  };
  return Environment::of(info.Env()).run(info.Env(), std::move(job));
}

}  // namespace

void define_memory_file(Napi::Env env, Environment& environment) {
  environment.memory_file =
      Napi::Persistent(MemoryFileHandle::DefineClass(env, "MemoryFile",
                                                     {
                                                         MemoryFileHandle::define<&MemoryFileHandle::seal>("seal"),
                                                         MemoryFileHandle::define<&MemoryFileHandle::close>("close"),
                                                     }));
}

void export_derived(Napi::Env env, Napi::Object exports) {
  export_function<memory_file>(env, exports, "memoryFile");
  export_function<derived_key>(env, exports, "derivedKey");
}

}  // namespace mg::addon
