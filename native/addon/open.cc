// NativeOpened: opening a container, loading its model, re-wrapping its small part.
#include <algorithm>

#include "container/derived.h"
#include "container/opener.h"
#include "convert.h"
#include "entry.h"
#include "handles.h"
#include "source.h"

namespace mg::addon {
namespace {

struct OpenRequest {
  Bytes small;
  recipients::Identities identities;
  container::Trust trust;
  std::optional<uint32_t> max_derivations;
  std::shared_ptr<Work> work = std::make_shared<Work>();
};

// Its slots may need a TPM.
bool names_machine(const recipients::Identities& identities) {
  return std::any_of(identities.begin(), identities.end(), [](const auto& identity) { return !identity.key; });
}

std::shared_ptr<OpenRequest> as_open_request(Napi::Value value) {
  const Napi::Object object = as_object(value, "request");
  auto request = std::make_shared<OpenRequest>();
  request->small = copy_bytes(object.Get("small"), "small");
  request->identities = as_identities(object);
  request->trust = as_trust(object.Get("trust"));
  if (present(object, "maxDerivations"))
    request->max_derivations =
        uint32_t(std::min<uint64_t>(as_integer(object.Get("maxDerivations"), "maxDerivations"), UINT32_MAX));
  if (present(object, "control")) request->work = as_control(object.Get("control"));
  return request;
}

struct OpenedState {
  std::shared_ptr<const container::OpenContainer> opened;
  Bytes head;  // payload bytes of the small part

  // Where the big part begins, unless it was cut just now from the container that it is compared with.
  std::optional<uint64_t> big_offset(Napi::Value source) const {
    if (as_object(source, "source").Get("sameContainer").ToBoolean()) return std::nullopt;
    return head.size();
  }
};

std::shared_ptr<const Bytes> stored_tree(Napi::Value source) {
  const auto object = source.As<Napi::Object>();
  return std::make_shared<Bytes>(present(object, "tree") ? copy_bytes(object.Get("tree"), "tree") : Bytes());
}

// Held open, a file may be marked as used or removed while it is read: every read authenticates its bytes anyway.
Result<std::shared_ptr<payload::Source>> open_file(const SourceRequest& source, bool hold) {
  const auto shared = [](auto file) -> Result<std::shared_ptr<payload::Source>> {
    if (!file.ok()) return file.status();
    return std::shared_ptr<payload::Source>(std::move(*file));
  };
  if (hold) return shared(payload::FileSource::open(*source.file, source.file_offset));
  return shared(payload::SteadyFile::open(*source.file, payload::SteadyFile::Links::follow, source.file_offset));
}

class OpenedHandle : public Handle<OpenedHandle> {
 public:
  explicit OpenedHandle(const Napi::CallbackInfo& info)
      : Handle(info), state_(constructed_from<std::shared_ptr<OpenedState>>(info)) {
    show(info, "info", to_js(info.Env(), state_->opened->header()));
  }

  Napi::Value load(const Napi::CallbackInfo& info) {
    auto work = as_work(info[1]);
    auto source = as_source(info[0], work);
    const auto big_offset = state_->big_offset(info[0]);
    const auto tree = stored_tree(info[0]);
    const Backing backing = info[2].IsString() && as_string(info[2], "as") == "path" ? Backing::memfd : Backing::anonymous;
    auto files = std::make_shared<std::vector<container::LoadedFile>>();
    Job job;
    job.work = work;
    job.compute = [s = state_, source, work, files, tree, big_offset, backing](work::Pool& pool) -> Status {
      auto big = source->open();
      if (!big.ok()) return big.status();
      payload::MemorySource head{View(s->head)};
      payload::JoinedSource payload(head, **big);
      auto loaded = s->opened->load(payload, big_offset, pool, work->control, View(*tree), backing);
      if (!loaded.ok()) return loaded.status();
      *files = std::move(*loaded);
      return {};
    };
    job.result = [files](Napi::Env env) { return new_model(env, std::move(*files)); };
    job.failure = store_error(source);
    if (source->script) job.waits = Job::Waits::script;
    return Environment::of(info.Env()).run(info.Env(), std::move(job));
  }

  Napi::Value reader(const Napi::CallbackInfo& info) {
    auto work = as_work(info[1]);
    auto source = as_source(info[0], work);
    if (!source->file && !source->script) raise_argument(info.Env(), "a reader reads from a file or a script");
    const auto tree = stored_tree(info[0]);
    auto made = std::make_shared<ReaderState>();
    made->head = std::shared_ptr<const Bytes>(state_, &state_->head);
    Job job;
    job.work = work;
    const bool hold = as_object(info[0], "source").Get("holdOpen").ToBoolean();
    job.compute = [s = state_, source, work, made, tree, hold,
                   big_offset = state_->big_offset(info[0])](work::Pool& pool) -> Status {
      std::shared_ptr<payload::Source> big = source->script;
      if (!big) {
        auto file = open_file(*source, hold);
        if (!file.ok()) return file.status();
        big = std::move(*file);
      }
      auto from = std::make_shared<JoinedPayload>(made->head, std::move(big));
      auto reader = container::Reader::create(s->opened, std::move(from), big_offset, pool, work->control, View(*tree));
      if (!reader.ok()) return reader.status();
      made->reader = std::move(*reader);
      return {};
    };
    job.result = [made](Napi::Env env) { return new_reader(env, std::move(*made)); };
    job.failure = store_error(source);
    if (source->script) job.waits = Job::Waits::script;
    return Environment::of(info.Env()).run(info.Env(), std::move(job));
  }

