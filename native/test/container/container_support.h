// Containers to test with, and opening them the way the addon does.
#pragma once
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "container/opener.h"
#include "container/sealer.h"
#include "split/split.h"
#include "support/scale.h"

namespace container_test {

using namespace mg;
using namespace mg::container;
using namespace mg::recipients;

inline std::shared_ptr<const keys::Key> new_key(keys::Type type) {
  auto key = keys::Key::generate(type);
  REQUIRE(key.ok());
  return *key;
}

inline Recipient shared(std::shared_ptr<const keys::Key> key) {
  auto recipient = shared_recipient(std::move(key));
  REQUIRE(recipient.ok());
  return *recipient;
}
inline Recipient device(const keys::Key& key) {
  auto recipient = public_recipient(*find_kind("x25519"), View(key.x25519_public()));
  REQUIRE(recipient.ok());
  return *recipient;
}

struct ContainerParts {
  Bytes small, big;
  size_t header_size;
  Bytes whole() const {
    Bytes all = small;
    append(all, View(big));
    return all;
  }
};

struct SealOptions {
  std::vector<Recipient> recipients;
  std::shared_ptr<const keys::Key> signer;
  std::string name = "model", version = "1";
  split::Rule rule{};
};

inline ContainerParts make(const std::vector<Input>& inputs, const SealOptions& making, work::Pool& pool) {
  const work::Control control;
  SealRequest request{making.name, making.version, "onnx", "2026-01-01T00:00:00Z", inputs, making.recipients, making.signer};
  auto sealer = Sealer::begin(std::move(request));
  REQUIRE_MESSAGE(sealer.ok(), sealer.status().what);
  const size_t header = (*sealer)->header_length();
  auto cut = split::cut(header, (*sealer)->payload_length(), making.rule);
  REQUIRE(cut.ok());
  const uint64_t base = *cut - header;
  Bytes big(size_t((*sealer)->payload_length() - base));
  payload::MemorySink sink{Span(big)};
  REQUIRE((*sealer)->encrypt_to(sink, base, pool, control).ok());
  auto bytes = (*sealer)->finish();
  REQUIRE(bytes.ok());
  REQUIRE(bytes->size() == header);
  ContainerParts made{std::move(*bytes), std::move(big), header};
  append(made.small, View((*sealer)->head()));
  return made;
}

inline Result<std::vector<LoadedFile>> open(View small, View big, const Identities& identities, work::Pool& pool,
                                            const Trust& trust = {}) {
  const work::Control control;
  auto opened = OpenContainer::open(small, identities, trust);
  if (!opened.ok()) return opened.status();
  const View head = small.from((*opened)->header().size());
  payload::MemorySource first(head), second(big);
  payload::JoinedSource joined(first, second);
  return (*opened)->load(joined, head.size, pool, control);
}

}  // namespace container_test
