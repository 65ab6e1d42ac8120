#include "support/swtpm.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "hardware/tss2.h"

namespace mg::test {
namespace {

bool in_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::string folders = path ? path : "";
  for (size_t from = 0; from <= folders.size();) {
    const size_t to = std::min(folders.find(':', from), folders.size());
    if (access((folders.substr(from, to - from) + "/" + program).c_str(), X_OK) == 0) return true;
    from = to + 1;
  }
  return false;
}

bool can_listen(unsigned port, unsigned* got) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(uint16_t(port));
  socklen_t size = sizeof address;
  const bool good = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  close(fd);
  *got = ntohs(address.sin_port);
  return good;
}

// The library takes the port after the TPM's for swtpm's control channel.
unsigned free_pair_of_ports() {
  for (int attempt = 0; attempt < 100; attempt++) {
    unsigned first = 0, second = 0;
    if (can_listen(0, &first) && first < 65535 && can_listen(first + 1, &second)) return first;
  }
  throw std::runtime_error("no two free ports in a row");
}

// A child with `out` as stdout. It ends when this process does, however that ends.
pid_t run(const std::vector<std::string>& command, int out, const std::string& folder) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("cannot fork");
  if (child > 0) return child;
#ifdef __linux__
  prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
  const int null = open("/dev/null", O_RDWR);
  if (chdir(folder.c_str()) != 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(null, 2) < 0) _exit(126);
  execvp(arguments[0], arguments.data());
  _exit(127);
}

std::string read_all(int fd) {
  std::string text;
  char piece[4096];
  for (;;) {
    const ssize_t n = read(fd, piece, sizeof piece);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return text;
    text.append(piece, size_t(n));
  }
}

int wait_for(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return status;
}

struct Pipe {
  int ends[2];
  Pipe() {
    if (pipe(ends) != 0) throw std::runtime_error("no pipe");
    for (int end : ends) fcntl(end, F_SETFD, FD_CLOEXEC);
  }
  ~Pipe() {
    close(ends[0]);
    close_writer();
  }
  void close_writer() {
    if (ends[1] >= 0) close(ends[1]);
    ends[1] = -1;
  }
};

}  // namespace

std::unique_ptr<Swtpm> Swtpm::start() {
  const char* missing = !in_path("swtpm") ? "swtpm" : !in_path("tpm2_pcrextend") ? "tpm2-tools" : nullptr;
  if (!missing && !hardware::tss2::library().ok()) missing = "libtss2-esys";
  if (missing) {
    std::printf("SKIPPED: %s is not installed\n", missing);
    return nullptr;
  }
  std::unique_ptr<Swtpm> tpm(new Swtpm);
  std::string folder = (std::filesystem::temp_directory_path() / "mg-swtpm-XXXXXX").string();
  if (!mkdtemp(folder.data())) throw std::runtime_error("no temporary folder");
  tpm->folder_ = folder;
  std::filesystem::create_directory(folder + "/state");
  tpm->spawn();
  return tpm;
}

void Swtpm::spawn() {
  for (int attempt = 0; attempt < 10; attempt++) {  // another process may take a port before swtpm does
    if (spawn(free_pair_of_ports())) return;
  }
  throw std::runtime_error("swtpm does not start");
}

// It writes its process id when its sockets are open: to a FIFO, so that there is something to wait for.
bool Swtpm::spawn(unsigned port) {
  const std::string fifo = folder_ + "/ready";
  unlink(fifo.c_str());
  if (mkfifo(fifo.c_str(), 0600) != 0) throw std::runtime_error("no FIFO");
  const int ready = open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  Pipe life;  // its other end closes when the child is gone
  const std::string tcp = "type=tcp,port=";
  child_ = run({"swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + folder_ + "/state", "--server", tcp + std::to_string(port),
                "--ctrl", tcp + std::to_string(port + 1), "--flags", "not-need-init,startup-clear", "--pid", "file=" + fifo},
               life.ends[1], folder_);
  life.close_writer();
  pollfd events[] = {{ready, POLLIN, 0}, {life.ends[0], POLLIN, 0}};
  while (poll(events, 2, -1) < 0 && errno == EINTR) continue;
  const bool good = events[0].revents & POLLIN;
  close(ready);
  if (!good) {
    stop();
    return false;
  }
  tcti_ = "swtpm:host=127.0.0.1,port=" + std::to_string(port);
  return true;
}

void Swtpm::stop() {
  if (child_ > 0) {
    kill(child_, SIGTERM);
    wait_for(child_);
  }
  child_ = -1;
}

void Swtpm::restart() {
  stop();
  spawn();
  use();
}

Swtpm::~Swtpm() {
  stop();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
  const char* used = std::getenv("MODEL_GUARD_TCTI");
  if (used && used == tcti_) unsetenv("MODEL_GUARD_TCTI");
}

void Swtpm::use() const { setenv("MODEL_GUARD_TCTI", tcti_.c_str(), 1); }

std::optional<std::string> Swtpm::tool(std::vector<std::string> command) const {
  Pipe output;
  command.insert(command.begin() + 1, {"-T", tcti_});
  const pid_t child = run(command, output.ends[1], folder_);
  output.close_writer();
  const std::string text = read_all(output.ends[0]);
  if (wait_for(child) != 0) return std::nullopt;
  return text;
}

Bytes Swtpm::name_of(const std::string& key) const {
  if (!tool({"tpm2_readpublic", "-c", key, "-n", "name"})) throw std::runtime_error("tpm2_readpublic failed");
  std::ifstream file(folder_ + "/name", std::ios::binary);
  return Bytes((std::istreambuf_iterator<char>(file)), {});
}

void Swtpm::extend(unsigned pcr, const std::string& digest) const {
  const std::string what = std::to_string(pcr) + ":sha256=" + digest;
  if (!tool({"tpm2_pcrextend", what})) throw std::runtime_error("tpm2_pcrextend failed");
}

bool Swtpm::is_clean() const {
  for (const char* kind : {"handles-transient", "handles-loaded-session", "handles-saved-session"}) {
    const auto handles = tool({"tpm2_getcap", kind});
    if (!handles) throw std::runtime_error("tpm2_getcap failed");
    if (!handles->empty()) return false;
  }
  return true;
}

StderrCapture::StderrCapture() : saved_(dup(2)) {
  std::fflush(stderr);
  std::FILE* file = std::tmpfile();
  if (!file) throw std::runtime_error("no temporary file");
  file_ = dup(fileno(file));
  std::fclose(file);
  dup2(file_, 2);
}

StderrCapture::~StderrCapture() {
  std::fflush(stderr);
  dup2(saved_, 2);
  close(saved_);
  close(file_);
}

std::string StderrCapture::text() const {
  std::fflush(stderr);
  std::string text;
  char piece[4096];
  for (off_t at = 0;; at = off_t(text.size())) {
    const ssize_t n = pread(file_, piece, sizeof piece, at);
    if (n <= 0) return text;
    text.append(piece, size_t(n));
  }
}

}  // namespace mg::test
