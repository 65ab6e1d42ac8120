#include "payload/io.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>

namespace mg::payload {

namespace {

constexpr uint64_t kMaxOffset = uint64_t(std::numeric_limits<off_t>::max());

bool inside(uint64_t size, uint64_t offset, uint64_t length) { return offset <= size && length <= size - offset; }

Status ended_early(const std::string& path) {
  return Status(Code::CONTAINER_TRUNCATED, "'" + path + "' ends before the bytes that were asked for");
}

Status not_regular(const std::string& path) { return Status(Code::SOURCE_UNSUPPORTED, "'" + path + "' is not a regular file"); }

Status changed(const std::string& path) { return Status(Code::SOURCE_CHANGED, "'" + path + "' changed while it was read"); }

int open_retrying(const std::string& path, int flags, mode_t mode) {
  int fd;
  do fd = ::open(path.c_str(), flags, mode);
  while (fd < 0 && errno == EINTR);
  return fd;
}

// For reading. O_NONBLOCK: a pipe without a writer must be refused, not waited for. It changes nothing for a regular file.
Result<int> open_regular(const std::string& path, int more_flags, struct stat* info) {
  const int fd = open_retrying(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | more_flags, 0);
  if (fd < 0 && errno == ENXIO) return not_regular(path);  // a socket
  if (fd < 0 && errno == ELOOP && (more_flags & O_NOFOLLOW))
    return Status(Code::SOURCE_UNSUPPORTED, "'" + path + "' is a symbolic link", ELOOP);
  if (fd < 0) return Status::from_errno(errno, "cannot open", path);
  if (::fstat(fd, info) != 0) {
    Status status = Status::from_errno(errno, "cannot inspect", path);
    ::close(fd);
    return status;
  }
  if (!S_ISREG(info->st_mode)) {
    ::close(fd);
    return not_regular(path);
  }
  return fd;
}

// `ended` is what it means that the file has no byte there any more.
Status read_all(int fd, uint64_t offset, Span out, const std::string& path, Status (*ended)(const std::string& path)) {
  for (size_t done = 0; done < out.size;) {
    ssize_t n = ::pread(fd, out.data + done, out.size - done, off_t(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Status::from_errno(errno, "cannot read", path);
    if (n == 0) return ended(path);
    done += size_t(n);
  }
  return Status();
}

int64_t nanoseconds(const timespec& t) { return int64_t(t.tv_sec) * 1000000000 + t.tv_nsec; }

}  // namespace

Status MemorySource::read(uint64_t offset, Span out) {
  if (!inside(bytes_.size, offset, out.size))
    return Status(Code::CONTAINER_TRUNCATED, "the data end before the bytes that were asked for");
  if (out.size > 0) std::memcpy(out.data, bytes_.data + offset, out.size);
  return Status();
}

Status MemorySink::write(uint64_t offset, View bytes) {
  if (!inside(bytes_.size, offset, bytes.size)) return Status(Code::INTERNAL, "a write outside the output's memory");
  if (bytes.size > 0) std::memcpy(bytes_.data + offset, bytes.data, bytes.size);
  return Status();
}

Result<std::unique_ptr<FileSource>> FileSource::open(const std::string& path, uint64_t base) {
  struct stat info;
  Result<int> fd = open_regular(path, 0, &info);
  if (!fd.ok()) return fd.status();
  uint64_t size = uint64_t(info.st_size);
  if (base > size) {
    ::close(*fd);
    return ended_early(path);
  }
#ifdef __linux__
  (void)::posix_fadvise(*fd, 0, 0, POSIX_FADV_SEQUENTIAL);
#endif
  return std::unique_ptr<FileSource>(new FileSource(*fd, base, size - base, path));
}

FileSource::~FileSource() { ::close(fd_); }

Status FileSource::read(uint64_t offset, Span out) {
  if (!inside(size_, offset, out.size)) return ended_early(path_);
  return read_all(fd_, base_ + offset, out, path_, ended_early);
}

bool SteadyFile::Identity::operator==(const Identity& o) const {
  return device == o.device && inode == o.inode && size == o.size && modified == o.modified && changed == o.changed;
}

Result<int> SteadyFile::open_again(Identity* identity) const {
  struct stat info;
  Result<int> fd = open_regular(path_, links_ == Links::refuse ? O_NOFOLLOW : 0, &info);
  if (!fd.ok()) return fd;
#ifdef __APPLE__
  const timespec modified = info.st_mtimespec, changed = info.st_ctimespec;
#else
  const timespec modified = info.st_mtim, changed = info.st_ctim;
#endif
  *identity = {info.st_dev, info.st_ino, uint64_t(info.st_size), nanoseconds(modified),
               change_time_ == ChangeTime::counts ? nanoseconds(changed) : 0};
  return fd;
}

Result<std::unique_ptr<SteadyFile>> SteadyFile::open(const std::string& path, Links links, uint64_t base,
                                                     ChangeTime change_time) {
  std::unique_ptr<SteadyFile> file(new SteadyFile(path, links, base, change_time));
  Result<int> fd = file->open_again(&file->identity_);
  if (!fd.ok()) return fd.status();
  ::close(*fd);
  if (base > file->identity_.size) return ended_early(path);
  return file;
}

Status SteadyFile::read(uint64_t offset, Span out) {
  if (!inside(size(), offset, out.size)) return ended_early(path_);
  Identity now;
  Result<int> fd = open_again(&now);
  if (!fd.ok()) return fd.status().code == Code::NOT_FOUND ? changed(path_) : fd.status();
  Status status = now == identity_ ? read_all(*fd, base_ + offset, out, path_, changed) : changed(path_);
  ::close(*fd);
  return status;
}

Status SteadyFile::check_unchanged() {
  Identity now;
  Result<int> fd = open_again(&now);
  if (!fd.ok()) return changed(path_);
  ::close(*fd);
  return now == identity_ ? Status() : changed(path_);
}

Status JoinedSource::read(uint64_t offset, Span out) {
  const uint64_t first = first_.size();
  if (offset >= first) return second_.read(offset - first, out);
  const size_t before = size_t(std::min<uint64_t>(out.size, first - offset));
  Status status = first_.read(offset, out.sub(0, before));
  if (!status.ok() || before == out.size) return status;
  return second_.read(0, out.sub(before, out.size - before));
}

bool JoinedSource::renew(uint64_t offset, uint64_t size) {
  const uint64_t first = first_.size();
  if (offset >= first) return second_.renew(offset - first, size);
  const uint64_t before = std::min(size, first - offset);
  const bool renewed = first_.renew(offset, before);
  return (before < size && second_.renew(0, size - before)) || renewed;
}

Status JoinedSource::check_unchanged() {
  Status status = first_.check_unchanged();
  return status.ok() ? second_.check_unchanged() : status;
}

Result<std::unique_ptr<FileSink>> FileSink::create(const std::string& path, uint64_t base, mode_t mode) {
  int fd = open_retrying(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode);
  if (fd < 0) return Status::from_errno(errno, "cannot create", path);
  return std::unique_ptr<FileSink>(new FileSink(fd, base, path));
}

FileSink::~FileSink() {
  if (fd_ < 0) return;
  // Only our own file is removed, not another one that took its name meanwhile.
  struct stat ours, named;
  bool same = ::fstat(fd_, &ours) == 0 && ::lstat(path_.c_str(), &named) == 0 && ours.st_dev == named.st_dev &&
              ours.st_ino == named.st_ino;
  if (same) ::unlink(path_.c_str());
  ::close(fd_);
}

Status FileSink::write(uint64_t offset, View bytes) {
  if (!inside(kMaxOffset - base_, offset, bytes.size)) return Status(Code::INTERNAL, "a write beyond what a file can hold");
  if (fd_ < 0) return Status(Code::INTERNAL, "a write to a finished file");
  for (size_t done = 0; done < bytes.size;) {
    ssize_t n = ::pwrite(fd_, bytes.data + done, bytes.size - done, off_t(base_ + offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Status::from_errno(errno, "cannot write", path_);
    if (n == 0) return Status(Code::IO_FAILED, "cannot write '" + path_ + "': the system took no byte");
    done += size_t(n);
  }
  return Status();
}

Status FileSink::finish() {
  if (fd_ < 0) return Status(Code::INTERNAL, "the file is already finished");
  int fd = fd_;
  fd_ = -1;
  // EINTR from close leaves the descriptor closed and nothing to repeat; delayed write errors have other codes.
  if (::close(fd) != 0 && errno != EINTR) {
    Status status = Status::from_errno(errno, "cannot finish writing", path_);
    ::unlink(path_.c_str());
    return status;
  }
  return Status();
}

}  // namespace mg::payload
