#include "container/sealer.h"

#include <algorithm>

#include "container/binding.h"
#include "text/text.h"

namespace mg::container {
namespace {

constexpr uint64_t kSpent = UINT64_MAX;

// Takes payload offsets; what lies before `base` goes to `head`, the rest to `out`.
class SplitSink : public payload::Sink {
 public:
  SplitSink(Bytes& head, payload::Sink& out, uint64_t base) : head_(head), out_(out), base_(base) {}
  Status write(uint64_t offset, View bytes) override {
    if (offset < base_) {
      const size_t n = size_t(std::min<uint64_t>(base_ - offset, bytes.size));
      std::memcpy(head_.data() + offset, bytes.data, n);
      offset += n;
      bytes = bytes.from(n);
    }
    return bytes.size ? out_.write(offset - base_, bytes) : Status();
  }

 private:
  Bytes& head_;
  payload::Sink& out_;
  uint64_t base_;
};

Result<std::string> random_id() {
  uint8_t id[16];
  if (auto s = crypto::random_bytes(Span(id)); !s.ok()) return s;
  return text::hex(View(id));
}

Status check_name(const char* field, const std::string& value) {
  if (text::is_name(value)) return {};
  return Status(Code::NAME_INVALID, std::string("the ") + field + " '" + value + "' does not match [a-z0-9][a-z0-9._-]{0,127}");
}

}  // namespace

Result<std::unique_ptr<Sealer>> Sealer::begin(SealRequest request) {
  for (auto& [field, value] :
       {std::pair("name", &request.name), std::pair("version", &request.version), std::pair("format", &request.format)}) {
    if (auto s = check_name(field, *value); !s.ok()) return s;
  }
  if (request.signer && request.signer->type() != keys::Type::signing)
    return Status(Code::KEY_TYPE_WRONG, std::string("a ") + keys::type_name(request.signer->type()) + " key cannot sign a model");

  std::unique_ptr<Sealer> sealer(new Sealer);
  auto source = PackedSource::create(std::move(request.inputs));
  if (!source.ok()) return source.status();
  sealer->source_ = std::move(*source);
  auto id = random_id();
  if (!id.ok()) return id.status();
  sealer->core_ = Core{request.created, request.format, request.name, *id, request.version, sealer->source_->size()};
  sealer->core_json_ = write_core(sealer->core_);
  if (auto parsed = parse_core(sealer->core_json_); !parsed.ok())
    return Status(Code::INVALID_ARGUMENT, "these facts do not make a core: " + parsed.status().what);
  auto hash = core_hash(sealer->core_json_);
  if (!hash.ok()) return hash.status();
  sealer->core_hash_ = *hash;

  auto data_key = Secret::allocate(32);
  if (!data_key.ok()) return data_key.status();
  sealer->data_key_ = std::move(*data_key);
  if (auto s = crypto::random_bytes(sealer->data_key_.reveal_mut()); !s.ok()) return s;
  const Span salt(sealer->prefix_, payload::kSalt);
  if (auto s = crypto::random_bytes(salt); !s.ok()) return s;
  auto keys = payload_keys(sealer->data_key_.reveal(), salt, sealer->core_hash_);
  if (!keys.ok()) return keys.status();
  sealer->keys_ = std::move(*keys);
  std::memcpy(sealer->prefix_ + payload::kSalt, sealer->keys_.commitment, payload::kCommitment);

  auto slots = recipients::wrap_all(request.recipients, sealer->data_key_.reveal(), sealer->core_hash_);
  if (!slots.ok()) return slots.status();
  sealer->slots_ = std::move(*slots);
  sealer->signer_ = std::move(request.signer);
  sealer->tree_ = payload::Tree(sealer->plaintext_size());

  Header header;
  header.core_json = sealer->core_json_;
  header.slots = sealer->slots_;
  if (sealer->signer_) header.signatures.push_back(Signature{Role::publisher, {}, {}});
  sealer->header_length_ = header.size();
  return sealer;
}

uint64_t Sealer::payload_length() const { return payload::payload_size(plaintext_size()); }

Status Sealer::encrypt_batches(uint64_t first, uint64_t count, payload::Sink& out, uint64_t out_base, work::Pool& pool,
                               const work::Control& control) {
  if (out_base < payload::kPrefix || out_base >= payload_length())
    return Status(Code::INVALID_ARGUMENT, "a big part cannot begin at payload byte " + std::to_string(out_base));
  if (first == 0) {
    head_.resize(size_t(out_base));
    std::memcpy(head_.data(), prefix_, sizeof prefix_);
  } else if (head_.size() != out_base) {
    return Status(Code::INVALID_ARGUMENT, "the big part has already begun elsewhere");
  }
  SplitSink split(head_, out, out_base);
  // After a failure of any kind nothing can be encrypted again under these nonces: the Sealer is then spent.
  next_batch_ = kSpent;
  auto s = payload::encrypt_range(keys_, View(prefix_), plaintext_size(), first, count, *source_, split, tree_, pool, control);
  if (s.ok()) next_batch_ = first + count;
  else release();
  return s;
}

Status Sealer::encrypt_to(payload::Sink& out, uint64_t out_base, work::Pool& pool, const work::Control& control) {
  if (next_batch_ != 0) return Status(Code::INVALID_ARGUMENT, "the payload is encrypted once, ever");
  return encrypt_batches(0, payload::batch_count(plaintext_size()), out, out_base, pool, control);
}

Result<Bytes> Sealer::next(size_t max_bytes, uint64_t out_base, work::Pool& pool, const work::Control& control) {
  const uint64_t total = payload::batch_count(plaintext_size());
  const uint64_t batch_bytes = payload::kBatchChunks * payload::kSealedChunk;
  if (next_batch_ == kSpent) return Status(Code::INVALID_ARGUMENT, "the payload is encrypted once, ever");
  while (next_batch_ < total) {
    const uint64_t first = next_batch_, count = std::min(total - first, std::max<uint64_t>(1, max_bytes / batch_bytes));
    const uint64_t begin = std::max(out_base, payload::chunk_offset(first * payload::kBatchChunks));
    const uint64_t end = std::min(payload_length(), payload::chunk_offset((first + count) * payload::kBatchChunks));
    Bytes bytes(begin < end ? size_t(end - begin) : 0);
    payload::MemorySink memory{Span(bytes)};
    // Offsets that reach the sink count from out_base; this buffer begins later.
    struct Shifted : payload::Sink {
      payload::Sink& sink;
      uint64_t by;
      Shifted(payload::Sink& s, uint64_t b) : sink(s), by(b) {}
      Status write(uint64_t offset, View v) override { return sink.write(offset - by, v); }
    } shifted(memory, begin - out_base);
    if (auto s = encrypt_batches(first, count, shifted, out_base, pool, control); !s.ok()) return s;
    if (!bytes.empty()) return bytes;
  }
  return Bytes();
}

void Sealer::release() {
  data_key_ = Secret();
  keys_.key = Secret();
  source_.reset();
}

void Sealer::abandon() {
  if (!finished_) next_batch_ = kSpent;
  release();
}

uint64_t Sealer::encrypted() const {
  return next_batch_ == kSpent ? 0 : std::min(plaintext_size(), next_batch_ * payload::kBatchChunks * payload::kChunk);
}

bool Sealer::is_closed() const { return finished_ || next_batch_ == kSpent; }

Result<Bytes> Sealer::finish() {
  if (finished_ || next_batch_ != payload::batch_count(plaintext_size()))
    return Status(Code::INVALID_ARGUMENT, "the payload is not encrypted to its end");
  if (auto s = source_->check_unchanged(); !s.ok()) {
    next_batch_ = kSpent;
    release();
    return s;
  }
  Header header;
  header.core = core_;
  header.core_json = core_json_;
  const payload::Node root = tree_.root();
  std::copy(root.begin(), root.end(), header.digest.begin());
  header.payload_length = payload_length();
  header.slots = slots_;
  if (signer_) {
    if (auto s = sign(header, Role::publisher, *signer_, core_hash_); !s.ok()) return s;
  }
  auto mac = header_mac(data_key_.reveal(), header);
  if (!mac.ok()) return mac.status();
  header.mac = *mac;
  finished_ = true;
  release();
  return header.encode();
}

}  // namespace mg::container
