// Sealing and unsealing (TPM 2.0 Library, part 1: sessions, section 19; parameter encryption, 21; sealed data, 27).
#include "hardware/tpm.h"

#include <dlfcn.h>
#include <openssl/crypto.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iterator>
#include <list>
#include <mutex>
#include <new>
#include <optional>
#include <thread>

#include "crypto/crypto.h"
#include "hardware/tpm_blob.h"
#include "hardware/tpm_connection.h"
#include "hardware/tpm_keys.h"

namespace mg::hardware::tpm {
namespace {

using namespace tss2;

constexpr size_t kValue = 32;
constexpr int kAttempts = 5;
constexpr std::chrono::seconds kPatience{30};
constexpr std::chrono::milliseconds kPoll{50};
constexpr std::chrono::milliseconds kGrace{5000};  // for the command that a TPM is at when its caller ends

// A session whose keys are derived from a salt that only the owner of `parent` can decrypt. Its `attributes` say which first
// parameter is encrypted: the command's (kDecrypt) or the response's (kEncrypt).
Result<TransientHandle> start_session(Connection& tpm, const Parent& parent, uint8_t type, uint8_t attributes) {
  const SymDef aes{kAes, 128, kCfb};
  TransientHandle session(tpm);
  Rc rc = tpm.tss().start_auth_session(tpm.esys(), parent.handle, kNone, kNone, kNone, kNone, nullptr, type, &aes, kSha256,
                                       session.out());
  if (auto s = tpm.check(rc, "start a session"); !s.ok()) return s;
  rc = tpm.tss().set_attributes(tpm.esys(), session.handle(), uint8_t(kContinue | attributes), 0xff);
  if (auto s = tpm.check(rc, "set up a session"); !s.ok()) return s;
  return session;
}

struct PolicySession {
  TransientHandle session;
  Bytes digest;
};
// A session whose policy is the PCRs as they are now.
Result<PolicySession> start_policy(Connection& tpm, const Parent& parent, uint8_t type, uint32_t pcrs) {
  auto session = start_session(tpm, parent, type, kEncrypt);
  if (!session.ok()) return session.status();
  PcrSelections selections;
  selections.count = 1;
  selections.banks[0] = {kSha256, 3, {uint8_t(pcrs), uint8_t(pcrs >> 8), uint8_t(pcrs >> 16), 0}};
  const Digest as_they_are;
  Rc rc = tpm.tss().policy_pcr(tpm.esys(), session->handle(), kNone, kNone, kNone, &as_they_are, &selections);
  if (auto s = tpm.check(rc, "read its PCRs"); !s.ok()) return s;
  LibraryBuffer<Digest> policy(tpm);
  rc = tpm.tss().policy_get_digest(tpm.esys(), session->handle(), kNone, kNone, kNone, policy.out());
  if (auto s = tpm.check(rc, "compute a policy"); !s.ok()) return s;
  if (policy->size != kPolicy) return Status(Code::TPM_UNAVAILABLE, "the TPM computed a policy of a strange size");
  return PolicySession{std::move(*session), view(*policy.get()).copy()};
}

// A TPM leaves PCRs of a bank that it does not have out of a policy, without an error.
Status check_bank(Connection& tpm, uint32_t pcrs) {
  LibraryBuffer<Capability<PcrSelections>> assigned(tpm);
  if (auto s = get_capability(tpm, kCapPcrs, 0, 1, &assigned); !s.ok()) return s;
  const PcrSelections& banks = assigned->data;
  for (size_t i = 0; i < banks.count && i < std::size(banks.banks); i++) {
    const PcrSelection& bank = banks.banks[i];
    const uint32_t has = uint32_t(bank.bits[0]) | uint32_t(bank.bits[1]) << 8 | uint32_t(bank.bits[2]) << 16;
    if (bank.hash == kSha256 && bank.size >= 3 && (pcrs & ~has) == 0) return {};
  }
  return Status(Code::TPM_UNAVAILABLE, "the TPM has no SHA-256 bank with all of the PCRs asked for");
}

Result<Bytes> create(Connection& tpm, const Parent& parent, uint32_t pcrs, const Secret& value) {
  Public area;
  {
    auto trial = start_policy(tpm, parent, kTrialSession, pcrs);
    if (!trial.ok()) return trial.status();
    if (auto s = read_public(tpm, sealed_template(trial->digest), &area); !s.ok()) return s;
  }
  auto memory = Secret::allocate(sizeof(SensitiveCreate));
  if (!memory.ok()) return memory.status();
  auto* sensitive = new (memory->reveal_mut().data) SensitiveCreate;
  sensitive->data.size = kValue;
  std::memcpy(sensitive->data.buffer, value.reveal().data, kValue);

  auto session = start_session(tpm, parent, kHmacSession, kDecrypt);
  if (!session.ok()) return session.status();
  const Digest no_information;
  const PcrSelections no_pcrs;
  LibraryBuffer<Private> private_area(tpm);
  LibraryBuffer<Public> public_area(tpm);
  const Rc rc = tpm.tss().create(tpm.esys(), parent.handle, session->handle(), kNone, kNone, sensitive, &area, &no_information,
                                 &no_pcrs, private_area.out(), public_area.out(), nullptr, nullptr, nullptr);
  if (auto s = tpm.check(rc, "seal a value"); !s.ok()) return s;

  Blob blob;
  blob.pcrs = pcrs;
  blob.parent = parent.name;
  auto wire = write_public(tpm, *public_area.get());
  if (!wire.ok()) return wire.status();
  blob.public_area = std::move(*wire);
  append_be(blob.private_area, private_area->size);
  append(blob.private_area, view(*private_area.get()));
  return blob.encode();
}

// The library keeps the last response, decrypted, in memory that it does not wipe. A longer one takes its place.
Status overwrite_response(Connection& tpm) {
  LibraryBuffer<Capability<uint32_t>> properties(tpm);
  return get_capability(tpm, kCapProperties, kFixedProperties, 64, &properties);
}

Result<Secret> load_and_unseal(Connection& tpm, const Parent& parent, const Blob& blob) {
  Public public_area;
  if (auto s = read_public(tpm, blob.public_area, &public_area); !s.ok()) return s;
  Private private_area;
  private_area.size = uint16_t(blob.private_area.size() - 2);
  std::memcpy(private_area.buffer, blob.private_area.data() + 2, private_area.size);
  TransientHandle object(tpm);
  Rc rc = tpm.tss().load(tpm.esys(), parent.handle, kPassword, kNone, kNone, &private_area, &public_area, object.out());
  if (auto s = tpm.check(rc, "load the sealed value"); !s.ok()) return s;

  auto policy = start_policy(tpm, parent, kPolicySession, blob.pcrs);
  if (!policy.ok()) return policy.status();
  if (!equal(policy->digest, blob.policy()))
    return Status(Code::TPM_REFUSED, "the TPM's PCR values are not those of the enrolment");
  LibraryBuffer<SensitiveData> data(tpm);
  rc = tpm.tss().unseal(tpm.esys(), object.handle(), policy->session.handle(), kNone, kNone, data.out());
  // A value that arrived is wiped below, even after the caller has left.
  if (auto s = tpm.check_response(rc, "unseal the value"); !s.ok()) return s;
  const Status overwritten = overwrite_response(tpm);
  const Span plain(data->buffer, std::min<size_t>(data->size, sizeof data->buffer));
  auto value = plain.size == kValue ? Secret::copy(plain) : Status(Code::KEY_INVALID, "the sealed value is not of 32 bytes");
  crypto::wipe(plain);
  if (!overwritten.ok()) return overwritten;
  return value;
}

// Seals a value, and unseals it once before it is used. That also overwrites the library's copy of the sealed value.
Result<Bytes> create_checked(Connection& tpm, uint32_t pcrs, const Secret& value) {
  if (auto s = check_bank(tpm, pcrs); !s.ok()) return s;
  auto parent = find_parent(tpm, View());
  if (!parent.ok()) return parent.status();
  auto made = create(tpm, *parent, pcrs, value);
  if (!made.ok()) return made;
  auto blob = parse_blob(*made);
  if (!blob.ok()) return Status(Code::TPM_UNAVAILABLE, "the TPM made a sealed value of a form that this program does not store");
  auto back = load_and_unseal(tpm, *parent, *blob);
  if (!back.ok()) return back.status();
  if (!crypto::equal(back->reveal(), value.reveal()))
    return Status(Code::TPM_UNAVAILABLE, "the TPM gave back another value than it sealed");
  return made;
}

template <class T>
using Work = std::function<Result<T>(Connection&)>;

// A call's thread, and what it shares with its caller. Guarded by the mutex of Calls.
struct Running {
  std::thread thread;
  Cancelled abandoned{false};  // its caller has left: it ends after the command that it waits for
  bool over = false;           // the thread does nothing more but end
};

// The calls of this process. A call that was abandoned stays here until its thread is joined.
class Calls {
 public:
  std::mutex mutex;
  std::condition_variable changed;

