#include "convert.h"
#include "entry.h"
#include "files/lock_file.h"
#include "files/rename_new.h"
#include "handles.h"

namespace mg::addon {
namespace {

Napi::Value lock_file(const Napi::CallbackInfo& info) {
  auto lock = std::make_shared<std::shared_ptr<Fd>>();
  Job job;
  job.waits = Job::Waits::file;
  job.compute = [path = as_string(info[0], "path"), lock](work::Pool&) -> Status {
    auto held = files::lock_file(path);
    if (!held.ok()) return held.status();
    *lock = std::move(*held);
    return {};
  };
  job.result = [lock](Napi::Env env) -> Napi::Value {
    if (!*lock) return env.Undefined();
    Napi::Object out = Napi::Object::New(env);
    Environment& environment = Environment::of(env);
    const uint64_t id = environment.next_lock++;
    out.Set("release",
            new_function(
                env, [id](const Napi::CallbackInfo& call) { Environment::of(call.Env()).locks.erase(id); }, "release"));
    // The environment holds it, and not the object: a script that drops that still has the lock.
    environment.locks.emplace(id, std::move(*lock));
    return out;
  };
  return Environment::of(info.Env()).run(info.Env(), std::move(job));
}

Napi::Value rename_new(const Napi::CallbackInfo& info) {
  Job job;
  job.waits = Job::Waits::file;
  job.compute = [from = as_string(info[0], "from"), to = as_string(info[1], "to")](work::Pool&) {
    return files::rename_new(from, to);
  };
  job.result = [](Napi::Env env) { return env.Undefined(); };
  return Environment::of(info.Env()).run(info.Env(), std::move(job));
}

}  // namespace

void export_files(Napi::Env env, Napi::Object exports) {
  export_function<lock_file>(env, exports, "lockFile");
  export_function<rename_new>(env, exports, "renameNew");
}

}  // namespace mg::addon
