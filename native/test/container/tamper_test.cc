// A container with a changed or missing byte does not open, even without a publisher to verify.
#include <random>

#include "container/container_support.h"
#include "support/seed.h"

using namespace container_test;

namespace {

struct Walk {
  work::Pool pool{1};
  std::shared_ptr<const keys::Key> master = new_key(keys::Type::master);
  uint64_t seed = test::test_seed();
  size_t step = size_t(1 / mg::test::scale() + 0.5);

  bool opens(View small, View big) { return open(small, big, {master}, pool).ok(); }
};

}  // namespace

TEST_CASE("a change at every byte and every truncation of header, small part and big part is refused") {
  Walk walk;
  std::mt19937_64 random(walk.seed);
  size_t changes = 0, truncations = 0, accepted = 0;
  for (const size_t size : {0, 1, 16383, 16384, 16385, 49152}) {
    Bytes model(size);
    for (auto& byte : model) byte = uint8_t(random());
    ContainerParts made = make({Input{"model.onnx", "", View(model)}}, SealOptions{{shared(walk.master)}, nullptr}, walk.pool);
    REQUIRE(walk.opens(View(made.small), View(made.big)));

    for (Bytes* part : {&made.small, &made.big}) {
      for (size_t i = random() % walk.step; i < part->size(); i += walk.step) {
        const uint8_t mask = uint8_t(1 + random() % 255);
        (*part)[i] ^= mask;
        if (walk.opens(View(made.small), View(made.big))) {
          accepted++;
          MESSAGE("size ", size, ": byte ", i, " of the ", part == &made.small ? "small" : "big", " part changed by ", int(mask),
                  " unnoticed");
        }
        (*part)[i] ^= mask;
        changes++;
      }
      for (size_t n = random() % walk.step; n < part->size(); n += walk.step) {
        const View small = part == &made.small ? View(made.small).sub(0, n) : View(made.small);
        const View big = part == &made.big ? View(made.big).sub(0, n) : View(made.big);
        if (walk.opens(small, big)) {
          accepted++;
          MESSAGE("size ", size, ": ", n, " bytes of the ", part == &made.small ? "small" : "big", " part were enough");
        }
        truncations++;
      }
    }
    CHECK(walk.opens(View(made.small), View(made.big)));  // the walk left it as it was
  }
  CHECK(accepted == 0);
  std::printf("tampering: %zu changed bytes and %zu truncations, %zu accepted\n", changes, truncations, accepted);
}

TEST_CASE("bytes behind a part are refused") {
  Walk walk;
  const Bytes model(1000, 7);
  ContainerParts made = make({Input{"m", "", View(model)}}, SealOptions{{shared(walk.master)}, nullptr}, walk.pool);
  Bytes longer = made.big;
  longer.push_back(0);
  CHECK(open(View(made.small), View(longer), {walk.master}, walk.pool).status().code == Code::PARTS_MISMATCH);
  longer = made.small;
  longer.push_back(0);
  CHECK(!walk.opens(View(longer), View(made.big)));
}
