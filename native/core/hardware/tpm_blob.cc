#include "hardware/tpm_blob.h"

#include "hardware/tpm.h"

namespace mg::hardware::tpm {
namespace {

// The fields of the public area (TPM 2.0 Library, part 2, section 12.2.4), each big-endian.
constexpr uint8_t kHead[] = {
    0x00, 0x08,              // type: KEYEDHASH
    0x00, 0x0b,              // name algorithm: SHA-256
    0x00, 0x00, 0x04, 0x92,  // fixedTPM, fixedParent, adminWithPolicy, noDA; not userWithAuth: only the policy opens it
    0x00, 0x20,              // size of the policy
};
constexpr uint8_t kScheme[] = {0x00, 0x10};  // NULL: data, no key
constexpr size_t kUnique = 32;
constexpr size_t kPolicyAt = 2 + sizeof kHead, kUniqueAt = kPolicyAt + kPolicy + sizeof kScheme;
constexpr size_t kPublic = kUniqueAt + 2 + kUnique;

Status no_blob() { return Status(Code::KEY_INVALID, "the TPM value is damaged, or another program made it"); }

bool is_public_area(View bytes) {
  return bytes.size == kPublic && read_be<uint16_t>(bytes.data) == kPublic - 2 && equal(bytes.sub(2, sizeof kHead), kHead) &&
         equal(bytes.sub(kPolicyAt + kPolicy, sizeof kScheme), kScheme) && read_be<uint16_t>(bytes.data + kUniqueAt) == kUnique;
}

bool is_private_area(View bytes) { return bytes.size > 2 && read_be<uint16_t>(bytes.data) == bytes.size - 2; }

bool is_name(View bytes) {
  if (bytes.size < 2) return false;
  switch (read_be<uint16_t>(bytes.data)) {
    case 0x000b: return bytes.size == 2 + 32;  // SHA-256
    case 0x000c: return bytes.size == 2 + 48;  // SHA-384
    case 0x000d: return bytes.size == 2 + 64;  // SHA-512
    default: return false;
  }
}

void append_sized(Bytes& out, View part) {
  append_be(out, uint16_t(part.size));
  append(out, part);
}

// Takes `u16 length ‖ that many bytes` from the front.
bool take_sized(View* rest, View* part) {
  if (rest->size < 2) return false;
  const size_t size = read_be<uint16_t>(rest->data);
  if (rest->size - 2 < size) return false;
  *part = rest->sub(2, size);
  *rest = rest->from(2 + size);
  return true;
}

}  // namespace

bool is_pcrs(uint32_t pcrs) { return pcrs != 0 && pcrs >> 24 == 0; }

Bytes sealed_template(View policy) {
  Bytes area;
  append(area, kHead);
  append(area, policy);
  append(area, kScheme);
  append_be(area, uint16_t(0));
  Bytes out;
  append_sized(out, area);
  return out;
}

Bytes Blob::encode() const {
  Bytes out;
  append_be(out, pcrs);
  append_sized(out, parent);
  append_sized(out, public_area);
  append_sized(out, private_area);
  return out;
}

View Blob::policy() const { return View(public_area).sub(kPolicyAt, kPolicy); }

Result<Blob> parse_blob(View bytes) {
  if (bytes.size < 4 || bytes.size > kMaxBlob) return no_blob();
  Blob blob;
  blob.pcrs = read_be<uint32_t>(bytes.data);
  View rest = bytes.from(4), parent, public_area, private_area;
  const bool whole = take_sized(&rest, &parent) && take_sized(&rest, &public_area) && take_sized(&rest, &private_area);
  if (!whole || rest.size || !is_pcrs(blob.pcrs)) return no_blob();
  if (!is_name(parent) || !is_public_area(public_area) || !is_private_area(private_area)) return no_blob();
  blob.parent = parent.copy();
  blob.public_area = public_area.copy();
  blob.private_area = private_area.copy();
  return blob;
}

bool is_blob(View blob) { return parse_blob(blob).ok(); }

}  // namespace mg::hardware::tpm
