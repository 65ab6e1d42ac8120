// Helper data, machine files, TPM blobs: refused, or written back as they were. The first byte chooses what the rest is.
#include "hardware/binding.h"
#include "hardware/tpm.h"
#include "hardware/tpm_blob.h"
#include "require.h"

namespace {

using namespace mg;
using namespace mg::hardware;

void check_helper(View bytes) {
  size_t used = 0;
  Result<Helper> helper = parse_helper(bytes, &used);
  if (!helper.ok()) {
    require(helper.status().code == Code::MACHINE_FILE_INVALID, "the wrong error");
    return;
  }
  require(equal(helper->encode(), bytes.sub(0, used)), "helper data are written differently");
  const auto openings = helper->openings();
  require(!openings.empty() && openings.size() <= 256, "no set opens, or too many to try");
}

void check_file(View text) {
  Result<Binding> binding = parse_machine_file(text);
  if (!binding.ok()) return;
  Result<Bytes> written = write_machine_file(*binding);
  require(written.ok() && equal(*written, text), "a machine file is written differently");
}

// A machine file around these helper data, so that a mutation need not guess base64url and checksum.
void check_wrapped(View bytes) {
  size_t used = 0;
  Result<Helper> helper = parse_helper(bytes, &used);
  if (!helper.ok()) return;
  Binding binding;
  binding.helper = std::move(*helper);
  binding.public_key[0] = 9;  // the base point of X25519: zeros are refused as a key
  Result<Bytes> text = write_machine_file(binding);
  require(text.ok(), "parsed helper data cannot be written");
  Result<Binding> parsed = parse_machine_file(*text);
  require(parsed.ok() && parsed->helper.encode() == binding.helper.encode(), "a machine file reads differently");
}

void check_blob(View bytes) {
  const Result<tpm::Blob> blob = tpm::parse_blob(bytes);
  require(blob.ok() == tpm::is_blob(bytes), "a blob that is one and is none");
  if (blob.ok())
    require(equal(blob->encode(), bytes) && bytes.size <= tpm::kMaxBlob, "a blob is written differently, or too long");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const View rest(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0: check_helper(rest); break;
    case 1: check_file(rest); break;
    case 2: check_wrapped(rest); break;
    case 3: check_blob(rest); break;
  }
  return 0;
}
