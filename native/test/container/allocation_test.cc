// A lack of memory at every allocation of a call. If this fails, std::bad_alloc gets past a function that must not throw, and ends the
// process. Each call stands below the guard that the addon puts around entries and jobs: what it throws becomes a Status.
#include <cstdlib>
#include <new>

#include "container/container_support.h"
#include "crypto/crypto.h"

using namespace mg;
using namespace container_test;

namespace {

// Allocations of this thread that still succeed; none fails while it is negative.
thread_local long allowed = -1;

void* allocate(std::size_t size) {
  if (allowed == 0) return nullptr;
  if (allowed > 0) allowed--;
  return std::malloc(size ? size : 1);
}
void* allocate_or_throw(std::size_t size) {
  if (void* memory = allocate(size)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) { return allocate_or_throw(size); }
void* operator new[](std::size_t size) { return allocate_or_throw(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

// As in native/addon: Environment::compute() and guarded().
template <class Call>
Status guarded(Call call) {
  try {
    return call();
  } catch (const std::exception& error) {
    return Status::from_exception(error);
  }
}

// Runs the call with no memory after the first allocation, then after the second, and so on, until it has enough.
template <class Call>
long fail_each(const char* name, Call call) {
  for (long enough = 0;; enough++) {
    allowed = enough;
    Status status = guarded(call);
    const bool failed = allowed == 0;
    allowed = -1;
    if (!failed) {
      CHECK_MESSAGE(status.ok(), name, ": ", status.what);
      return enough;
    }
    if (status.code != Code::OK && status.code != Code::OUT_OF_MEMORY)
      FAIL_CHECK(name << ", allocation " << enough << ": " << code_name(status.code) << ", " << status.what);
  }
}

const std::string kText = "weights";

}  // namespace

TEST_CASE("a lack of memory at any allocation is an error of the call, and the next call works") {
  work::Pool pool(0);
  const work::Control control;
  const auto master = new_key(keys::Type::master), signing = new_key(keys::Type::signing);
  const SealOptions making{{shared(master)}, signing};
  const ContainerParts made = make({{"model", "", View(kText)}}, making, pool);
  const Identities identities{master};
  Trust trust;
  trust.publishers = {signing->ed25519_public()};

  CHECK(fail_each("seal", [&]() -> Status {
          SealRequest request{"model",           "1",    "onnx", "2026-01-01T00:00:00Z", {{"model", "", View(kText)}},
                              making.recipients, signing};
          auto sealer = Sealer::begin(std::move(request));
          if (!sealer.ok()) return sealer.status();
          auto bytes = (*sealer)->next(1 << 20, payload::kPrefix, pool, control);
          if (!bytes.ok()) return bytes.status();
          return (*sealer)->finish().status();
        }) > 50);
  CHECK(fail_each("open", [&] { return OpenContainer::open(made.small, identities, trust).status(); }) > 20);
  CHECK(fail_each("rewrap", [&] { return rewrap(made.small, identities, trust, making.recipients).status(); }) > 20);
  CHECK(fail_each("load", [&] { return container_test::open(made.small, made.big, identities, pool, trust).status(); }) > 20);
  CHECK(fail_each("inspect", [&] { return parse_header(made.small).status(); }) > 10);
  CHECK(fail_each("check parts", [&] {
          payload::MemorySource big{View(made.big)};
          return split::check(View(made.small), big, pool, control).status();
        }) > 10);
}

TEST_CASE("reporting a lack of memory takes no memory") {
  const auto tell = [](const std::exception& error) {
    allowed = 0;
    const Status status = Status::from_exception(error);
    allowed = -1;
    return status.code;
  };
  CHECK(tell(std::bad_alloc()) == Code::OUT_OF_MEMORY);
  CHECK(tell(std::length_error("too long")) == Code::OUT_OF_MEMORY);
  CHECK(tell(std::runtime_error("something else, of which there is so much to say that it needs an allocation")) ==
        Code::OUT_OF_MEMORY);
}

TEST_CASE("jobs that throw for a lack of memory are errors of their pool's callers, on every thread") {
  work::Pool pool(3);
  const work::Control control;
  const auto task = [](uint64_t index) -> Status {
    if (index % 7 != 3) return {};
    allowed = 0;
    std::unique_ptr<std::string> never;
    try {
      never = std::make_unique<std::string>(100, 'x');
    } catch (...) {
      allowed = -1;
      throw;
    }
    return {};
  };
  CHECK(pool.parallel(100, control, task).code == Code::OUT_OF_MEMORY);
  CHECK(pool.parallel(3, control, task).ok());
}
