// The legacy profile: key strings, their derivations, artifacts (docs/legacy.md).
#include "legacy.h"

#include <cstdlib>
#include <optional>
#include <vector>

#include "convert.h"
#include "entry.h"
#include "handles.h"
#include "memory/secret_file.h"
#include "salts/salts.h"

namespace mg::addon {
namespace {

constexpr size_t kMaxText = 4096;

// A NativeSecretText. A file is read on an engine thread; all else is copied at once.
struct Text {
  std::string what;  // "the password"
  Code wrong;        // where it is empty or too long
  Secret bytes;
  std::string file;
  bool too_open = false;

  Status load(const std::atomic<bool>& cancelled) {
    if (!file.empty()) {
      auto content = read_secret_file(file, "file of " + what, wrong, kMaxText + 1024, &cancelled);  // room for the newline
      if (!content.ok()) return content.status();
      bytes = std::move(content->bytes);
      too_open = content->too_open;
      drop_newline();
    }
    if (bytes.size() > 0 && bytes.size() <= kMaxText) return {};
    return Status(wrong, what + " has 1 to 4,096 bytes, not " + std::to_string(bytes.size()));
  }

 private:
  void drop_newline() {
    std::string_view text = bytes.reveal().text();
    if (text.empty() || text.back() != '\n') return;
    text.remove_suffix(1);
    if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
    if (text.empty()) bytes = Secret();
    else bytes.shrink(text.size());
  }
};

// No std::string on the way: its memory would not be wiped.
Secret copy_string(Napi::Value value, const std::string& what, Code wrong) {
  const Napi::Env env = value.Env();
  size_t size = 0;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &size) != napi_ok) raise_argument(env, what + " must be a string");
  if (size == 0) return Secret();
  if (size > kMaxText) raise(env, Status(wrong, what + " has 1 to 4,096 bytes, not " + std::to_string(size)));
  Secret secret = unwrap(env, Secret::allocate(size + 1));  // Node writes a final zero
  napi_get_value_string_utf8(env, value, reinterpret_cast<char*>(secret.reveal_mut().data), secret.size(), &size);
  secret.shrink(size);
  return secret;
}

Secret copy_bytes(Napi::Env env, View bytes, const std::string& what, Code wrong) {
  if (bytes.size == 0) return Secret();
  if (bytes.size > kMaxText) raise(env, Status(wrong, what + " has 1 to 4,096 bytes, not " + std::to_string(bytes.size)));
  return unwrap(env, Secret::copy(bytes));
}

Text as_text(Napi::Value value, const char* what, Code wrong) {
  const Napi::Env env = value.Env();
  const Napi::Object object = as_object(value, what);
  Text text{what, wrong, Secret(), ""};
  if (present(object, "file")) {
    text.file = as_string(object.Get("file"), "file");
    if (text.file.empty()) raise_argument(env, "file is empty");
  } else if (present(object, "env")) {
    const std::string name = as_string(object.Get("env"), "env");
    const char* found = std::getenv(name.c_str());
    if (!found) raise(env, Status(Code::NOT_FOUND, "the environment variable " + name + " is not set"));
    text.bytes = copy_bytes(env, View(std::string_view(found)), text.what, wrong);
  } else if (present(object, "bytes")) {
    text.bytes = copy_bytes(env, as_bytes(object.Get("bytes"), what), text.what, wrong);
  } else {
    text.bytes = copy_string(object.Get("text"), text.what, wrong);
  }
  return text;
}

