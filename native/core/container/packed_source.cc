#include "container/packed_source.h"

#include <algorithm>
#include <unordered_map>

namespace mg::container {
namespace {

Result<std::shared_ptr<payload::Source>> open_input(const Input& input) {
  if (input.source) return input.source;
  if (input.on_disk.empty()) return std::shared_ptr<payload::Source>(std::make_shared<payload::MemorySource>(input.memory));
  auto file = payload::SteadyFile::open(input.on_disk);
  if (!file.ok()) return file.status();
  return std::shared_ptr<payload::Source>(std::move(*file));
}

}  // namespace

Result<std::unique_ptr<PackedSource>> PackedSource::create(std::vector<Input> inputs) {
  std::vector<File> files;
  std::unordered_map<std::string, std::shared_ptr<payload::Source>> by_path;
  for (const Input& input : inputs) {
    auto opened = open_input(input);
    if (!opened.ok()) return opened.status();
    files.push_back(File{input.path, (*opened)->size(), 0});
    by_path.emplace(input.path, std::move(*opened));
  }
  auto manifest = pack(std::move(files));
  if (!manifest.ok()) return manifest.status();
  const Bytes json = write_manifest(*manifest);
  if (json.size() > kMaxManifest)
    return Status(Code::LIMIT_EXCEEDED, "the manifest would be larger than 16 MiB: shorten the paths");

  std::unique_ptr<PackedSource> source(new PackedSource);
  append_be(source->head_, uint32_t(json.size()));
  append(source->head_, json);
  source->size_ = manifest->plaintext_size(json.size());
  if (source->size_ > payload::kMaxPlaintext)
    return Status(Code::LIMIT_EXCEEDED, "the model is larger than a container can hold");
  const uint64_t area = manifest->file_area(json.size());
  for (const File& file : manifest->files)
    source->items_.push_back(Item{std::move(by_path.find(file.path)->second), area + file.offset});
  return source;
}

Status PackedSource::read(uint64_t offset, Span out) {
  std::memset(out.data, 0, out.size);
  const uint64_t end = offset + out.size;
  if (offset < head_.size()) {
    const size_t n = size_t(std::min<uint64_t>(head_.size() - offset, out.size));
    std::memcpy(out.data, head_.data() + offset, n);
  }
  auto item = std::upper_bound(items_.begin(), items_.end(), offset, [](uint64_t at, const Item& i) { return at < i.end(); });
  for (; item != items_.end() && item->start < end; ++item) {
    const uint64_t from = std::max(offset, item->start), to = std::min(end, item->end());
    if (from >= to) continue;
    auto s = item->source->read(from - item->start, out.sub(size_t(from - offset), size_t(to - from)));
    if (!s.ok()) return s;
  }
  return {};
}

Status PackedSource::check_unchanged() {
  for (const Item& item : items_)
    if (auto s = item.source->check_unchanged(); !s.ok()) return s;
  return {};
}

}  // namespace mg::container
