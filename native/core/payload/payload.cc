#include "payload/payload.h"

#include <algorithm>
#include <memory>
#include <new>

namespace mg::payload {

namespace {

constexpr char kLabel[] = "c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM";  // its final zero is the label's separator
constexpr size_t kNonce = 12;

Status invalid(const char* what) { return Status(Code::INVALID_ARGUMENT, what); }

// Some chunks within one batch.
struct Run {
  uint64_t plaintext_size, first, count;

  static Run of_batch(uint64_t plaintext_size, uint64_t index) {
    uint64_t first = index * kBatchChunks;
    return {plaintext_size, first, std::min(kBatchChunks, chunk_count(plaintext_size) - first)};
  }
  uint64_t plain_offset() const { return first * kChunk; }
  size_t plain_size() const { return size_t((count - 1) * kChunk + plain_length(plaintext_size, first + count - 1)); }
  size_t sealed_size() const { return plain_size() + size_t(count * kTag); }
};

size_t largest_plain(uint64_t plaintext_size) { return size_t(std::min(plaintext_size, kBatchChunks * kChunk)); }
size_t largest_sealed(uint64_t plaintext_size) {
  return largest_plain(plaintext_size) + size_t(std::min(chunk_count(plaintext_size), kBatchChunks) * kTag);
}

// Ciphertext: ordinary memory, not zeroed first.
class Buffer {
 public:
  Status reserve(size_t size) {
    if (size <= size_) return Status();
    bytes_.reset(new (std::nothrow) uint8_t[size]);
    size_ = bytes_ ? size : 0;
    if (!bytes_) return Status(Code::OUT_OF_MEMORY, "no memory for a batch of chunks");
    return Status();
  }
  Span span(size_t size) { return Span(bytes_.get(), size); }

 private:
  std::unique_ptr<uint8_t[]> bytes_;
  size_t size_ = 0;
};

// The buffers of one thread; made for its first batch, used again for the next.
struct Worker {
  std::optional<crypto::Gcm> gcm;
  Buffer sealed;
  Region plain;
};

class Workers {
 public:
  class Lease {
   public:
    Lease(Workers& owner, std::unique_ptr<Worker> worker) : owner_(owner), worker_(std::move(worker)) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() {
      std::lock_guard<std::mutex> lock(owner_.mutex_);
      owner_.idle_.push_back(std::move(worker_));
    }
    Worker& operator*() { return *worker_; }

   private:
    Workers& owner_;
    std::unique_ptr<Worker> worker_;
  };