Napi::Value key_from_text(const Napi::CallbackInfo& info) {
  struct Call {
    Text text;
    legacy::KeyString key;
  };
  auto call = std::make_shared<Call>(Call{as_text(info[0], "the key string", Code::KEY_INVALID), nullptr});
  Job job;
  job.work = std::make_shared<Work>();
  job.waits = Job::Waits::file;
  job.compute = [call, work = job.work.get()](work::Pool&) -> Status {
    if (auto s = call->text.load(work->control.cancelled); !s.ok()) return s;
    auto key = legacy::key_string(call->text.bytes.reveal());
    if (!key.ok()) return key.status();
    call->key = std::move(*key);
    return {};
  };
  job.result = [call](Napi::Env env) -> Napi::Value {
    Napi::Object out = Napi::Object::New(env);
    out.Set("key", new_key(env, call->key));
    out.Set("tooOpen", call->text.too_open);
    return out;
  };
  return Environment::of(info.Env()).run(info.Env(), std::move(job));
}

struct Derivation {
  salts::Name salt;  // there is one for each kind
  legacy::Encoding encoding;
  std::optional<std::string> salts_file;
  std::optional<Text> fingerprint, email, password;
  legacy::KeyString hardware_hash;

  legacy::KeyString key;
  std::vector<std::string> too_open;

  Status run(const std::atomic<bool>& cancelled) {
    for (auto* text : {&fingerprint, &email, &password}) {
      if (!*text) continue;
      if (auto s = (*text)->load(cancelled); !s.ok()) return s;
      if ((*text)->too_open) too_open.push_back((*text)->file);
    }
    auto found = find_salt(cancelled);
    if (!found.ok()) return found.status();
    auto derived = derive(found->reveal());
    if (!derived.ok()) return derived.status();
    key = std::move(*derived);
    return {};
  }

 private:
  Result<Secret> find_salt(const std::atomic<bool>& cancelled) {
    if (!salts_file) return salts::compiled_in(salt);
    auto read = salts::read_salt(*salts_file, salt, &cancelled);
    if (!read.ok()) return read.status();
    if (read->too_open) too_open.push_back(*salts_file);
    return std::move(read->salt);
  }

  Result<legacy::KeyString> derive(View found) const {
    if (salt == salts::Name::resource) return legacy::resource_key(found, encoding);
    if (salt == salts::Name::download) {
      const View hash = hardware_hash->secret().reveal();
      return legacy::download_key(email->bytes.reveal(), password->bytes.reveal(), hash, found, encoding);
    }
    if (fingerprint) return legacy::hardware_hash(fingerprint->bytes.reveal(), found, encoding);
    auto machine = hardware::read_machine({hardware::system_root(), false});
    if (!machine.ok()) return machine.status();
    auto text = legacy::fingerprint_text(*machine);
    if (!text.ok()) return text.status();
    return legacy::hardware_hash(text->reveal(), found, encoding);
  }
};

salts::Name as_kind(Napi::Value value) {
  const std::string kind = as_string(value, "kind");
  if (kind == "resource") return salts::Name::resource;
  if (kind == "hardware") return salts::Name::hardware;
  if (kind == "download") return salts::Name::download;
  raise_argument(value.Env(), "kind must be resource, hardware or download");
}

legacy::Encoding as_encoding(Napi::Value value) {
  const std::string encoding = as_string(value, "encoding");
  if (encoding == "base64") return legacy::Encoding::base64;
  if (encoding == "hex") return legacy::Encoding::hex;
  raise_argument(value.Env(), "encoding must be base64 or hex");
}

std::shared_ptr<Derivation> as_derivation(Napi::Value value) {
  const Napi::Object object = as_object(value, "request");
  auto request = std::make_shared<Derivation>();
  request->salt = as_kind(object.Get("kind"));
  request->encoding = as_encoding(object.Get("encoding"));
  request->salts_file = optional_string(object, "saltsFile");
  const bool hardware = request->salt == salts::Name::hardware, download = request->salt == salts::Name::download;
  if (present(object, "fingerprint") && !hardware) raise_argument(value.Env(), "only a hardware hash has a fingerprint");
  for (const char* name : {"email", "password", "hardwareHash"})
    if (present(object, name) && !download) raise_argument(value.Env(), std::string("only a download key has ") + name);
  if (present(object, "fingerprint"))
    request->fingerprint = as_text(object.Get("fingerprint"), "the fingerprint", Code::INVALID_ARGUMENT);
  if (!download) return request;
  request->email = as_text(object.Get("email"), "the e-mail address", Code::INVALID_ARGUMENT);
  request->password = as_text(object.Get("password"), "the password", Code::INVALID_ARGUMENT);
  request->hardware_hash = as_key(object.Get("hardwareHash"));
  if (request->hardware_hash->type() != keys::Type::legacy)
    raise(value.Env(), Status(Code::KEY_TYPE_WRONG, "the hardware hash must be a key string of the legacy profile"));
  return request;
}