  // Under the mutex. False: another thread has taken it, and joins its thread.
  bool take(const std::shared_ptr<Running>& call) {
    const auto found = std::find(running_.begin(), running_.end(), call);
    if (found == running_.end()) return false;
    running_.erase(found);
    return true;
  }
  void add(std::shared_ptr<Running> call) { running_.push_back(std::move(call)); }

  // Waits at most `patience` for calls that were abandoned, and joins their threads.
  void join_abandoned(std::chrono::milliseconds patience) {
    if (getpid() != process_) return;  // threads do not survive fork()
    std::list<std::shared_ptr<Running>> ended;
    {
      std::unique_lock<std::mutex> lock(mutex);
      const auto waited_for = [](const auto& call) { return call->abandoned && !call->over; };
      changed.wait_for(lock, patience, [&] { return std::none_of(running_.begin(), running_.end(), waited_for); });
      for (auto each = running_.begin(); each != running_.end();) {
        const auto call = each++;
        if ((*call)->abandoned && (*call)->over) ended.splice(ended.end(), running_, call);
      }
    }
    for (const auto& call : ended) call->thread.join();
  }
  void abandon_all() {
    const std::lock_guard<std::mutex> lock(mutex);
    for (const auto& call : running_) call->abandoned = true;
  }

 private:
  std::list<std::shared_ptr<Running>> running_;
  const pid_t process_ = getpid();
};

// Never destroyed: a thread may hold it for good.
Calls& calls() {
  static auto& all = *new Calls;
  return all;
}

// Without a resource manager a TPM has room for one of us, and /dev/tpm0 opens once. Never destroyed, for the same reason.
std::timed_mutex& one_at_a_time() {
  static auto& mutex = *new std::timed_mutex;
  return mutex;
}

// Does all of `work` again where the TPM was busy or a PCR changed between the policy and its use.
template <class T>
Result<T> attempt(const Work<T>& work, const Cancelled& abandoned) {
  std::unique_lock<std::timed_mutex> lock(one_at_a_time(), std::defer_lock);
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!lock.try_lock_for(kPoll)) {
    if (abandoned) return Status(Code::ABORT_ERR, "cancelled");
    if (std::chrono::steady_clock::now() >= end)
      return Status(Code::TPM_UNAVAILABLE, "the TPM is still busy with an earlier request");
  }
  for (int left = kAttempts;; left--) {
    auto tpm = Connection::open(abandoned);
    if (!tpm.ok()) return tpm.status();
    Result<T> result = work(**tpm);
    if (result.ok() || !(*tpm)->is_transient() || left == 1) return result;
  }
}

// The code of these threads must stay loaded, even where an environment ends and takes the addon along.
void keep_loaded() {
  Dl_info self;
  if (dladdr(reinterpret_cast<void*>(&keep_loaded), &self) && self.dli_fname)
    dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

// exit() runs what was registered last first. So OpenSSL, which the TPM library uses too, has to register its own clean-up before.
void prepare_exit() {
  keep_loaded();
  OPENSSL_init_crypto(0, nullptr);
  std::atexit([] {
    calls().abandon_all();
    calls().join_abandoned(kGrace);
  });
}

// The library waits for an answer without an end, and a transport may never give one: so the work has a thread of its own, which owns
// all that it needs. Where the patience ends or the caller cancels, it is abandoned: it ends after its command, and takes out of the TPM
// what it loaded.
template <class T>
Result<T> with_tpm(Work<T> work, const Cancelled* cancelled) {
  struct Call : Running {
    std::optional<Result<T>> result;
  };
  static std::once_flag prepared;
  std::call_once(prepared, prepare_exit);
  Calls& all = calls();
  all.join_abandoned({});
  auto call = std::make_shared<Call>();
  std::unique_lock<std::mutex> lock(all.mutex);
  try {
    all.add(call);
    call->thread = std::thread([&all, call, work = std::move(work)] {
      std::optional<Result<T>> result;
      try {
        result.emplace(attempt<T>(work, call->abandoned));
      } catch (const std::exception&) {
        result.emplace(Status(Code::OUT_OF_MEMORY, "no memory is left"));
      }
      crypto::wipe_stack();
      const std::lock_guard<std::mutex> done(all.mutex);
      call->result = std::move(result);
      call->over = true;
      all.changed.notify_all();
    });
  } catch (const std::exception&) {
    all.take(call);
    return Status(Code::TPM_UNAVAILABLE, "the system grants no thread to talk to the TPM");
  }
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!call->over) {
    call->abandoned = call->abandoned || (cancelled && cancelled->load());
    if (call->abandoned) return Status(Code::ABORT_ERR, "cancelled");
    if (std::chrono::steady_clock::now() >= end) {
      call->abandoned = true;
      return Status(Code::TPM_UNAVAILABLE, "the TPM did not answer within 30 seconds");
    }
    all.changed.wait_for(lock, kPoll);
  }
  const bool mine = all.take(call);
  lock.unlock();
  if (mine) call->thread.join();
  return std::move(*call->result);
}

// If no stored value takes part, a code about a stored value means only that this TPM cannot be used.
Status unusable(Status status) {
  for (const Code code : {Code::HARDWARE_MISMATCH, Code::TPM_REFUSED, Code::KEY_INVALID}) {
    if (status.code == code) status.code = Code::TPM_UNAVAILABLE;
  }
  return status;
}

}  // namespace

