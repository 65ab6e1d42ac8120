// A program with a mount of its own.
#include <utility>

#include "convert.h"
#include "entry.h"
#include "handles.h"
#include "process/mounted_program.h"

namespace mg::addon {
namespace {

// A string that a program can be given: a zero would cut it.
std::string as_word(Napi::Value value, const char* what) {
  std::string word = as_string(value, what);
  if (word.find('\0') != std::string::npos) raise_argument(value.Env(), std::string(what) + " holds a zero");
  return word;
}

std::vector<std::string> as_words(Napi::Value value, const char* what) {
  std::vector<std::string> words;
  for (const Napi::Value& one : as_array(value, what)) words.push_back(as_word(one, what));
  return words;
}

process::MountedRequest as_request(Napi::Value value) {
  const Napi::Object object = as_object(value, "request");
  process::MountedRequest request{as_word(object.Get("mountPoint"), "mountPoint"),
                                  {},
                                  as_words(object.Get("words"), "words"),
                                  as_words(object.Get("environment"), "environment")};
  for (const Napi::Value& one : as_array(object.Get("files"), "files")) {
    const Napi::Object file = as_object(one, "file");
    request.files.push_back({as_word(file.Get("path"), "path"), int(as_integer(file.Get("descriptor"), "descriptor")),
                             as_integer(file.Get("size"), "size")});
  }
  return request;
}

using Program = std::shared_ptr<process::MountedProgram>;

Napi::Promise wait(Napi::Env env, const Program& program, Result<int> (process::MountedProgram::*wait)()) {
  auto outcome = std::make_shared<int>();
  Job job;
  job.waits = Job::Waits::file;
  job.work = std::make_shared<Work>();
  job.work->on_cancel([program] { program->interrupt(); });
  job.compute = [program, wait, outcome](work::Pool&) -> Status {
    auto result = (program.get()->*wait)();
    if (!result.ok()) return result.status();
    *outcome = *result;
    return {};
  };
  job.result = [outcome](Napi::Env e) { return Napi::Number::New(e, *outcome); };
  return Environment::of(env).run(env, std::move(job));
}

Napi::Value start_mounted(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Program program = unwrap(env, process::MountedProgram::start(as_request(info[0])));
  Napi::Object out = Napi::Object::New(env);
  out.Set("started", wait(env, program, &process::MountedProgram::started));
  out.Set("ended", wait(env, program, &process::MountedProgram::ended));
  out.Set("kill",
          new_function(
              env, [program](const Napi::CallbackInfo& call) { program->kill(int(as_integer(call[0], "signal"))); }, "kill"));
  return out;
}

}  // namespace

void export_process(Napi::Env env, Napi::Object exports) { export_function<start_mounted>(env, exports, "startMounted"); }

}  // namespace mg::addon
