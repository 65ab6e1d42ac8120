// Calls that need no key: reading headers, splitting, joining.
#include "convert.h"
#include "entry.h"
#include "handles.h"
#include "source.h"
#include "split/split.h"

namespace mg::addon {
namespace {

Napi::Value header_length(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), double(unwrap(info.Env(), container::header_length(as_bytes(info[0], "bytes")))));
}

Napi::Value inspect(const Napi::CallbackInfo& info) {
  return to_js(info.Env(), unwrap(info.Env(), container::parse_header(as_bytes(info[0], "bytes"))));
}

Napi::Value check_origin(const Napi::CallbackInfo& info) {
  const auto header = unwrap(info.Env(), container::parse_header(as_bytes(info[0], "bytes")));
  const auto hash = unwrap(info.Env(), container::core_hash(header.core_json));
  if (auto s = container::check_origin(header, as_trust(info[1]), hash); !s.ok()) raise(info.Env(), s);
  return info.Env().Undefined();
}

Napi::Value cut(const Napi::CallbackInfo& info) {
  const Napi::Object object = as_object(info[2], "rule");
  split::Rule rule;
  rule.max_bytes = as_integer(object.Get("maxBytes"), "maxBytes");
  rule.ratio = object.Get("ratio").IsNumber() ? object.Get("ratio").As<Napi::Number>().DoubleValue() : -1;
  return Napi::Number::New(info.Env(), double(unwrap(info.Env(), split::cut(size_t(as_integer(info[0], "headerLength")),
                                                                            as_integer(info[1], "payloadLength"), rule))));
}

Napi::Value describe_small(const Napi::CallbackInfo& info) {
  const auto parts = unwrap(info.Env(), split::describe(as_bytes(info[0], "small")));
  Napi::Object out = Napi::Object::New(info.Env());
  out.Set("bigOffset", double(parts.big_offset));
  out.Set("bigSize", double(parts.big_size));
  return out;
}

Napi::Value check_parts(const Napi::CallbackInfo& info) {
  auto work = as_work(info[2]);
  auto source = as_source(info[1], work);
  auto stored = std::make_shared<Bytes>();
  Job job;
  job.work = work;
  job.compute = [small = copy_bytes(info[0], "small"), source, work, stored](work::Pool& pool) -> Status {
    auto big = source->open();
    if (!big.ok()) return big.status();
    auto tree = split::check(View(small), **big, pool, work->control);
    if (!tree.ok()) return tree.status();
    *stored = tree->stored();
    return {};
  };
  job.result = [stored](Napi::Env env) { return to_js(env, View(*stored)); };
  job.failure = store_error(source);
  if (source->script) job.waits = Job::Waits::script;
  return Environment::of(info.Env()).run(info.Env(), std::move(job));
}

}  // namespace

void export_parts(Napi::Env env, Napi::Object exports) {
  export_function<header_length>(env, exports, "headerLength");
  export_function<inspect>(env, exports, "inspect");
  export_function<check_origin>(env, exports, "checkOrigin");
  export_function<cut>(env, exports, "cut");
  export_function<describe_small>(env, exports, "describeSmall");
  export_function<check_parts>(env, exports, "checkParts");
}

}  // namespace mg::addon