void join_cancelled() { calls().join_abandoned(kGrace); }

Result<Sealed> seal(uint32_t pcrs, const Cancelled* cancelled) {
  if (!is_pcrs(pcrs)) return Status(Code::INVALID_ARGUMENT, "a TPM policy names one or more of the PCRs 0 to 23");
  auto random = Secret::allocate(kValue);
  if (!random.ok()) return random.status();
  if (auto s = crypto::random_bytes(random->reveal_mut()); !s.ok()) return s;
  auto value = std::make_shared<Secret>(std::move(*random));
  auto blob = with_tpm<Bytes>([value, pcrs](Connection& tpm) { return create_checked(tpm, pcrs, *value); }, cancelled);
  if (!blob.ok()) return unusable(blob.status());
  auto kept = Secret::copy(value->reveal());
  if (!kept.ok()) return kept.status();
  return Sealed{std::move(*blob), std::move(*kept)};
}

Result<Secret> unseal(View bytes, const Cancelled* cancelled) {
  auto parsed = parse_blob(bytes);
  if (!parsed.ok()) return parsed.status();
  return with_tpm<Secret>(
      [blob = std::move(*parsed)](Connection& tpm) -> Result<Secret> {
        auto parent = find_parent(tpm, blob.parent);
        if (!parent.ok()) return parent.status();
        return load_and_unseal(tpm, *parent, blob);
      },
      cancelled);
}

