#include "hardware/tpm_calls.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <list>
#include <mutex>
#include <system_error>
#include <thread>

#include "crypto/crypto.h"
#include "hardware/tpm_retry.h"
#include "memory/wipe_stack.h"

namespace mg::hardware::tpm {
namespace {

using Clock = std::chrono::steady_clock;
using Work = std::function<Status(Connection&)>;

constexpr std::chrono::milliseconds kPoll{50};     // between two looks at a caller's flag
constexpr std::chrono::milliseconds kGrace{5000};  // for the command that a TPM is at when its caller ends

// A call's thread, and the state that it shares with its caller. Guarded by the mutex of Calls; `abandoned` is also read without it.
struct Call {
  std::thread thread;
  Cancelled abandoned{false};            // the caller has left
  std::optional<Clock::time_point> due;  // when the TPM must have answered; none until the call has its turn
  bool over = false;                     // the thread does nothing more but end
  Status status;
};
using SharedCall = std::shared_ptr<Call>;

// The calls of this process. An abandoned call stays here until its thread is joined.
class Calls {
 public:
  std::mutex mutex;
  std::condition_variable changed;

  // --- Under the mutex.
  void add(SharedCall call) { running_.push_back(std::move(call)); }
  // False: another thread has taken the call, and joins its thread.
  bool take(const SharedCall& call) {
    const auto found = std::find(running_.begin(), running_.end(), call);
    if (found == running_.end()) return false;
    running_.erase(found);
    return true;
  }
  void abandon(Call& call) {
    call.abandoned = true;
    changed.notify_all();
  }

  // --- Of a call's thread.
  // One call at a time: without a resource manager a TPM has room for one of us, and /dev/tpm0 opens once.
  Status begin_turn(const Call& call) {
    std::unique_lock<std::mutex> lock(mutex);
    if (!changed.wait_for(lock, kTurnTime, [&] { return !taken_ || call.abandoned; }))
      return Status(Code::TPM_UNAVAILABLE, "earlier calls of this process have not left the TPM within " +
                                               std::to_string(kTurnTime.count()) + " seconds");
    if (call.abandoned) return Status(Code::ABORT_ERR, "cancelled");
    taken_ = true;
    return {};
  }
  void end_turn() {
    const std::lock_guard<std::mutex> lock(mutex);
    taken_ = false;
    changed.notify_all();
  }
  void start_clock(Call& call) {
    const std::lock_guard<std::mutex> lock(mutex);
    call.due = Clock::now() + kAnswerTime;
  }
  bool pause(const Call& call, std::chrono::milliseconds length) {
    std::unique_lock<std::mutex> lock(mutex);
    return !changed.wait_for(lock, length, [&] { return call.abandoned.load(); });
  }
  void end(Call& call, Status status) {
    const std::lock_guard<std::mutex> lock(mutex);
    call.status = std::move(status);
    call.over = true;
    changed.notify_all();
  }

  // Waits at most `length` for abandoned calls, and joins their threads.
  void join_abandoned(std::chrono::milliseconds length) {
    if (getpid() != process_) return;  // threads do not survive fork()
    std::list<SharedCall> ended;
    {
      std::unique_lock<std::mutex> lock(mutex);
      const auto runs_on = [](const SharedCall& call) { return call->abandoned && !call->over; };
      changed.wait_for(lock, length, [&] { return std::none_of(running_.begin(), running_.end(), runs_on); });
      for (auto each = running_.begin(); each != running_.end();) {
        const auto call = each++;
        if ((*call)->abandoned && (*call)->over) ended.splice(ended.end(), running_, call);
      }
    }
    for (const SharedCall& call : ended) call->thread.join();
  }
  void abandon_all() {
    if (getpid() != process_) return;  // another thread may have held the mutex at fork()
    const std::lock_guard<std::mutex> lock(mutex);
    for (const SharedCall& call : running_) abandon(*call);
  }

 private:
  std::list<SharedCall> running_;
  bool taken_ = false;  // a call has its turn
  const pid_t process_ = getpid();
};

// Never destroyed: a thread that waits for a TPM may hold it until the process ends.
Calls& calls() {
  static auto& all = *new Calls;
  return all;
}

// The time for an answer starts when the TPM's device is free: until then the call waits for other programs.
Status do_work(const Work& work, Call& call) {
  bool opened = false;
  const auto attempt = [&]() -> Try {
    if (!opened) calls().start_clock(call);
    auto tpm = Connection::open(call.abandoned);
    opened = opened || tpm.ok();
    if (!tpm.ok()) return {tpm.status().sys == EBUSY ? Try::Outcome::in_use : Try::Outcome::done, tpm.status()};
    Status status = work(**tpm);
    const bool again = !status.ok() && (*tpm)->is_transient();
    return {again ? Try::Outcome::busy : Try::Outcome::done, std::move(status)};
  };
  return repeat(attempt, [&](std::chrono::milliseconds length) { return calls().pause(call, length); });
}

// All of a call's thread. No exception leaves it: that would end the process.
void run_thread(const Work& work, Call& call) noexcept {
  Status status;
  try {
    status = calls().begin_turn(call);
    if (status.ok()) {
      struct Turn {
        ~Turn() { calls().end_turn(); }
      } const turn;
      status = do_work(work, call);
    }
  } catch (const std::exception& error) {
    status = Status::from_exception(error);
  }
  wipe_stack();
  calls().end(call, std::move(status));
}

// The code of these threads must stay loaded, even after an environment has ended and unloaded the addon.
void keep_loaded() {
  Dl_info self;
  if (dladdr(reinterpret_cast<void*>(&keep_loaded), &self) && self.dli_fname)
    dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

// exit() runs the handler that was registered last first: ours must run before that of OpenSSL, which the TPM library uses too.
void prepare_exit() {
  keep_loaded();
  crypto::initialize();
  std::atexit([] {
    calls().abandon_all();
    calls().join_abandoned(kGrace);
  });
}

// Under the mutex, so that the thread is known to `call` before it can end.
Status start(const SharedCall& call, Work work) {
  try {
    calls().add(call);
    call->thread = std::thread([call, work = std::move(work)] { run_thread(work, *call); });
    return {};
  } catch (const std::system_error&) {
    calls().take(call);
    return Status(Code::TPM_UNAVAILABLE, "the system grants no thread to talk to the TPM");
  } catch (const std::exception& error) {
    calls().take(call);
    return Status::from_exception(error);
  }
}

}  // namespace

Status run_call(Work work, const Cancelled* cancelled) {
  static std::once_flag prepared;
  std::call_once(prepared, prepare_exit);
  Calls& all = calls();
  all.join_abandoned({});
  const auto call = std::make_shared<Call>();
  std::unique_lock<std::mutex> lock(all.mutex);
  if (auto s = start(call, std::move(work)); !s.ok()) return s;
  while (!call->over) {
    if (cancelled && cancelled->load()) all.abandon(*call);
    if (call->abandoned) return Status(Code::ABORT_ERR, "cancelled");
    if (call->due && Clock::now() >= *call->due) {
      all.abandon(*call);
      return Status(Code::TPM_UNAVAILABLE, "the TPM did not answer within " + std::to_string(kAnswerTime.count()) + " seconds");
    }
    all.changed.wait_for(lock, kPoll);
  }
  const bool mine = all.take(call);
  lock.unlock();
  if (mine) call->thread.join();
  return std::move(call->status);
}

void join_cancelled() { calls().join_abandoned(kGrace); }

}  // namespace mg::hardware::tpm
