// Key files: read straight into secret pages, written whole or not at all.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "crypto/crypto.h"
#include "keys/keys.h"
#include "text/text.h"

namespace mg::keys {
namespace {

constexpr size_t kMaxFile = 4096;
constexpr std::string_view kPrefix = "model-guard-key v1 ";

struct Content {
  Secret bytes;  // at least 1 byte
  bool too_open;
};

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

// Waits until a pipe has bytes or its writer is gone. Before a writer comes poll() reports nothing, where read() would say "end".
Status wait_for_writer(int fd, const Cancelled* cancelled) {
  for (;;) {
    pollfd ready{fd, POLLIN, 0};
    if (poll(&ready, 1, 100) > 0) return {};
    if (cancelled && cancelled->load()) return Status(Code::ABORT_ERR, "cancelled");
  }
}

Result<Content> read_small_file(const std::string& path, const std::string& what, Code empty, const Cancelled* cancelled) {
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return Status::from_errno(errno, "cannot open the " + what, path);
  struct stat st;
  if (fstat(fd.get(), &st) != 0) return Status::from_errno(errno, "cannot read the " + what, path);
  // A pipe is fine: secrets are often handed over through one. A folder or a device is not.
  if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
    return Status(Code::SOURCE_UNSUPPORTED, "the " + what + " '" + path + "' is neither a file nor a pipe");
  auto buffer = Secret::allocate(kMaxFile + 1);
  if (!buffer.ok()) return buffer.status();
  size_t size = 0;
  while (size <= kMaxFile) {
    if (S_ISFIFO(st.st_mode)) {
      if (auto s = wait_for_writer(fd.get(), cancelled); !s.ok()) return s;
    }
    const ssize_t n = read(fd.get(), buffer->reveal_mut().data + size, kMaxFile + 1 - size);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) return Status::from_errno(errno, "cannot read the " + what, path);
    if (n == 0) break;
    size += size_t(n);
  }
  if (size == 0) return Status(empty, "the " + what + " '" + path + "' is empty");
  if (size > kMaxFile) return Status(Code::LIMIT_EXCEEDED, "the " + what + " '" + path + "' is larger than 4,096 bytes");
  buffer->shrink(size);
  return Content{std::move(*buffer), S_ISREG(st.st_mode) && (st.st_mode & 077) != 0};
}

Result<Type> parse_type(std::string_view line, const std::string& path) {
  if (line.substr(0, kPrefix.size()) != kPrefix)
    return Status(Code::KEY_INVALID, "'" + path + "' is not a model-guard key file");
  const std::string_view rest = line.substr(kPrefix.size());
  for (Type type : {Type::master, Type::device, Type::signing}) {
    const std::string name = type_name(type);
    if (rest == name + " plain") return type;
    if (rest == name + " sealed")
      return Status(Code::KEY_INVALID, "the key in '" + path + "' is sealed, which this version cannot open");
  }
  return Status(Code::KEY_INVALID, "the key file '" + path + "' is of a type that this version does not know");
}

}  // namespace

Result<FromFile> read_key_file(const std::string& path, const Cancelled* cancelled) {
  auto content = read_small_file(path, "key file", Code::KEY_INVALID, cancelled);
  if (!content.ok()) return content.status();
  const std::string_view text = content->bytes.reveal().text();
  const auto malformed = [&](const std::string& why) { return Status(Code::KEY_INVALID, "the key file '" + path + "' is damaged: " + why); };
  if (text.find('\r') != std::string_view::npos) return malformed("it has Windows line ends");
  const size_t first = text.find('\n');
  if (first == std::string_view::npos || text.back() != '\n' || first + 1 >= text.size()) {
    return text.substr(0, kPrefix.size()) == kPrefix ? malformed("it must be two lines, each ended by one newline")
                                                     : Status(Code::KEY_INVALID, "'" + path + "' is not a model-guard key file");
  }
  auto type = parse_type(text.substr(0, first), path);
  if (!type.ok()) return type.status();
  const std::string_view encoded = text.substr(first + 1, text.size() - first - 2);
  const size_t size = key_size(*type);
  auto bytes = Secret::allocate(size);
  if (!bytes.ok()) return bytes.status();
  if (text::base64url_decoded_size(encoded.size()) != size || !text::base64url_decode(encoded, bytes->reveal_mut()))
    return malformed("its second line is not the base64url of " + std::to_string(size) + " bytes");
  auto key = Key::from_bytes(*type, bytes->reveal());
  if (!key.ok()) return key.status();
  return FromFile{std::move(*key), content->too_open};
}

Result<FromFile> read_passphrase_file(const std::string& path, const Cancelled* cancelled) {
  auto content = read_small_file(path, "passphrase file", Code::PASSPHRASE_INVALID, cancelled);
  if (!content.ok()) return content.status();
  auto key = Key::from_passphrase(content->bytes.reveal());
  if (!key.ok()) return key.status();
  return FromFile{std::move(*key), content->too_open};
}

Status write_key_file(const Key& key, const std::string& path) {
  if (key.type() == Type::passphrase) return Status(Code::KEY_TYPE_WRONG, "a passphrase has no key file");
  const std::string head = std::string(kPrefix) + type_name(key.type()) + " plain\n";
  const size_t encoded = (key.secret().size() * 4 + 2) / 3;
  auto text = Secret::allocate(head.size() + encoded + 1);
  if (!text.ok()) return text.status();
  uint8_t* out = text->reveal_mut().data;
  std::memcpy(out, head.data(), head.size());
  text::base64url_encode(key.secret().reveal(), Span(out + head.size(), encoded));
  out[head.size() + encoded] = '\n';

  // Written beside its place and linked there: link() never overwrites, and a crash leaves no half key.
  uint8_t random[8];
  if (auto s = crypto::random_bytes(Span(random)); !s.ok()) return s;
  const std::string temporary = path + ".tmp-" + text::hex(View(random));
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  if (access(path.c_str(), F_OK) == 0) return Status(Code::ALREADY_EXISTS, "'" + path + "' exists; a key is never overwritten");
  Fd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (fd.get() < 0) return Status::from_errno(errno, "cannot create the key file", path);
  auto write_all = [&]() -> Status {
    for (size_t at = 0; at < text->size();) {
      const ssize_t n = write(fd.get(), text->reveal().data + at, text->size() - at);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Status::from_errno(errno, "cannot write the key file", path);
      at += size_t(n);
    }
    if (fsync(fd.get()) != 0) return Status::from_errno(errno, "cannot write the key file", path);
    if (link(temporary.c_str(), path.c_str()) != 0) {
      if (errno == EEXIST) return Status(Code::ALREADY_EXISTS, "'" + path + "' exists; a key is never overwritten");
      return Status::from_errno(errno, "cannot create the key file", path);
    }
    return {};
  };
  const Status written = write_all();
  unlink(temporary.c_str());
  if (!written.ok()) return written;
  Fd dir(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (dir.get() >= 0) fsync(dir.get());
  return {};
}

}  // namespace mg::keys
