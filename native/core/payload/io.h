// Where bytes come from and go to. Implementations are safe to call from several threads at once.
#pragma once
#include <memory>
#include <string>
#include "bytes.h"
#include "status.h"

namespace mg::payload {

class Source {
 public:
  virtual ~Source() = default;
  virtual uint64_t size() const = 0;
  virtual Status read(uint64_t offset, Span out) = 0;  // all of out or an error; a short source is CONTAINER_TRUNCATED
};

class Sink {
 public:
  virtual ~Sink() = default;
  virtual Status write(uint64_t offset, View bytes) = 0;
};

class MemorySource : public Source {  // does not own
 public:
  explicit MemorySource(View bytes) : bytes_(bytes) {}
  uint64_t size() const override { return bytes_.size; }
  Status read(uint64_t offset, Span out) override;

 private:
  View bytes_;
};

class MemorySink : public Sink {  // does not own; a write outside is INTERNAL
 public:
  explicit MemorySink(Span bytes) : bytes_(bytes) {}
  Status write(uint64_t offset, View bytes) override;

 private:
  Span bytes_;
};

// A regular file, read with pread. Opening refuses anything but a regular file; never waits on a pipe.
class FileSource : public Source {
 public:
  // Byte 0 of the source is byte `base` of the file; a file shorter than that is CONTAINER_TRUNCATED.
  static Result<std::unique_ptr<FileSource>> open(const std::string& path, uint64_t base = 0);
  ~FileSource() override;
  uint64_t size() const override { return size_; }
  Status read(uint64_t offset, Span out) override;

 private:
  FileSource(int fd, uint64_t base, uint64_t size, std::string path)
      : fd_(fd), base_(base), size_(size), path_(std::move(path)) {}
  int fd_;
  uint64_t base_, size_;
  std::string path_;
};

// A new file (O_EXCL, 0600), written with pwrite. finish() closes it and reports what close() says; whoever names the file
// for good syncs it first. Removed if never finished.
class FileSink : public Sink {
 public:
  // Byte 0 of the sink is byte `base` of the file.
  static Result<std::unique_ptr<FileSink>> create(const std::string& path, uint64_t base = 0);
  ~FileSink() override;
  Status write(uint64_t offset, View bytes) override;
  Status finish();

 private:
  FileSink(int fd, uint64_t base, std::string path) : fd_(fd), base_(base), path_(std::move(path)) {}
  int fd_;
  uint64_t base_;
  std::string path_;
};

}  // namespace mg::payload
