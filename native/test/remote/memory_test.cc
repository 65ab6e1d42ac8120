// The remote room leaves no secret behind in memory.
#include "crypto/crypto.h"
#include "remote/field.h"
#include "remote/fragment.h"
#include "remote/proof.h"
#include "remote/remote_support.h"
#include "remote/state.h"
#include "support/memory_scan.h"

using namespace remote_test;
using namespace mg::remote;
using test::Hidden;

namespace {

KeyPtr shown(keys::Type type, const Hidden& bytes) {
  const Secret secret = bytes.show();
  return key_of(type, secret.reveal());
}

Hidden expanded(const Hidden& key, const char* label) {
  auto out = Secret::allocate(32);
  REQUIRE(out.ok());
  REQUIRE(crypto::hkdf_expand(crypto::Hash::sha384, key.show().reveal(), View(label), out->reveal_mut()).ok());
  return Hidden::of(*out);
}

Hidden state_key(const Hidden& device) {
  auto out = Secret::allocate(32);
  REQUIRE(out.ok());
  const Bytes info = with_label("model-guard/v1/state", {kSomeServer});
  REQUIRE(crypto::hkdf(crypto::Hash::sha384, device.show().reveal(), View(), info, out->reveal_mut()).ok());
  return Hidden::of(*out);
}

}  // namespace

TEST_CASE("no key, fragment or personal data of the remote room stays in memory") {
  const Hidden device = Hidden::made_up(64, 101), master = Hidden::made_up(32, 102), text = Hidden::made_up(100, 103),
               personal = Hidden::made_up(80, 104);
  if (!test::copies_in_memory(device)) return;  // a sanitizer keeps what is freed
  Bytes wrapped, box, state;
  const auto work = [&] {
    const KeyPtr machine = shown(keys::Type::device, device), field = shown(keys::Type::master, master);
    for (const KeyPtr& fragment : {field, shown(keys::Type::legacy, text)}) {
      auto sealed = seal_fragment(*fragment, x25519(machine), kSomeServer, "archive");
      REQUIRE(sealed.ok());
      auto given = reseal_fragment(*machine, *sealed, x25519(machine), kSomeServer, "archive", View(kSomeChallenge));
      REQUIRE(given.ok());
      REQUIRE(open_fragment(*machine, *given, kSomeServer, "archive", kSomeChallenge).ok());
    }
    auto nonce = seal_nonce(x25519(machine), kSomeServer, kSomeChallenge);
    REQUIRE(nonce.ok());
    REQUIRE(prove_enrolment(*machine, kSomeServer, kSomeChallenge, nonce->sealed, View("message")).ok());
    REQUIRE(sign(Purpose::lease_request, *machine, View("message")).ok());
    const Secret plain = personal.show();
    wrapped = *new_subject_key(*field, kSomeSubject);
    box = *seal_box(*field, wrapped, kSomeSubject, View(), plain.reveal());
    REQUIRE(open_box(*field, wrapped, kSomeSubject, View(), box).ok());
    REQUIRE(field_mac(*field, MacUse::index, plain.reveal()).ok());
    state = *seal_state(*machine, kSomeServer, plain.reveal());
    REQUIRE(open_state(*machine, kSomeServer, state).ok());
  };
  test::run_deep(work);

  auto subject_key = Secret::allocate(32);
  REQUIRE(subject_key.ok());
  const Hidden wrap = expanded(master, "model-guard/v1/field-wrap");
  {
    const Secret key = wrap.show();
    REQUIRE(open_under(key.reveal(), kSomeSubject, wrapped, subject_key->reveal_mut()).ok());
  }
  const Hidden needles[] = {device,
                            master,
                            text,
                            personal,
                            wrap,
                            expanded(master, "model-guard/v1/field-mac/index"),
                            state_key(device),
                            Hidden::of(*subject_key)};
  subject_key = Secret();
  size_t i = 0;
  for (const Hidden& needle : needles) CHECK_MESSAGE(*test::copies_in_memory(needle) == 0, "needle ", i++);
}
