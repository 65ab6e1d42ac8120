// A file that must not change while it is read, and reads through several sources.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>

#include "container/container_support.h"
#include "payload/payload_support.h"

using namespace mg;
using namespace mg::payload;
using payload_test::noise;

namespace {

struct Folder {
  std::string path;
  Folder() {
    char name[] = "/tmp/mg-steady-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path = name;
  }
  ~Folder() {
    for (const char* name : {"/a", "/b", "/link", "/pipe"}) unlink((path + name).c_str());
    rmdir(path.c_str());
  }
};

void write(const std::string& path, View bytes) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  REQUIRE(fd >= 0);
  REQUIRE(::write(fd, bytes.data, bytes.size) == ssize_t(bytes.size));
  close(fd);
}

std::pair<time_t, long> change_time(const std::string& path) {
  struct stat info;
  REQUIRE(stat(path.c_str(), &info) == 0);
#ifdef __APPLE__
  return {info.st_ctimespec.tv_sec, info.st_ctimespec.tv_nsec};
#else
  return {info.st_ctim.tv_sec, info.st_ctim.tv_nsec};
#endif
}

void set_time(const std::string& path, time_t seconds) {
  const timespec times[2] = {{seconds, 0}, {seconds, 0}};
  REQUIRE(utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
}

}  // namespace

TEST_CASE("steady file: reads at any offset while the file is unchanged") {
  const Folder folder;
  const std::string a = folder.path + "/a";
  const Bytes content = noise(5000, 1);
  write(a, View(content));
  auto file = SteadyFile::open(a);
  REQUIRE(file.ok());
  CHECK((*file)->size() == 5000);
  for (uint64_t offset : {uint64_t(0), uint64_t(1), uint64_t(4990)}) {
    Bytes out(10);
    REQUIRE((*file)->read(offset, Span(out)).ok());
    CHECK(equal(View(out), View(content).sub(offset, 10)));
  }
  Bytes out(10);
  CHECK((*file)->read(4991, Span(out)).code == Code::CONTAINER_TRUNCATED);
  CHECK((*file)->read(UINT64_MAX, Span(out)).code == Code::CONTAINER_TRUNCATED);
  CHECK((*file)->check_unchanged().ok());
}

TEST_CASE("steady file: permissions and links are no change, unless the change time counts") {
  const Folder folder;
  const std::string path = folder.path + "/a", beside = folder.path + "/b";
  write(path, View(noise(100, 2)));
  auto ignoring = SteadyFile::open(path);
  auto counting = SteadyFile::open(path, SteadyFile::Links::follow, 0, SteadyFile::ChangeTime::counts);
  REQUIRE(ignoring.ok());
  REQUIRE(counting.ok());
  const auto before = change_time(path);
  do {  // the kernel's clock for files may stand still for some milliseconds
    REQUIRE(chmod(path.c_str(), 0640) == 0);
    REQUIRE(link(path.c_str(), beside.c_str()) == 0);
    REQUIRE(unlink(beside.c_str()) == 0);
  } while (change_time(path) == before);
  Bytes out(10);
  CHECK((*ignoring)->read(0, Span(out)).ok());
  CHECK((*ignoring)->check_unchanged().ok());
  CHECK((*counting)->read(0, Span(out)).code == Code::SOURCE_CHANGED);
  CHECK((*counting)->check_unchanged().code == Code::SOURCE_CHANGED);
}

