#include "convert.h"
#include "entry.h"
#include "files/lock_file.h"
#include "handles.h"

namespace mg::addon {
namespace {

Napi::Value lock_file(const Napi::CallbackInfo& info) {
  auto lock = std::make_shared<std::shared_ptr<Fd>>();
  Job job;
  job.waits = Job::Waits::file;
  job.compute = [path = as_string(info[0], "path"), lock](payload::Pool&) -> Status {
    auto held = files::lock_file(path);
    if (!held.ok()) return held.status();
    *lock = std::move(*held);
    return {};
  };
  job.result = [lock](Napi::Env env) -> Napi::Value {
    if (!*lock) return env.Undefined();
    Napi::Object out = Napi::Object::New(env);
    out.Set("release", new_function(env, [lock](const Napi::CallbackInfo&) { lock->reset(); }, "release"));
    return out;
  };
  return Environment::of(info.Env()).run(info.Env(), std::move(job));
}

}  // namespace

void export_lock(Napi::Env env, Napi::Object exports) {
  export_function<lock_file>(env, exports, "lockFile");
}

}  // namespace mg::addon
