#include "container/packed_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <unordered_map>

namespace mg::container {
namespace {

int64_t nanoseconds(const timespec& t) { return int64_t(t.tv_sec) * 1000000000 + t.tv_nsec; }

Status changed(const Input& input) {
  return Status(Code::SOURCE_CHANGED, "'" + input.on_disk + "' changed while it was read");
}

}  // namespace

bool PackedSource::Identity::operator==(const Identity& o) const {
  return device == o.device && inode == o.inode && size == o.size && modified == o.modified && changed == o.changed;
}

// Opened anew for each read: ten thousand files need no ten thousand descriptors, and every read proves that it is still
// the same file. O_NONBLOCK so that a pipe cannot hang us.
Result<int> PackedSource::open_input(const Input& input, Identity* identity) {
  const int fd = open(input.on_disk.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) {
    if (errno == ELOOP) return Status(Code::SOURCE_UNSUPPORTED, "'" + input.on_disk + "' is a symbolic link", errno);
    if (errno == ENXIO) return Status(Code::SOURCE_UNSUPPORTED, "'" + input.on_disk + "' is not a regular file", errno);
    return Status::from_errno(errno, "cannot open", input.on_disk);
  }
  struct stat st;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    close(fd);
    return Status(Code::SOURCE_UNSUPPORTED, "'" + input.on_disk + "' is not a regular file");
  }
#ifdef __APPLE__
  *identity = {st.st_dev, st.st_ino, uint64_t(st.st_size), nanoseconds(st.st_mtimespec), nanoseconds(st.st_ctimespec)};
#else
  *identity = {st.st_dev, st.st_ino, uint64_t(st.st_size), nanoseconds(st.st_mtim), nanoseconds(st.st_ctim)};
#endif
  return fd;
}

Result<std::unique_ptr<PackedSource>> PackedSource::create(std::vector<Input> inputs) {
  std::vector<File> files;
  std::unordered_map<std::string, Item> by_path;
  for (Input& input : inputs) {
    Item item;
    item.input = std::move(input);
    item.size = item.input.memory.size;
    if (!item.input.on_disk.empty()) {
      auto fd = open_input(item.input, &item.identity);
      if (!fd.ok()) return fd.status();
      close(*fd);
      item.size = item.identity.size;
    }
    files.push_back(File{item.input.path, item.size, 0});
    std::string path = item.input.path;
    by_path.emplace(std::move(path), std::move(item));
  }
  auto manifest = pack(std::move(files));
  if (!manifest.ok()) return manifest.status();
  const Bytes json = write_manifest(*manifest);
  if (json.size() > kMaxManifest) return Status(Code::LIMIT_EXCEEDED, "the manifest would be larger than 16 MiB: shorten the paths");

  std::unique_ptr<PackedSource> source(new PackedSource);
  append_be(source->head_, uint32_t(json.size()));
  append(source->head_, json);
  source->size_ = manifest->plaintext_size(json.size());
  if (source->size_ > payload::kMaxPlaintext) return Status(Code::LIMIT_EXCEEDED, "the model is larger than a container can hold");
  const uint64_t area = manifest->file_area(json.size());
  for (const File& file : manifest->files) {
    Item& item = by_path.find(file.path)->second;
    item.start = area + file.offset;
    source->items_.push_back(std::move(item));
  }
  return source;
}

Status PackedSource::read_item(const Item& item, uint64_t offset, Span out) const {
  if (item.input.on_disk.empty()) {
    std::memcpy(out.data, item.input.memory.data + offset, out.size);
    return {};
  }
  Identity now;
  auto fd = open_input(item.input, &now);
  if (!fd.ok()) return fd.status().code == Code::NOT_FOUND ? changed(item.input) : fd.status();
  Status status = now == item.identity ? Status() : changed(item.input);
  for (size_t done = 0; status.ok() && done < out.size;) {
    const ssize_t n = pread(*fd, out.data + done, out.size - done, off_t(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) status = Status::from_errno(errno, "cannot read", item.input.on_disk);
    if (n == 0) status = changed(item.input);
    if (n > 0) done += size_t(n);
  }
  close(*fd);
  return status;
}

Status PackedSource::read(uint64_t offset, Span out) {
  std::memset(out.data, 0, out.size);
  const uint64_t end = offset + out.size;
  if (offset < head_.size()) {
    const size_t n = size_t(std::min<uint64_t>(head_.size() - offset, out.size));
    std::memcpy(out.data, head_.data() + offset, n);
  }
  auto item = std::upper_bound(items_.begin(), items_.end(), offset,
                               [](uint64_t at, const Item& i) { return at < i.start + i.size; });
  for (; item != items_.end() && item->start < end; ++item) {
    const uint64_t from = std::max(offset, item->start), to = std::min(end, item->start + item->size);
    if (from >= to) continue;
    auto s = read_item(*item, from - item->start, out.sub(size_t(from - offset), size_t(to - from)));
    if (!s.ok()) return s;
  }
  return {};
}

Status PackedSource::check_unchanged() const {
  for (const Item& item : items_) {
    if (item.input.on_disk.empty()) continue;
    Identity now;
    auto fd = open_input(item.input, &now);
    if (!fd.ok()) return changed(item.input);
    close(*fd);
    if (!(now == item.identity)) return changed(item.input);
  }
  return {};
}

}  // namespace mg::container