Result<Bytes> endorsement_name(const Cancelled* cancelled) {
  auto name = with_tpm<Bytes>(name_endorsement_key, cancelled);
  if (!name.ok()) return unusable(name.status());
  return name;
}

// PolicyPCR (TPM 2.0 Library, part 3): SHA-256(zeros || TPM_CC_PolicyPCR || the selection || SHA-256(the values)).
bool is_unmeasured(View bytes) {
  auto blob = parse_blob(bytes);
  if (!blob.ok()) return false;
  const auto pcrs = size_t(__builtin_popcount(blob->pcrs));
  const uint8_t start[kPolicy] = {};
  const uint8_t command[] = {
      0, 0, 1, 0x7f, 0, 0, 0, 1, 0, 0x0b, 3, uint8_t(blob->pcrs), uint8_t(blob->pcrs >> 8), uint8_t(blob->pcrs >> 16)};
  for (const uint8_t fill : {0x00, 0xff}) {
    crypto::Sha256 values, policy;
    const bool computed =
        crypto::digest(crypto::Hash::sha256, {Bytes(pcrs * 32, fill)}, Span(values.data(), values.size())).ok() &&
        crypto::digest(crypto::Hash::sha256, {View(start), View(command), View(values)}, Span(policy.data(), policy.size())).ok();
    if (computed && equal(View(policy), blob->policy())) return true;
  }
  return false;
}

}  // namespace mg::hardware::tpm
