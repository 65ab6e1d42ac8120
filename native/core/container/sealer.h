// Makes a container: begin() fixes core, data key and slots; the payload is encrypted once, in batches; finish() signs.
#pragma once
#include <memory>

#include "container/header.h"
#include "container/packed_source.h"
#include "payload/payload.h"
#include "recipients/slots.h"

namespace mg::container {

struct SealRequest {
  std::string name, version, format, created;
  std::vector<Input> inputs;
  std::vector<recipients::Recipient> recipients;
  std::shared_ptr<const keys::Key> signer;  // may be null
};

class Sealer {
 public:
  // Opens every input once and notes its size and identity. NAME_INVALID, SOURCE_*, LIMIT_EXCEEDED, INVALID_ARGUMENT.
  static Result<std::unique_ptr<Sealer>> begin(SealRequest request);

  const Core& core() const { return core_; }
  uint64_t plaintext_size() const { return core_.plaintext_size; }
  uint64_t payload_length() const;
  size_t header_length() const { return header_length_; }  // known before encryption: no field's size depends on it
  View prefix() const { return View(prefix_); }            // salt || commitment
  const payload::Tree& tree() const { return tree_; }

  // Everything to `out`, whose byte 0 is payload byte `out_base` (>= 56). Chunk bytes before out_base are kept
  // in head(), so that head() is payload bytes [0, out_base).
  Status encrypt_to(payload::Sink& out, uint64_t out_base, work::Pool& pool, const work::Control& control);

  // The same as a stream: the next sealed bytes from out_base on, in order, about max(1 MiB, max_bytes); empty at the end.
  Result<Bytes> next(size_t max_bytes, uint64_t out_base, work::Pool& pool, const work::Control& control);

  const Bytes& head() const { return head_; }
  // After the last chunk: checks that no input changed, then digest, signature, mac. SOURCE_CHANGED.
  Result<Bytes> finish();
  uint64_t encrypted() const;  // plaintext bytes so far
  // Releases keys and inputs. Every further step is refused.
  void abandon();
  // After finish(), abandon() or a failure: keys and inputs are released, and every further step is refused.
  bool is_closed() const;

 private:
  Sealer() = default;
  void release();
  Status encrypt_batches(uint64_t first, uint64_t count, payload::Sink& out, uint64_t out_base, work::Pool& pool,
                         const work::Control& control);
  Core core_;
  Bytes core_json_;
  crypto::Sha384 core_hash_{};
  Secret data_key_;
  payload::Keys keys_;
  uint8_t prefix_[payload::kPrefix];
  std::vector<recipients::Slot> slots_;
  std::shared_ptr<const keys::Key> signer_;
  std::unique_ptr<PackedSource> source_;
  payload::Tree tree_{0};
  Bytes head_;
  size_t header_length_ = 0;
  uint64_t next_batch_ = 0;  // a chunk is encrypted once, ever: batches are handed out in order and never again
  bool finished_ = false;
};

}  // namespace mg::container