TEST_CASE("steady file: another content, time, size or file under its name is SOURCE_CHANGED") {
  const Bytes content = noise(100, 2), other = noise(100, 3);
  const auto after = [&](const std::function<void(const std::string& path, const std::string& beside)>& change) {
    const Folder folder;
    const std::string path = folder.path + "/a", beside = folder.path + "/b";
    write(path, View(content));
    set_time(path, 1'000'000'000);
    auto file = SteadyFile::open(path, SteadyFile::Links::refuse, 0, SteadyFile::ChangeTime::counts);
    REQUIRE(file.ok());
    change(path, beside);
    Bytes out(10);
    CHECK((*file)->read(0, Span(out)).code == Code::SOURCE_CHANGED);
    CHECK((*file)->check_unchanged().code == Code::SOURCE_CHANGED);
  };
  after([&](auto& path, auto&) { write(path, View(other)); });
  after([&](auto& path, auto&) { set_time(path, 1'000'000'001); });
  after([&](auto& path, auto&) {  // only the change time shows it
    const auto before = change_time(path);
    do {  // the kernel's clock for files may stand still for some milliseconds
      write(path, View(other));
      set_time(path, 1'000'000'000);
    } while (change_time(path) == before);
  });
  after([&](auto& path, auto&) { REQUIRE(truncate(path.c_str(), 99) == 0); });
  after([&](auto& path, auto&) { REQUIRE(unlink(path.c_str()) == 0); });
  after([&](auto& path, auto& beside) {
    write(beside, View(content));
    set_time(beside, 1'000'000'000);
    REQUIRE(rename(beside.c_str(), path.c_str()) == 0);
  });
}

TEST_CASE("steady file: only a regular file is opened") {
  const Folder folder;
  const std::string a = folder.path + "/a", link = folder.path + "/link", pipe = folder.path + "/pipe";
  write(a, View(std::string_view("content")));
  REQUIRE(symlink(a.c_str(), link.c_str()) == 0);
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(SteadyFile::open(link).status().code == Code::SOURCE_UNSUPPORTED);
  CHECK(SteadyFile::open(folder.path).status().code == Code::SOURCE_UNSUPPORTED);
  CHECK(SteadyFile::open(pipe).status().code == Code::SOURCE_UNSUPPORTED);  // at once: the pipe has no writer
  CHECK(SteadyFile::open(folder.path + "/b").status().code == Code::NOT_FOUND);
  set_time(a, 1'000'000'000);
  auto followed = SteadyFile::open(link, SteadyFile::Links::follow);
  REQUIRE(followed.ok());
  CHECK((*followed)->check_unchanged().ok());
  write(a, View(std::string_view("another")));
  CHECK((*followed)->check_unchanged().code == Code::SOURCE_CHANGED);
}

TEST_CASE("joined sources report the errors of both") {
  const Bytes bytes = noise(20, 4);
  struct Failing : Source {
    uint64_t size() const override { return 20; }
    Status read(uint64_t, Span) override { return Status(Code::IO_FAILED, "broken"); }
    Status check_unchanged() override { return Status(Code::SOURCE_CHANGED, "changed"); }
  } failing;
  MemorySource good{View(bytes)};
  Bytes out(10);
  for (bool first : {true, false}) {
    JoinedSource joined = first ? JoinedSource(failing, good) : JoinedSource(good, failing);
    CHECK(joined.size() == 40);
    CHECK(joined.read(first ? 25 : 5, Span(out)).ok());
    CHECK(joined.read(first ? 5 : 25, Span(out)).code == Code::IO_FAILED);
    CHECK(joined.read(15, Span(out)).code == Code::IO_FAILED);
    CHECK(joined.check_unchanged().code == Code::SOURCE_CHANGED);
  }
}

TEST_CASE("a container is sealed from files, memory and other sources alike, and refused when one changes before its end") {
  using namespace mg::container;
  const Folder folder;
  const std::string a = folder.path + "/a";
  const Bytes on_disk = noise(70'000, 5), in_memory = noise(10, 6), in_source = noise(40'000, 7);
  write(a, View(on_disk));
  set_time(a, 1'000'000'000);
  work::Pool pool(2);
  const auto master = container_test::new_key(keys::Type::master);
  const auto inputs = [&] {
    return std::vector<Input>{Input{"disk", a, View()}, Input{"memory", "", View(in_memory)},
                              Input{"source", "", View(), std::make_shared<MemorySource>(View(in_source))}};
  };
  const auto made = container_test::make(inputs(), {{container_test::shared(master)}, nullptr}, pool);
  auto loaded = container_test::open(View(made.small), View(made.big), {master}, pool);
  REQUIRE_MESSAGE(loaded.ok(), loaded.status().what);
  REQUIRE(loaded->size() == 3);
  const View expected[] = {View(on_disk), View(in_memory), View(in_source)};
  for (size_t i = 0; i < 3; i++) CHECK(equal(View((*loaded)[i].region.data(), size_t((*loaded)[i].size)), expected[i]));

  // After everything was read, so that finish() alone can notice.
  SealRequest request{"m", "1", "onnx", "2026-01-01T00:00:00Z", inputs(), {container_test::shared(master)}, nullptr};
  auto sealer = Sealer::begin(std::move(request));
  REQUIRE(sealer.ok());
  Bytes big(size_t((*sealer)->payload_length()));
  MemorySink sink{Span(big)};
  const work::Control control;
  REQUIRE((*sealer)->encrypt_to(sink, kPrefix, pool, control).ok());
  set_time(a, 1'000'000'001);
  CHECK((*sealer)->finish().status().code == Code::SOURCE_CHANGED);
}
