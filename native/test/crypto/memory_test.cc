// The crypto room leaves no secret behind in memory.
#include <doctest/doctest.h>

#include <functional>
#include <vector>

#include "crypto/crypto.h"
#include "crypto/secret_buffer.h"
#include "support/memory_scan.h"

using namespace mg;
using crypto::Gcm;
using crypto::Hash;
using test::Hidden;

TEST_CASE("a wiped buffer is zero when its scope ends") {
  alignas(crypto::SecretBuffer<32>) uint8_t room[sizeof(crypto::SecretBuffer<32>)];
  auto* wiped = new (room) crypto::SecretBuffer<32>;
  std::memset(wiped->span().data, 0xaa, 32);
  wiped->~SecretBuffer();
  CHECK(equal(View(room), View(Bytes(sizeof room))));
}

TEST_CASE("no key stays in ordinary memory after use") {
  const Hidden planted = Hidden::made_up(32, 1);
  if (!test::copies_in_memory(planted)) return;  // a sanitizer keeps what is freed
  {
    const Secret shown = planted.show();
    Bytes copy = shown.reveal().copy();
    CHECK(*test::copies_in_memory(planted) > 0);  // the search finds what is there
    crypto::wipe(copy);
  }
  CHECK(*test::copies_in_memory(planted) == 0);

  std::vector<Hidden> needles;  // every key so far
  const auto fresh = [&](size_t size) {
    needles.push_back(Hidden::made_up(size, unsigned(needles.size()) + 2));
    return needles.back();
  };
  // Does work(out), learns from a first run what it makes, then looks for all of it after a second one.
  const auto leaves_nothing = [&](const char* name, size_t size, const std::function<Status(Span out)>& work) {
    const auto once = [&](bool keep) {
      auto out = Secret::allocate(size);
      REQUIRE(out.ok());
      CHECK(work(out->reveal_mut()).ok());
      if (keep) needles.push_back(Hidden::of(*out));
    };
    once(true);
    test::run_deep([&] { once(false); });
    for (size_t i = 0; i < needles.size(); i++) CHECK_MESSAGE(*test::copies_in_memory(needles[i]) == 0, name, ", needle ", i);
  };

  const View salt(std::string_view("a salt of some bytes"));
  const Hidden key = fresh(32), long_key = fresh(200), passphrase = fresh(40), seed = fresh(32), wrapped = fresh(32);
  leaves_nothing("hkdf_extract", 48,
                 [&](Span out) { return crypto::hkdf_extract(Hash::sha384, salt, key.show().reveal(), out); });
  leaves_nothing("hkdf", 40, [&](Span out) {  // its prk is the needle before
    return crypto::hkdf(Hash::sha384, key.show().reveal(), salt, salt, out);
  });
  leaves_nothing("hkdf_expand", 64 + 48, [&](Span out) {  // the last block is cut
    return crypto::hkdf_expand(Hash::sha512, key.show().reveal(), salt, out);
  });
  leaves_nothing("hmac", 32,
                 [&](Span out) { return crypto::hmac(Hash::sha256, long_key.show().reveal(), {key.show().reveal()}, out); });
  leaves_nothing("scrypt", 32, [&](Span out) { return crypto::scrypt(passphrase.show().reveal(), salt, 10, 8, 1, out); });
  leaves_nothing("random", 32, [&](Span out) { return crypto::random_bytes(out); });
  leaves_nothing("x25519", 32, [&](Span out) {
    const Secret own = key.show();
    Bytes peer(32);
    const Status status = crypto::x25519_public(own.reveal(), peer);
    return status.ok() ? crypto::x25519(own.reveal(), peer, out) : status;
  });
  leaves_nothing("ed25519", 64, [&](Span out) {
    Bytes unused(32);
    const Status status = crypto::ed25519_public(seed.show().reveal(), unused);
    if (!status.ok()) return status;
    return crypto::ed25519_sign(seed.show().reveal(), salt, out);
  });
  leaves_nothing("AES-GCM", 32, [&](Span out) {
    auto gcm = Gcm::create(key.show().reveal());
    Bytes sealed(48);
    const bool sealed_it = gcm->seal(Bytes(12), salt, wrapped.show().reveal(), sealed.data());
    return sealed_it && gcm->open(Bytes(12), salt, sealed, out.data) ? Status() : Status(Code::INTERNAL, "failed");
  });
}
