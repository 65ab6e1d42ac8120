// Tries and pauses of a call, without a TPM and without a clock. If this fails, a busy TPM is flooded with commands, or a call waits for ever.
#include "hardware/tpm_retry.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

using namespace mg;
using namespace mg::hardware::tpm;
using std::chrono::milliseconds;

namespace {

struct Waited {
  std::vector<milliseconds> pauses;
  int tries = 0;
  Status status;
  milliseconds total() const {
    milliseconds sum{0};
    for (const milliseconds pause : pauses) sum += pause;
    return sum;
  }
};

// Tries with these outcomes, of which the last is repeated. The call is abandoned in pause `abandoned_in`, counted from 1.
Waited run(const std::vector<Try::Outcome>& outcomes, size_t abandoned_in = 0) {
  Waited waited;
  waited.status = repeat(
      [&]() -> Try {
        REQUIRE(waited.tries < 10'000);
        const Try::Outcome outcome = outcomes[std::min(size_t(waited.tries), outcomes.size() - 1)];
        waited.tries++;
        return {outcome, outcome == Try::Outcome::done ? Status() : Status(Code::TPM_UNAVAILABLE, "the device is in use")};
      },
      [&](milliseconds length) {
        waited.pauses.push_back(length);
        return waited.pauses.size() != abandoned_in;
      });
  return waited;
}

constexpr auto kDone = Try::Outcome::done, kBusy = Try::Outcome::busy, kInUse = Try::Outcome::in_use;

}  // namespace

TEST_CASE("tpm: a try that is final is not repeated") {
  const Waited waited = run({kDone});
  CHECK(waited.status.ok());
  CHECK(waited.tries == 1);
  CHECK(waited.pauses.empty());
}

TEST_CASE("tpm: a busy TPM is tried again after pauses that grow, within the time for an answer") {
  const Waited recovered = run({kBusy, kBusy, kBusy, kBusy, kDone});
  CHECK(recovered.status.ok());
  CHECK(recovered.tries == 5);
  const Waited waited = run({kBusy});
  CHECK(waited.status.code == Code::TPM_UNAVAILABLE);
  CHECK(waited.tries == 5);
  REQUIRE(waited.pauses.size() == 4);
  CHECK(waited.pauses[0] > milliseconds(0));
  for (size_t i = 1; i < waited.pauses.size(); i++) CHECK(waited.pauses[i] > waited.pauses[i - 1]);
  CHECK(waited.total() < kAnswerTime);
}

TEST_CASE("tpm: a device in use is waited for longer than a call may hold it, and then named as the cause") {
  CHECK(run({kInUse, kInUse, kInUse, kDone}).status.ok());
  const Waited waited = run({kInUse});
  CHECK(waited.status.code == Code::TPM_UNAVAILABLE);
  CHECK(waited.status.what == "the device is in use, for more than 35 seconds");
  CHECK(waited.total() > kAnswerTime);
  CHECK(waited.total() <= kDeviceTime + std::chrono::seconds(1));
}

TEST_CASE("tpm: a device in use does not take from the tries of a busy TPM") {
  CHECK(run({kInUse, kInUse, kBusy, kBusy, kBusy, kBusy, kDone}).tries == 7);
}

TEST_CASE("tpm: a call that is abandoned in a pause does not try again") {
  for (const Try::Outcome outcome : {kBusy, kInUse}) {
    const Waited waited = run({outcome}, 2);
    CHECK(waited.status.code == Code::ABORT_ERR);
    CHECK(waited.tries == 2);
  }
}
