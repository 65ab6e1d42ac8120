// A header either is refused or encodes to the very bytes that were parsed; header_length() agrees with parse_header().
#include <algorithm>
#include <string>

#include "container/header.h"
#include "payload/layout.h"
#include "require.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

using namespace mg;
using namespace mg::container;

Bytes sample(unsigned choice) {  // where every corpus starts; no seed files to keep in step with the format
  Header header;
  header.core = {"2025-01-31T12:00:00Z", "onnx", "m", std::string(32, 'a'), "1", 16384 + uint64_t(choice)};
  header.core_json = write_core(header.core);
  header.payload_length = payload::payload_size(header.core.plaintext_size);
  for (uint16_t type = 1; type <= 4; type++) {
    if ((choice >> type & 1) != 0) continue;
    recipients::Slot slot;
    slot.type = type;
    slot.body.resize(type == 3 ? 65 : 80, 17);
    if ((choice & 32) != 0) slot.policy = recipients::Policy{10, 20, 15, {}, {}};
    header.slots.push_back(slot);
  }
  if ((choice & 64) != 0) header.signatures.push_back(Signature{Role::publisher, {}, {}});
  if ((choice & 128) != 0) header.signatures.push_back(Signature{Role::lease, {}, {}});
  return header.encode();
}

// Makes the lengths add up again, so that mutations reach what lies behind them.
void repair(uint8_t* data, size_t size) {
  uint32_t core = read_be<uint32_t>(data + 14), signatures = data[25] % 3 * 73;
  if (core > size || size - core < 114 + signatures) return;
  write_be(data + 10, uint32_t(size));
  write_be(data + 18, uint32_t(size - 114 - core - signatures));
  write_be(data + 22, signatures);
  Result<Core> parsed = parse_core(View(data + 26, core));
  if (parsed.ok()) write_be(data + 58 + core, payload::payload_size(parsed->plaintext_size));
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
  if (size < 114) {
    Bytes start = sample(seed & 0xFF);
    if (start.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
    std::copy(start.begin(), start.end(), data);
    return start.size();
  }
  size = LLVMFuzzerMutate(data, size, max_size);
  if ((seed >> 8) % 4 != 0 && size >= 114) repair(data, size);
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  View input(data, size);
  Result<size_t> length = header_length(input);
  Result<Header> header = parse_header(input);
  if (!header.ok()) {
    require(!header.status().what.empty(), "an error says nothing");
    if (!length.ok()) require(length.status().code == header.status().code, "the two errors differ");
    return 0;
  }
  require(length.ok() && *length == header->size(), "the lengths differ");
  require(*length <= size && *length <= kMaxHeader, "a header longer than the input or the limit");
  require(equal(header->encode(), input.sub(0, *length)), "the header is encoded differently");
  require(parse_core(write_core(header->core)).ok(), "the core does not parse again");
  require(equal(write_core(header->core), header->core_json), "the core is written differently");
  return 0;
}
