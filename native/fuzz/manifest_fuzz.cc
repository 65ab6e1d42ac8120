// Manifests, paths and JSON: refused, or written back as they were. The input is a u64 plaintext size and a text.
#include <algorithm>
#include <string>

#include "container/manifest.h"
#include "require.h"
#include "text/json.h"
#include "text/text.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

using namespace mg;
using namespace mg::container;

void check_parse(View text, uint64_t plaintext_size) {
  Result<Manifest> manifest = parse_manifest(text, plaintext_size);
  if (!manifest.ok()) {
    require(manifest.status().code == Code::MANIFEST_INVALID && !manifest.status().what.empty(), "the wrong error");
    return;
  }
  require(equal(write_manifest(*manifest), text), "a manifest is written differently");
  require(manifest->plaintext_size(text.size) == plaintext_size, "the message has another size");
  Result<Manifest> packed = pack(manifest->files);
  require(packed.ok() && equal(write_manifest(*packed), text), "the files pack differently");
}

// The size that the last file asks for, so that a mutated text needs no lucky guess.
uint64_t fitting_size(const json::Value& value, size_t length) {
  const json::Value* files = value.get("files");
  if (files == nullptr || files->items.empty()) return 0;
  const json::Value *offset = files->items.back().get("offset"), *size = files->items.back().get("size");
  if (offset == nullptr || size == nullptr) return 0;
  return Manifest{{File{"", size->integer, offset->integer}}}.plaintext_size(length);
}

// The lines as paths: what pack() takes, parse_manifest() takes.
void check_pack(std::string_view text) {
  std::vector<File> files;
  for (size_t start = 0; start <= text.size();) {
    size_t end = std::min(text.find('\n', start), text.size());
    files.push_back({std::string(text.substr(start, end - start)), (end - start) * 4099, 0});
    start = end + 1;
  }
  Result<Manifest> packed = pack(std::move(files));
  if (!packed.ok()) return;
  Bytes written = write_manifest(*packed);
  require(parse_manifest(written, packed->plaintext_size(written.size())).ok(), "what was packed does not parse");
}

void check_text(std::string_view text) {
  Status path = check_path(text);
  require(path.ok() || path.code == Code::NAME_INVALID, "the wrong error of a path");
  if (!text::is_utf8(text)) {
    require(!path.ok(), "a path that is not UTF-8");
    return;
  }
  std::string composed = text::nfc(text);
  require(text::is_utf8(composed) && text::nfc(composed) == composed, "NFC is not stable");
  require(text::caseless_key(composed) == text::caseless_key(text), "the key depends on the form");
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
  if (size >= 9) return LLVMFuzzerMutate(data, size, max_size);
  constexpr std::string_view kPaths[] = {"a\nA\nb", "w/1\nw/2\nw-\n\xC3\xA9", "a\xCC\x81/\xEA\xB0\x80", "x\"y\n\xC7\x85"};
  std::string text(kPaths[seed % 4]);
  if (seed % 8 < 4) {
    Result<Manifest> packed = pack({{"a/b", seed % 70000, 0}, {"c", 5, 0}, {"\xC3\x9F", 0, 0}});
    text = View(write_manifest(*packed)).text();
  }
  if (text.size() + 8 > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::fill_n(data, 8, uint8_t(0));
  std::copy(text.begin(), text.end(), data + 8);
  return text.size() + 8;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 8) return 0;
  View text(data + 8, size - 8);
  check_parse(text, read_be<uint64_t>(data));
  Result<json::Value> value = json::parse(text.text());
  if (value.ok()) {
    require(json::write(*value) == text.text(), "JSON is written differently");
    check_parse(text, fitting_size(*value, text.size));
  }
  check_pack(text.text());
  check_text(text.text());
  return 0;
}
