#include <algorithm>
#include <utility>

#include "crypto/crypto.h"
#include "crypto/secret_buffer.h"
#include "legacy/legacy.h"
#include "text/text.h"

namespace mg::legacy {
namespace {

constexpr size_t kDigest = 48;

void write_hex(View bytes, uint8_t* out) {
  for (uint8_t byte : bytes) {
    *out++ = uint8_t("0123456789abcdef"[byte >> 4]);
    *out++ = uint8_t("0123456789abcdef"[byte & 15]);
  }
}

// RFC 4648, section 4. 48 bytes are 64 characters and need no padding.
void write_base64(View bytes, Span out) {
  text::base64url_encode(bytes, out);
  for (size_t i = 0; i < out.size; i++) {
    if (out.data[i] == '-') out.data[i] = '+';
    if (out.data[i] == '_') out.data[i] = '/';
  }
}

Result<KeyString> digest_string(std::initializer_list<View> parts, Encoding encoding) {
  crypto::SecretBuffer<kDigest> digest;
  if (auto s = crypto::digest(crypto::Hash::sha384, parts, digest.span()); !s.ok()) return s;
  crypto::SecretBuffer<kDigest * 2> text;
  const size_t size = encoding == Encoding::hex ? kDigest * 2 : kDigest / 3 * 4;
  if (encoding == Encoding::hex) write_hex(digest.view(), text.span().data);
  else write_base64(digest.view(), text.span(size));
  return key_string(text.view(size));
}

}  // namespace

Result<KeyString> key_string(View text) { return keys::Key::from_bytes(keys::Type::legacy, text); }

Result<KeyString> resource_key(View salt, Encoding encoding) { return digest_string({salt}, encoding); }

Result<KeyString> hardware_hash(View fingerprint, View salt, Encoding encoding) {
  return digest_string({View("Azaion_"), fingerprint, salt}, encoding);
}

Result<KeyString> download_key(View email, View password, View hardware_hash, View salt, Encoding encoding) {
  return digest_string({email, password, hardware_hash, salt}, encoding);
}

Result<Secret> fingerprint_text(const hardware::Machine& machine) {
  using hardware::Kind;
  constexpr std::pair<const char*, Kind> kFields[] = {
      {"CPU: ", Kind::cpu}, {". GPU: ", Kind::gpu}, {". Memory: ", Kind::memory}, {". DriveSerial: ", Kind::drive}};
  bool any = false;
  size_t size = 0;
  for (const auto& [label, kind] : kFields) {
    any |= machine.factor(kind).present();
    size += std::string_view(label).size() + machine.factor(kind).value.size();
  }
  if (!any) return Status(Code::HARDWARE_UNREADABLE, "neither processor, graphics, memory nor drive of this machine can be read");
  auto out = Secret::allocate(size);
  if (!out.ok()) return out;
  uint8_t* to = out->reveal_mut().data;
  for (const auto& [label, kind] : kFields) {
    for (View part : {View(label), machine.factor(kind).value.reveal()}) to = std::copy(part.begin(), part.end(), to);
  }
  return out;
}

}  // namespace mg::legacy
