// Sources and sinks of bytes. Implementations are safe to call from several threads at once.
#pragma once
#include <sys/types.h>

#include <memory>
#include <string>

#include "bytes.h"
#include "status.h"

namespace mg::payload {

class Source {
 public:
  virtual ~Source() = default;
  // Whether bytes arrive one after the other and more slowly than memory is allocated, as over a network.
  virtual bool is_remote() const { return false; }
  virtual uint64_t size() const = 0;
  virtual Status read(uint64_t offset, Span out) = 0;  // all of out or an error; a short source is CONTAINER_TRUNCATED
  // Called where bytes of this range were damaged. True if another read may give other bytes, as over a network.
  virtual bool renew(uint64_t /*offset*/, uint64_t /*size*/) { return false; }
  // SOURCE_CHANGED if the bytes read so far may differ from the bytes there now. Only a SteadyFile detects that.
  virtual Status check_unchanged() { return {}; }
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

// A regular file that must not change. It is opened again for each read, so that ten thousand files need few descriptors, and every read
// checks that the file is unchanged since open() by device, inode, size and modification time: SOURCE_CHANGED. A writer that sets the
// modification time back shows only by the change time. Permissions and links move the change time too, so it counts only for legacy
// artifacts, which are not authenticated. Containers are authenticated, and sealing seals the bytes that it read.
class SteadyFile : public Source {
 public:
  enum class Links : uint8_t { refuse, follow };  // where the path itself names a symbolic link
  enum class ChangeTime : uint8_t { ignore, counts };
  // Byte 0 of the source is byte `base` of the file; a file shorter than that is CONTAINER_TRUNCATED.
  static Result<std::unique_ptr<SteadyFile>> open(const std::string& path, Links links = Links::refuse, uint64_t base = 0,
                                                  ChangeTime change_time = ChangeTime::ignore);
  uint64_t size() const override { return identity_.size - base_; }
  Status read(uint64_t offset, Span out) override;
  Status check_unchanged() override;

 private:
  struct Identity {
    dev_t device;
    ino_t inode;
    uint64_t size;
    int64_t modified, changed;  // nanoseconds; `changed` is 0 where it is ignored
    bool operator==(const Identity& o) const;
  };
  SteadyFile(std::string path, Links links, uint64_t base, ChangeTime change_time)
      : path_(std::move(path)), links_(links), base_(base), change_time_(change_time) {}
  Result<int> open_again(Identity* identity) const;
  std::string path_;
  Links links_;
  uint64_t base_;
  ChangeTime change_time_;
  Identity identity_{};
};

// Two sources as one, the first before the second. Owns neither.
class JoinedSource : public Source {
 public:
  JoinedSource(Source& first, Source& second) : first_(first), second_(second) {}
  bool is_remote() const override { return first_.is_remote() || second_.is_remote(); }
  uint64_t size() const override { return first_.size() + second_.size(); }
  Status read(uint64_t offset, Span out) override;
  bool renew(uint64_t offset, uint64_t size) override;
  Status check_unchanged() override;

 private:
  Source& first_;
  Source& second_;
};

// A new file (O_EXCL), written with pwrite. finish() closes it and reports what close() says; its caller syncs it
// before it is named for good. Removed if never finished.
class FileSink : public Sink {
 public:
  // Byte 0 of the sink is byte `base` of the file. The umask takes away from `mode`.
  static Result<std::unique_ptr<FileSink>> create(const std::string& path, uint64_t base = 0, mode_t mode = 0600);
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