  Napi::Value deriving_key(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const auto& opened = *state_->opened;
    const Secret key = unwrap(env, container::deriving_key(opened.data_key(), opened.header().core.payload_id));
    return new_key(env, unwrap(env, keys::Key::from_bytes(keys::Type::master, key.reveal())));
  }

 private:
  const std::shared_ptr<OpenedState> state_;
};

Napi::Value open(const Napi::CallbackInfo& info) {
  auto request = as_open_request(info[0]);
  auto state = std::make_shared<OpenedState>();
  Job job;
  job.work = request->work;
  if (names_machine(request->identities)) job.waits = Job::Waits::machine;
  job.compute = [request, state](work::Pool&) -> Status {
    auto opened = container::OpenContainer::open(View(request->small), request->identities, request->trust,
                                                 &request->work->control.cancelled, request->max_derivations);
    if (!opened.ok()) return opened.status();
    state->head = View(request->small).from((*opened)->header().size()).copy();
    state->opened = std::move(*opened);
    return {};
  };
  job.result = [state](Napi::Env env) mutable { return construct(env, Environment::of(env).opened, state); };
  return Environment::of(info.Env()).run(info.Env(), std::move(job));
}

std::array<uint8_t, 16> as_id(Napi::Value value, const char* what) {
  const std::string text = as_string(value, what);
  std::array<uint8_t, 16> id{};
  const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; };
  bool valid = text.size() == 2 * id.size();
  for (size_t i = 0; valid && i < text.size(); i++) {
    valid = digit(text[i]) >= 0;
    id[i / 2] = uint8_t(id[i / 2] << 4 | digit(text[i]));
  }
  if (!valid) raise_argument(value.Env(), std::string(what) + " must be 32 lower-case hex digits");
  return id;
}

container::LeaseTerms as_lease(Napi::Value value) {
  const Napi::Object object = as_object(value, "lease"), policy = as_object(object.Get("policy"), "policy");
  container::LeaseTerms terms;
  terms.policy.not_before = as_integer(policy.Get("notBefore"), "notBefore");
  terms.policy.not_after = as_integer(policy.Get("notAfter"), "notAfter");
  terms.policy.offline_until = as_integer(policy.Get("offlineUntil"), "offlineUntil");
  terms.policy.lease_id = as_id(policy.Get("leaseId"), "leaseId");
  terms.policy.device_id = as_id(policy.Get("deviceId"), "deviceId");
  terms.signer = as_key(object.Get("signer"));
  return terms;
}

Napi::Value rewrap(const Napi::CallbackInfo& info) {
  auto request = as_open_request(info[0]);
  const auto object = info[0].As<Napi::Object>();
  std::optional<container::LeaseTerms> lease;
  if (present(object, "lease")) lease = as_lease(object.Get("lease"));
  auto out = std::make_shared<Bytes>();
  Job job;
  job.work = request->work;
  if (names_machine(request->identities)) job.waits = Job::Waits::machine;
  job.compute = [request, recipients = as_recipients(object.Get("recipients")), lease = std::move(lease),
                 out](work::Pool&) -> Status {
    auto small = container::rewrap(View(request->small), request->identities, request->trust, recipients, lease,
                                   &request->work->control.cancelled, request->max_derivations);
    if (!small.ok()) return small.status();
    *out = std::move(*small);
    return {};
  };
  job.result = [out](Napi::Env env) { return to_js(env, View(*out)); };
  return Environment::of(info.Env()).run(info.Env(), std::move(job));
}

}  // namespace

void define_opened(Napi::Env env, Environment& environment) {
  environment.opened =
      Napi::Persistent(OpenedHandle::DefineClass(env, "Opened",
                                                 {
                                                     OpenedHandle::define<&OpenedHandle::load>("load"),
                                                     OpenedHandle::define<&OpenedHandle::reader>("reader"),
                                                     OpenedHandle::define<&OpenedHandle::deriving_key>("derivingKey"),
                                                 }));
}

void export_open(Napi::Env env, Napi::Object exports) {
  export_function<open>(env, exports, "open");
  export_function<rewrap>(env, exports, "rewrap");
}

}  // namespace mg::addon