  Lease take() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (idle_.empty()) {
      idle_.reserve(made_ + 1);  // so that returning it cannot fail
      auto worker = std::make_unique<Worker>();
      made_++;
      return Lease(*this, std::move(worker));
    }
    std::unique_ptr<Worker> worker = std::move(idle_.back());
    idle_.pop_back();
    return Lease(*this, std::move(worker));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Worker>> idle_;
  size_t made_ = 0;
};

Status need_cipher(Worker& worker, const Keys& keys) {
  if (worker.gcm) return Status();
  Result<crypto::Gcm> gcm = crypto::Gcm::create(keys.key.reveal());
  if (!gcm.ok()) return gcm.status();
  worker.gcm.emplace(std::move(*gcm));
  return Status();
}

Status need_plain(Worker& worker, size_t size) {
  if (worker.plain.size() >= size) return Status();
  Result<Region> region = Region::allocate(size);
  if (!region.ok()) return region.status();
  worker.plain = std::move(*region);
  return Status();
}

Status note_node(View prefix, View sealed, uint64_t batch, Tree& tree) {
  Result<Node> node = Tree::hash_batch(batch == 0 ? prefix : View(), sealed);
  if (!node.ok()) return node.status();
  tree.set(batch, *node);
  return Status();
}

Status encrypt_with(Worker& worker, const Keys& keys, View prefix, uint64_t plaintext_size, uint64_t index, Source& plain,
                    Sink& out, Tree& tree) {
  const Run run = Run::of_batch(plaintext_size, index);
  Status status = need_cipher(worker, keys);
  if (status.ok()) status = need_plain(worker, largest_plain(plaintext_size));
  if (status.ok()) status = worker.sealed.reserve(largest_sealed(plaintext_size));
  if (!status.ok()) return status;
  const Span text(worker.plain.data(), run.plain_size());
  const Span sealed = worker.sealed.span(run.sealed_size());
  status = plain.read(run.plain_offset(), text);
  for (uint64_t k = 0; status.ok() && k < run.count; k++) {
    uint8_t nonce[kNonce];
    chunk_nonce(keys.base_nonce, run.first + k, nonce);
    View chunk = View(text).sub(size_t(k * kChunk), size_t(plain_length(plaintext_size, run.first + k)));
    if (!worker.gcm->seal(View(nonce), View(), chunk, sealed.data + k * kSealedChunk))
      status = Status(Code::INTERNAL, "the cipher failed");
  }
  if (status.ok()) status = note_node(prefix, sealed, index, tree);
  if (status.ok()) status = out.write(chunk_offset(run.first), sealed);
  return status;
}

Status check_sizes(uint64_t plaintext_size, uint64_t first, uint64_t count, uint64_t all) {
  if (plaintext_size > kMaxPlaintext) return invalid("a payload's plaintext has fewer than 2^52 bytes");
  if (first > all || count > all - first) return invalid("the range lies outside the payload");
  return Status();
}

// Decrypts chunks of `run` that lie in `sealed`; place(chunk) is the destination.
template <class Place>
Status open_run(crypto::Gcm& gcm, const Keys& keys, const Run& run, View sealed, const Place& place) {
  for (uint64_t k = 0; k < run.count; k++) {
    const size_t length = size_t(plain_length(run.plaintext_size, run.first + k));
    uint8_t nonce[kNonce], nothing[1];
    chunk_nonce(keys.base_nonce, run.first + k, nonce);
    uint8_t* to = length == 0 ? nothing : place(run.first + k);
    if (gcm.open(View(nonce), View(), sealed.sub(size_t(k * kSealedChunk), length + size_t(kTag)), to)) continue;
    if (length > 0) crypto::wipe(Span(to, length));
    return Status(Code::INTEGRITY_FAILED, "a chunk of the payload is not authentic");
  }
  return Status();
}

// The sealed chunks of `run`. With a verified tree the whole batch around them is read and compared with its node first.
Result<View> fetch(Worker& worker, View prefix, const Run& run, Source& sealed, const Tree* verified) {
  const uint64_t batch = run.first / kBatchChunks;
  const Run fetched = verified != nullptr ? Run::of_batch(run.plaintext_size, batch) : run;
  Status status = worker.sealed.reserve(fetched.sealed_size());
  if (!status.ok()) return status;
  const Span bytes = worker.sealed.span(fetched.sealed_size());
  status = sealed.read(chunk_offset(fetched.first), bytes);
  if (!status.ok()) return status;
  if (verified != nullptr) {
    Result<Node> node = Tree::hash_batch(batch == 0 ? prefix : View(), bytes);
    if (!node.ok()) return node.status();
    if (*node != verified->node(batch)) return Status(Code::DIGEST_MISMATCH, "chunks of the payload are not those of the digest");
  }
  return View(bytes).sub(size_t((run.first - fetched.first) * kSealedChunk), run.sealed_size());
}

// `attempt` reads and decrypts `run`; once more if that finds damage and the source can be renewed.
template <class Attempt>
Status with_reread(Source& sealed, const Run& run, RereadBudget* rereads, const Attempt& attempt) {
  Status status = attempt();
  if (status.code != Code::INTEGRITY_FAILED && status.code != Code::DIGEST_MISMATCH) return status;
  if (rereads == nullptr || !rereads->take() || !sealed.renew(chunk_offset(run.first), run.sealed_size())) return status;
  return attempt();
}

}  // namespace

bool RereadBudget::take() {
  unsigned left = left_.load();
  while (left > 0 && !left_.compare_exchange_weak(left, left - 1)) {
  }
  return left > 0;
}

Result<Keys> derive(View data_key, View salt, View context) {
  if (data_key.size != 32) return Status(Code::KEY_INVALID, "a data key has 32 bytes");
  if (salt.size != kSalt) return invalid("a payload's salt has 24 bytes");
  Bytes info;
  append(info, View(reinterpret_cast<const uint8_t*>(kLabel), sizeof kLabel));
  append(info, salt);
  append(info, context);
  Result<Secret> all = Secret::allocate(32 + kNonce + kCommitment);
  if (!all.ok()) return all.status();
  Status status = crypto::hkdf_expand(crypto::Hash::sha512, data_key, View(info), all->reveal_mut());
  if (!status.ok()) return status;
  const View bytes = all->reveal();
  Result<Secret> key = Secret::copy(bytes.sub(0, 32));
  if (!key.ok()) return key.status();
  Keys keys;
  keys.key = std::move(*key);
  std::copy_n(bytes.data + 32, kNonce, keys.base_nonce);
  std::copy_n(bytes.data + 32 + kNonce, size_t(kCommitment), keys.commitment);
  return Result<Keys>(std::move(keys));
}

void chunk_nonce(const uint8_t base_nonce[12], uint64_t chunk, uint8_t nonce[12]) {
  std::copy_n(base_nonce, kNonce, nonce);
  for (size_t i = 0; i < 8; i++) nonce[kNonce - 1 - i] ^= uint8_t(chunk >> (8 * i));
}

Status encrypt_range(const Keys& keys, View prefix, uint64_t plaintext_size, uint64_t first_batch, uint64_t count, Source& plain,
                     Sink& out, Tree& tree, work::Pool& pool, const work::Control& control) {
  if (prefix.size != kPrefix) return invalid("the payload's prefix has 56 bytes");
  Status status = check_sizes(plaintext_size, first_batch, count, batch_count(plaintext_size));
  if (!status.ok()) return status;
  Workers workers;
  work::Progress progress(control);
  return pool.parallel(count, control, [&](uint64_t i) {
    const uint64_t batch = first_batch + i;
    Workers::Lease worker = workers.take();
    Status done = encrypt_with(*worker, keys, prefix, plaintext_size, batch, plain, out, tree);
    if (done.ok()) progress.add(Run::of_batch(plaintext_size, batch).plain_size());
    return done;
  });
}

Status hash_all(View prefix, uint64_t plaintext_size, Source& sealed, Tree& tree, work::Pool& pool,
                const work::Control& control) {
  if (prefix.size != kPrefix) return invalid("the payload's prefix has 56 bytes");
  Status status = check_sizes(plaintext_size, 0, 0, 0);
  if (!status.ok()) return status;
  Workers workers;
  work::Progress progress(control);
  return pool.parallel(batch_count(plaintext_size), control, [&](uint64_t i) {
    const Run run = Run::of_batch(plaintext_size, i);
    Workers::Lease worker = workers.take();
    Status done = (*worker).sealed.reserve(largest_sealed(plaintext_size));
    if (!done.ok()) return done;
    const Span bytes = (*worker).sealed.span(run.sealed_size());
    done = sealed.read(chunk_offset(run.first), bytes);
    if (done.ok()) done = note_node(prefix, bytes, i, tree);
    if (done.ok()) progress.add(run.plain_size());
    return done;
  });
}

Status decrypt_range(const Keys& keys, uint64_t plaintext_size, uint64_t first, uint64_t count, Source& sealed, Target& target,
                     Tree* tree, View prefix, work::Pool& pool, const work::Control& control, const BatchChecks& checks) {
  const uint64_t chunks = chunk_count(plaintext_size);
  Status status = check_sizes(plaintext_size, first, count, chunks);
  if (!status.ok() || count == 0) return status;
  const uint64_t end = first + count, first_batch = first / kBatchChunks, last_batch = (end - 1) / kBatchChunks;
  if ((tree != nullptr || checks.verified != nullptr) && prefix.size != kPrefix)
    return invalid("the payload's prefix has 56 bytes");
  if (tree != nullptr) {
    if (first % kBatchChunks != 0 || (end % kBatchChunks != 0 && end != chunks)) return invalid("a tree takes whole batches");
  }
  Workers workers;
  work::Progress progress(control);
  return pool.parallel(last_batch - first_batch + 1, control, [&](uint64_t i) {
    const uint64_t batch = first_batch + i, from = std::max(first, batch * kBatchChunks);
    const Run run{plaintext_size, from, std::min(end, (batch + 1) * kBatchChunks) - from};
    Workers::Lease lease = workers.take();
    Worker& worker = *lease;
    Status done = need_cipher(worker, keys);
    if (done.ok()) done = worker.sealed.reserve(largest_sealed(plaintext_size));
    if (!done.ok()) return done;
    done = with_reread(sealed, checks.verified != nullptr ? Run::of_batch(plaintext_size, batch) : run, checks.rereads, [&] {
      Result<View> chunks = fetch(worker, prefix, run, sealed, checks.verified);
      if (!chunks.ok()) return chunks.status();
      Status opened = open_run(*worker.gcm, keys, run, *chunks, [&](uint64_t chunk) { return target.at(chunk); });
      return opened.ok() && tree != nullptr ? note_node(prefix, *chunks, batch, *tree) : opened;
    });
    if (done.ok()) progress.add(run.plain_size());
    return done;
  });
}

namespace {

// The part of [offset, offset + out.size) that lies in batch `batch`, checked and decrypted into `out`.
Status read_batch(Worker& worker, const Keys& keys, View prefix, uint64_t plaintext_size, Source& sealed, const Tree* tree,
                  uint64_t batch, uint64_t offset, Span out) {
  const Run whole = Run::of_batch(plaintext_size, batch);
  const uint64_t begin = std::max(offset, whole.plain_offset());
  const uint64_t end = std::min(offset + out.size, whole.plain_offset() + whole.plain_size());
  const Run run{plaintext_size, begin / kChunk, (end - 1) / kChunk - begin / kChunk + 1};
  Status status = need_cipher(worker, keys);
  if (status.ok()) status = need_plain(worker, size_t(kChunk));
  if (!status.ok()) return status;
  Result<View> chunks = fetch(worker, prefix, run, sealed, tree);
  if (!chunks.ok()) return chunks.status();
  for (uint64_t k = run.first; k < run.first + run.count; k++) {
    const uint64_t from = std::max(begin, k * kChunk), length = plain_length(plaintext_size, k);
    const uint64_t to = std::min(end, k * kChunk + length);
    const bool entire = to - from == length;
    uint8_t* goal = out.data + (from - offset);
    const View chunk = chunks->sub(size_t((k - run.first) * kSealedChunk), size_t(length + kTag));
    status = open_run(*worker.gcm, keys, Run{plaintext_size, k, 1}, chunk,
                      [&](uint64_t) { return entire ? goal : worker.plain.data(); });
    if (!status.ok()) return status;
    if (!entire) std::copy_n(worker.plain.data() + (from - k * kChunk), size_t(to - from), goal);
  }
  return Status();
}

// A payload that lost its end also lost its short last chunk.
Status check_end(Worker& worker, const Keys& keys, uint64_t plaintext_size, Source& sealed) {
  const Run last{plaintext_size, chunk_count(plaintext_size) - 1, 1};
  Status status = need_cipher(worker, keys);
  if (status.ok()) status = need_plain(worker, size_t(kChunk));
  if (!status.ok()) return status;
  Result<View> chunk = fetch(worker, View(), last, sealed, nullptr);
  if (!chunk.ok()) return chunk.status();
  return open_run(*worker.gcm, keys, last, *chunk, [&](uint64_t) { return worker.plain.data(); });
}

}  // namespace

Status Reader::read(uint64_t offset, Span out, work::Pool& pool, const work::Control& control, Source* from) {
  Source& sealed = from ? *from : sealed_;
  if (plaintext_size_ > kMaxPlaintext) return invalid("a payload's plaintext has fewer than 2^52 bytes");
  if (offset > plaintext_size_ || out.size > plaintext_size_ - offset) return invalid("the range lies outside the model");
  Workers workers;
  Status status;
  if (!end_checked_.load(std::memory_order_acquire)) {
    Workers::Lease worker = workers.take();
    status = check_end(*worker, keys_, plaintext_size_, sealed);
    if (status.ok()) end_checked_.store(true, std::memory_order_release);
  }
  if (status.ok() && out.size > 0) {
    const uint64_t unit = kBatchChunks * kChunk, first = offset / unit, last = (offset + out.size - 1) / unit;
    work::Progress progress(control);
    status = pool.parallel(last - first + 1, control, [&](uint64_t i) {
      Workers::Lease worker = workers.take();
      const uint64_t from = std::max(offset, (first + i) * unit), to = std::min(offset + out.size, (first + i + 1) * unit);
      Status done = read_batch(*worker, keys_, View(prefix_), plaintext_size_, sealed, tree_, first + i, offset, out);
      if (done.ok()) progress.add(to - from);
      return done;
    });
  }
  if (!status.ok()) crypto::wipe(out);
  return status;
}

}  // namespace mg::payload
