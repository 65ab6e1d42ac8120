// Fingerprints of this machine, machine files, device keys that are sealed to it, and the salts of the build.
#include "convert.h"
#include "entry.h"
#include "handles.h"
#include "hardware/binding.h"
#include "keys/sealed_key_file.h"
#include "salts/salts.h"

namespace mg::addon {
namespace {

hardware::Kind as_kind(Napi::Value value) {
  const std::string name = as_string(value, "a factor");
  for (const hardware::Kind kind : hardware::kKinds)
    if (name == hardware::kind_name(kind)) return kind;
  raise_argument(value.Env(), "there is no factor '" + name + "'");
}

std::vector<hardware::Kind> as_kinds(Napi::Object object, const char* name) {
  std::vector<hardware::Kind> kinds;
  if (!present(object, name)) return kinds;
  for (const auto& item : as_array(object.Get(name), name)) kinds.push_back(as_kind(item));
  return kinds;
}

hardware::Policy as_policy(Napi::Value value) {
  const Napi::Object object = as_object(value, "policy");
  hardware::Policy policy;
  policy.factors = as_kinds(object, "factors");
  if (present(object, "require")) policy.require = as_kinds(object, "require");
  if (present(object, "atLeast"))
    policy.at_least = unsigned(std::min<uint64_t>(as_integer(object.Get("atLeast"), "atLeast"), 1000));
  if (present(object, "weights")) {
    const Napi::Object weights = as_object(object.Get("weights"), "weights");
    const Napi::Array names = weights.GetPropertyNames();
    for (uint32_t i = 0; i < names.Length(); i++)
      policy.weights[as_kind(names.Get(i))] =
          unsigned(std::min<uint64_t>(as_integer(weights.Get(names.Get(i)), "a weight"), 1000));
  }
  const std::string tpm = as_string(object.Get("tpm"), "tpm");
  if (tpm == "when-usable") policy.tpm = hardware::TpmUse::when_usable;
  else if (tpm == "required") policy.tpm = hardware::TpmUse::required;
  else if (tpm != "never") raise_argument(value.Env(), "tpm must be never, when-usable or required");
  if (present(object, "pcrs")) {
    const uint64_t pcrs = as_integer(object.Get("pcrs"), "pcrs");
    if (pcrs < 1 || pcrs >= 1u << 24) raise_argument(value.Env(), "pcrs must name some of the PCRs 0 to 23");
    policy.pcrs = uint32_t(pcrs);
  }
  return policy;
}

bool names_tpm(const hardware::Policy& policy) {
  const auto has = [](const std::vector<hardware::Kind>& kinds) {
    return std::find(kinds.begin(), kinds.end(), hardware::Kind::tpm) != kinds.end();
  };
  return has(policy.factors) || (policy.require && has(*policy.require));
}

Result<hardware::NewBinding> bind_here(const hardware::Policy& policy, const Work& work) {
  const auto* cancelled = &work.control.cancelled;
  auto machine = hardware::read_machine({hardware::system_root(), names_tpm(policy), cancelled});
  if (!machine.ok()) return machine.status();
  return hardware::bind(*machine, policy, cancelled);
}

Napi::Object bound_to_js(Napi::Env env, const hardware::NewBinding& bound) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("terms", to_js(env, bound.binding.helper));
  if (!bound.tpm_unused.empty()) out.Set("tpmUnused", bound.tpm_unused);
  if (bound.tpm_unmeasured) out.Set("tpmUnmeasured", double(bound.tpm_unmeasured));
  return out;
}

Napi::Value fingerprint(const Napi::CallbackInfo& info) {
  const Napi::Object request = as_object(info[0], "request");
  const bool show = request.Get("showValues").ToBoolean(), tpm = request.Get("tpm").ToBoolean();
  auto machine = std::make_shared<hardware::Machine>();
  Job job;
  job.work = std::make_shared<Work>();
  job.waits = Job::Waits::machine;
  job.compute = [machine, tpm, work = job.work](work::Pool&) -> Status {
    auto read = hardware::read_machine({hardware::system_root(), tpm, &work->control.cancelled});
    if (!read.ok()) return read.status();
    *machine = std::move(*read);
    return {};
  };
  job.result = [machine, show](Napi::Env env) -> Napi::Value {
    Napi::Array factors = Napi::Array::New(env);
    for (const auto& factor : machine->factors) {
      Napi::Object one = Napi::Object::New(env);
      one.Set("name", hardware::kind_name(factor.kind));
      one.Set("quality", hardware::quality_name(factor.quality));
      one.Set("source", factor.source);
      one.Set("needsRoot", factor.needs_root);
      one.Set("why", factor.why);
      if (show && factor.present()) {
        const std::string value(factor.value.reveal().text());
        one.Set("value", value);
        if (factor.shown != value) one.Set("label", factor.shown);
      }
      factors.Set(factors.Length(), one);
    }
    Napi::Object out = Napi::Object::New(env);
    out.Set("factors", factors);
    out.Set("container", machine->container);
    if (!machine->virtual_machine.empty()) out.Set("virtualMachine", machine->virtual_machine);
    if (show && !machine->machine_id.empty()) out.Set("machineId", machine->machine_id);
    return out;
  };
  return Environment::of(info.Env()).run(info.Env(), std::move(job));
}

Napi::Value export_machine(const Napi::CallbackInfo& info) {
  auto bound = std::make_shared<hardware::NewBinding>();
  auto file = std::make_shared<Bytes>();
  Job job;
  job.work = std::make_shared<Work>();
  job.waits = Job::Waits::machine;
  job.compute = [policy = as_policy(info[0]), bound, file, work = job.work](work::Pool&) -> Status {
    auto made = bind_here(policy, *work);
    if (!made.ok()) return made.status();
    auto text = hardware::write_machine_file(made->binding);
    if (!text.ok()) return text.status();
    *bound = std::move(*made);
    *file = std::move(*text);
    return {};
  };
  job.result = [bound, file](Napi::Env env) -> Napi::Value {
    Napi::Object out = bound_to_js(env, *bound);
    out.Set("file", to_js(env, View(*file)));
    return out;
  };
  return Environment::of(info.Env()).run(info.Env(), std::move(job));
}

Napi::Value parse_machine_file(const Napi::CallbackInfo& info) {
  const Napi::Object demand = as_object(info[1], "demand");
  const auto require = as_kinds(demand, "require");
  const auto at_least = unsigned(std::min<uint64_t>(as_integer(demand.Get("atLeast"), "atLeast"), 1000));
  const hardware::Binding binding = unwrap(info.Env(), hardware::parse_machine_file(as_bytes(info[0], "a machine file")));
  if (auto s = hardware::check_demand(binding.helper, require, at_least); !s.ok()) raise(info.Env(), s);
  Napi::Object out = Napi::Object::New(info.Env());
  out.Set("binding", to_js(info.Env(), View(hardware::encode_binding(binding))));
  out.Set("publicKey", to_js(info.Env(), View(binding.public_key)));
  out.Set("terms", to_js(info.Env(), binding.helper));
  return out;
}

Napi::Value generate_sealed_key(const Napi::CallbackInfo& info) {
  auto bound = std::make_shared<hardware::NewBinding>();
  auto key = std::make_shared<std::shared_ptr<const keys::Key>>();
  Job job;
  job.work = std::make_shared<Work>();
  job.waits = Job::Waits::machine;
  job.compute = [path = as_string(info[0], "path"), policy = as_policy(info[1]), bound, key,
                 work = job.work](work::Pool&) -> Status {
    auto made = bind_here(policy, *work);
    auto generated = keys::Key::generate(keys::Type::device);
    if (!made.ok() || !generated.ok()) return made.ok() ? generated.status() : made.status();
    if (auto s = keys::write_sealed_key_file(**generated, *made, path); !s.ok()) return s;
    auto sealed = keys::Key::from_bytes(keys::Type::device, (*generated)->secret().reveal(), std::move(made->secret));
    if (!sealed.ok()) return sealed.status();
    *bound = std::move(*made);
    *key = std::move(*sealed);
    return {};
  };
  job.result = [bound, key](Napi::Env env) -> Napi::Value {
    Napi::Object out = bound_to_js(env, *bound);
    out.Set("key", new_key(env, *key));
    return out;
  };
  return Environment::of(info.Env()).run(info.Env(), std::move(job));
}

Napi::Value salts_of_build(const Napi::CallbackInfo& info) {
  Napi::Object out = Napi::Object::New(info.Env());
  out.Set("id", hex(info.Env(), View(salts::id())));
  out.Set("default", salts::is_default());
  return out;
}

Napi::Value write_salts_file(const Napi::CallbackInfo& info) {
  Job job;
  job.waits = Job::Waits::file;
  job.compute = [path = as_string(info[0], "path")](work::Pool&) { return salts::write_new_file(path); };
  job.result = [](Napi::Env env) { return env.Undefined(); };
  return Environment::of(info.Env()).run(info.Env(), std::move(job));
}

}  // namespace

void export_hardware(Napi::Env env, Napi::Object exports) {
  export_function<fingerprint>(env, exports, "fingerprint");
  export_function<export_machine>(env, exports, "exportMachine");
  export_function<parse_machine_file>(env, exports, "parseMachineFile");
  export_function<generate_sealed_key>(env, exports, "generateSealedKey");
  export_function<salts_of_build>(env, exports, "salts");
  export_function<write_salts_file>(env, exports, "writeSaltsFile");
}

}  // namespace mg::addon
