// Where bytes come from and go to. Implementations are safe to call from several threads at once.
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
  // Whether bytes come one after the other, from a network say, slower than memory is had.
  virtual bool far() const { return false; }
  virtual uint64_t size() const = 0;
  virtual Status read(uint64_t offset, Span out) = 0;  // all of out or an error; a short source is CONTAINER_TRUNCATED
  // What was read there is damaged. Whether another read may give other bytes: where they come over a network.
  virtual bool renew(uint64_t /*offset*/, uint64_t /*size*/) { return false; }
  // SOURCE_CHANGED where what was read so far may not be what lies there now. Only a SteadyFile below can tell.
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

// A regular file that must stay as it is. Opened anew for each read: ten thousand of them need no ten thousand descriptors, and
// every read proves that it is still the same file, unchanged since open(): SOURCE_CHANGED. Its device, inode, size and modification
// time tell. A writer that sets that time back shows by the change time alone. That one also moves with permissions and links, so it
// counts only for legacy artifacts, which are decrypted unauthenticated: bytes of containers are authenticated, and what is sealed is
// what was read.
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
  bool far() const override { return first_.far() || second_.far(); }
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