Napi::Value derive(const Napi::CallbackInfo& info) {
  auto request = as_derivation(info[0]);
  Job job;
  job.work = std::make_shared<Work>();
  job.waits = Job::Waits::file;
  job.compute = [request, work = job.work.get()](work::Pool&) { return request->run(work->control.cancelled); };
  job.result = [request](Napi::Env env) -> Napi::Value {
    Napi::Array too_open = Napi::Array::New(env);
    for (const auto& path : request->too_open) too_open.Set(too_open.Length(), path);
    Napi::Object out = Napi::Object::New(env);
    out.Set("key", new_key(env, request->key));
    out.Set("tooOpen", too_open);
    return out;
  };
  return Environment::of(info.Env()).run(info.Env(), std::move(job));
}

Napi::Value encrypt(const Napi::CallbackInfo& info) {
  const View bytes = as_bytes(info[0], "bytes");
  auto plain = std::make_shared<Region>(unwrap(info.Env(), Region::allocate(bytes.size)));
  if (bytes.size) std::memcpy(plain->data(), bytes.data, bytes.size);
  auto out = std::make_shared<Bytes>();
  Job job;
  job.work = std::make_shared<Work>();
  job.compute = [plain, key = as_key(info[1]), out, work = job.work.get()](work::Pool&) {
    out->resize(size_t(legacy::sealed_size(plain->size())));
    payload::MemorySource from(View(plain->data(), plain->size()));
    payload::MemorySink to{Span(*out)};
    return legacy::encrypt(from, to, key, work->control);
  };
  job.result = [out](Napi::Env env) { return to_js(env, View(*out)); };
  return Environment::of(info.Env()).run(info.Env(), std::move(job));
}

Napi::Value encrypt_to_file(const Napi::CallbackInfo& info) {
  const std::string source = as_string(info[0], "source"), target = as_string(info[1], "target");
  auto work = as_work(info[3]);
  Job job;
  job.work = work;
  job.compute = [source, target, key = as_key(info[2]), work](work::Pool&) -> Status {
    auto from = payload::SteadyFile::open(source, payload::SteadyFile::Links::follow);
    if (!from.ok()) return from.status();
    auto to = payload::FileSink::create(target);
    if (!to.ok()) return to.status();
    if (auto s = legacy::encrypt(**from, **to, key, work->control); !s.ok()) return s;
    return (*to)->finish();
  };
  job.result = [](Napi::Env env) { return env.Undefined(); };
  return Environment::of(info.Env()).run(info.Env(), std::move(job));
}

Napi::Value load(const Napi::CallbackInfo& info) {
  auto request = as_legacy(info[0], info[1]);
  const std::string path = as_string(info[2], "path");
  auto work = as_work(info[3]);
  auto files = std::make_shared<std::vector<container::LoadedFile>>();
  Job job;
  job.work = work;
  job.compute = [request, path, work, files](work::Pool& pool) -> Status {
    auto from = request->open();
    if (!from.ok()) return from.status();
    const uint64_t size = (*from)->size();
    auto region = Region::allocate(size_t(size));
    if (!region.ok()) return region.status();
    if (auto s = legacy::load(**from, Span(region->data(), region->size()), pool, work->control); !s.ok()) return s;
    files->push_back({path, size, std::move(*region)});
    return {};
  };
  job.result = [files](Napi::Env env) { return new_model(env, std::move(*files)); };
  return Environment::of(info.Env()).run(info.Env(), std::move(job));
}

