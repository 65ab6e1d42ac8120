#include <algorithm>
#include <cmath>

#include "crypto/crypto.h"
#include "crypto/secret_buffer.h"
#include "legacy/legacy.h"
#include "memory/region.h"

namespace mg::legacy {
namespace {

constexpr uint64_t kPiece = uint64_t(1) << 20;

// The same words for every failure: which check failed is what a padding oracle needs.
Status failed() { return Status(Code::LEGACY_FAILED, "the artifact does not decrypt with this key"); }

Result<Secret> aes_key(const keys::Key& key) {
  if (key.type() != keys::Type::legacy) {
    return Status(Code::KEY_TYPE_WRONG,
                  std::string("a ") + keys::type_name(key.type()) + " key is no key string of the legacy profile");
  }
  auto out = Secret::allocate(32);
  if (!out.ok()) return out.status();
  if (auto s = crypto::digest(crypto::Hash::sha256, {key.secret().reveal()}, out->reveal_mut()); !s.ok()) return s;
  return out;
}

// 1 if a < b, else 0; both below 2^31. No branch.
uint32_t less(uint32_t a, uint32_t b) { return (a - b) >> 31; }

// RFC 5652, 6.3: n bytes of value n, 1 to 16. Looks at all 16 bytes in every case. 0 where they are no padding.
size_t padding(View block) {
  const uint32_t n = block[kBlock - 1];
  uint32_t wrong = less(n, 1) | less(kBlock, n);
  for (uint32_t i = 0; i < kBlock; i++) wrong |= (0 - less(i, n)) & (block[kBlock - 1 - i] ^ n);
  return wrong ? 0 : n;
}

}  // namespace

uint64_t sealed_size(uint64_t plain) { return kIv + (plain / kBlock + 1) * kBlock; }

Result<std::unique_ptr<Decrypted>> Decrypted::open(std::shared_ptr<payload::Source> artifact, KeyString key) {
  auto aes = aes_key(*key);
  if (!aes.ok()) return aes.status();
  return open_with(std::move(*aes), std::move(artifact));
}

Result<std::unique_ptr<Decrypted>> Decrypted::open_with(Secret aes_key, std::shared_ptr<payload::Source> artifact) {
  std::unique_ptr<Decrypted> opened(new Decrypted(std::move(aes_key), std::move(artifact)));
  const uint64_t total = opened->artifact_->size();
  if (total < kIv + kBlock || total % kBlock != 0) return failed();
  uint8_t end[2 * kBlock];  // the block before the last, which may be the IV, and the last
  if (auto s = opened->artifact_->read(total - sizeof end, Span(end)); !s.ok()) return s;
  crypto::SecretBuffer<kBlock> last;
  auto s = crypto::cbc_decrypt(opened->aes_key_.reveal(), View(end).sub(0, kBlock), View(end).from(kBlock), last.span());
  if (!s.ok()) return s;
  const size_t padded = padding(last.view());
  if (padded == 0) return failed();
  opened->size_ = total - kIv - padded;
  return opened;
}

// Block i is ciphertext block i, decrypted, XOR the one before it. Whole blocks are read to their place and decrypted there; only
// where the range begins or ends within a block is that block decrypted elsewhere.
Status Decrypted::read(uint64_t offset, Span out) {
  if (offset > size_ || out.size > size_ - offset)
    return Status(Code::CONTAINER_TRUNCATED, "the artifact ends before the bytes that were asked for");
  for (size_t done = 0; done < out.size;) {
    const uint64_t at = offset + done, block = at / kBlock * kBlock;
    const size_t skip = size_t(at - block), left = out.size - done;
    const bool whole = skip == 0 && left >= kBlock;
    const size_t length = whole ? left / kBlock * kBlock : std::min(left, kBlock - skip);
    crypto::SecretBuffer<kBlock> part;
    const Span into = whole ? out.sub(done, length) : part.span();
    uint8_t before[kBlock];
    Status status = artifact_->read(block, Span(before));
    if (status.ok()) status = artifact_->read(block + kIv, into);
    if (status.ok()) status = crypto::cbc_decrypt(aes_key_.reveal(), View(before), into, into);
    if (!status.ok()) return status;
    if (!whole) std::memcpy(out.data + done, part.view().data + skip, length);
    done += length;
  }
  return {};
}

Status load(Decrypted& from, Span out, work::Pool& pool, const work::Control& control) {
  if (out.size != from.size()) return Status(Code::INTERNAL, "a place of the wrong size for a legacy artifact");
  work::Progress progress(control);
  auto s = pool.parallel((out.size + kPiece - 1) / kPiece, control, [&](uint64_t i) {
    const size_t at = size_t(i * kPiece), length = std::min(out.size - at, size_t(kPiece));
    Status status = from.read(at, out.sub(at, length));
    if (status.ok()) progress.add(length);
    return status;
  });
  return s.ok() ? from.check_unchanged() : s;
}

Status encrypt(payload::Source& plain, payload::Sink& out, KeyString key, const work::Control& control) {
  auto aes = aes_key(*key);
  if (!aes.ok()) return aes.status();
  uint8_t iv[kIv];
  if (auto s = crypto::random_bytes(Span(iv)); !s.ok()) return s;
  return encrypt_with(aes->reveal(), View(iv), plain, out, control);
}

Result<crypto::Sha256> sha256(Decrypted& from, const work::Control& control) {
  const uint64_t size = from.size();
  auto buffer = Region::allocate(size_t(std::min(size, kPiece)));
  if (!buffer.ok()) return buffer.status();
  work::Progress progress(control);
  crypto::Sha256Stream hash;
  for (uint64_t done = 0; done < size;) {
    if (control.cancelled.load(std::memory_order_relaxed)) return Status(Code::ABORT_ERR, "the operation was cancelled");
    const Span piece(buffer->data(), size_t(std::min(size - done, kPiece)));
    if (auto s = from.read(done, piece); !s.ok()) return s;
    hash.add(piece);
    progress.add(piece.size);
    done += piece.size;
  }
  return hash.finish();
}

Status encrypt_with(View aes_key, View iv, payload::Source& plain, payload::Sink& out, const work::Control& control) {
  if (iv.size != kIv) return Status(Code::INTERNAL, "an initialisation vector of the wrong size");
  const uint64_t size = plain.size();
  auto buffer = Region::allocate(size_t(std::min(size, kPiece)) + kBlock);
  if (!buffer.ok()) return buffer.status();
  work::Progress progress(control);
  uint8_t chain[kIv];
  std::memcpy(chain, iv.data, kIv);
  Status status = out.write(0, iv);
  for (uint64_t done = 0; status.ok();) {
    if (control.cancelled.load(std::memory_order_relaxed)) return Status(Code::ABORT_ERR, "the operation was cancelled");
    const size_t length = size_t(std::min(size - done, kPiece));
    const bool last = done + length == size;
    const size_t padded = last ? kBlock - length % kBlock : 0;
    const Span piece(buffer->data(), length + padded);
    std::memset(piece.data + length, int(padded), padded);
    status = plain.read(done, piece.sub(0, length));
    if (status.ok()) status = crypto::cbc_encrypt(aes_key, View(chain), piece, piece);
    if (status.ok()) status = out.write(kIv + done, piece);
    if (!status.ok()) break;
    std::memcpy(chain, piece.data + piece.size - kIv, kIv);
    progress.add(length);
    done += length;
    if (last) return plain.check_unchanged();
  }
  return status;
}

uint64_t small_size(uint64_t artifact, double ratio) {
  return uint64_t(std::min(double(kMaxSmall), std::floor(ratio * double(artifact))));
}

}  // namespace mg::legacy