Napi::Value open(const Napi::CallbackInfo& info) {
  auto request = as_legacy(info[0], info[1]);
  auto opened = std::make_shared<std::shared_ptr<legacy::Decrypted>>();
  Job job;
  job.compute = [request, opened](work::Pool&) -> Status {
    auto from = request->open();
    if (!from.ok()) return from.status();
    *opened = std::move(*from);
    return {};
  };
  job.result = [opened](Napi::Env env) { return new_legacy_reader(env, std::move(*opened)); };
  return Environment::of(info.Env()).run(info.Env(), std::move(job));
}

// Sources that own what they read from.
std::shared_ptr<payload::Source> owning(Bytes bytes) {
  struct Owner {
    explicit Owner(Bytes b) : bytes(std::move(b)), source(View(bytes)) {}
    const Bytes bytes;
    payload::MemorySource source;
  };
  auto owner = std::make_shared<Owner>(std::move(bytes));
  return std::shared_ptr<payload::Source>(owner, &owner->source);
}

std::shared_ptr<payload::Source> owning(std::unique_ptr<payload::Source> small, std::unique_ptr<payload::Source> big) {
  struct Owner {
    Owner(std::unique_ptr<payload::Source> s, std::unique_ptr<payload::Source> b)
        : small(std::move(s)), big(std::move(b)), source(*small, *big) {}
    const std::unique_ptr<payload::Source> small, big;
    payload::JoinedSource source;
  };
  auto owner = std::make_shared<Owner>(std::move(small), std::move(big));
  return std::shared_ptr<payload::Source>(owner, &owner->source);
}

}  // namespace

Result<std::unique_ptr<legacy::Decrypted>> LegacyRequest::open() {
  using payload::SteadyFile;
  if (file.empty() && small.empty()) return legacy::Decrypted::open(owning(std::move(bytes)), key);
  const auto open = [](const std::string& path) {
    return SteadyFile::open(path, SteadyFile::Links::follow, 0, SteadyFile::ChangeTime::counts);
  };
  auto first = open(file.empty() ? small : file);
  if (!first.ok()) return first.status();
  if (small.empty()) return legacy::Decrypted::open(std::move(*first), key);
  auto second = open(big);
  if (!second.ok()) return second.status();
  return legacy::Decrypted::open(owning(std::move(*first), std::move(*second)), key);
}

std::shared_ptr<LegacyRequest> as_legacy(Napi::Value artifact, Napi::Value key) {
  const Napi::Object object = as_object(artifact, "artifact");
  auto request = std::make_shared<LegacyRequest>();
  const auto path = [](Napi::Object of, const char* name) {
    const std::string text = as_string(of.Get(name), name);
    if (text.empty()) raise_argument(of.Env(), std::string(name) + " is empty");
    return text;
  };
  if (present(object, "file")) {
    request->file = path(object, "file");
  } else if (present(object, "parts")) {
    const Napi::Object parts = as_object(object.Get("parts"), "parts");
    request->small = path(parts, "small");
    request->big = path(parts, "big");
  } else {
    request->bytes = copy_bytes(object.Get("bytes"), "bytes");
  }
  request->key = as_key(key);
  return request;
}

void export_legacy(Napi::Env env, Napi::Object exports) {
  export_function<key_from_text>(env, exports, "legacyKey");
  export_function<derive>(env, exports, "legacyDerive");
  export_function<encrypt>(env, exports, "legacyEncrypt");
  export_function<encrypt_to_file>(env, exports, "legacyEncryptToFile");
  export_function<load>(env, exports, "legacyLoad");
  export_function<open>(env, exports, "legacyOpen");
}

}  // namespace mg::addon
