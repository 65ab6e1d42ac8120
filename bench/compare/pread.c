// Reads a file into fresh memory with THREADS threads, 1 MiB at a time, and prints {"seconds": S, "peak": BYTES}: as fast as this
// machine can bring a file from the page cache into memory of a process.
//   pread FILE THREADS
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 1 << 20, HUGE_PAGE = 2 << 20 };

static int file;
static size_t size;
static char* memory;
static atomic_size_t next;

static void* work(void* unused) {
  for (;;) {
    const size_t at = atomic_fetch_add(&next, PIECE);
    if (at >= size) return unused;
    const size_t length = size - at < PIECE ? size - at : PIECE;
    if (pread(file, memory + at, length, (off_t)at) != (ssize_t)length) exit(2);
  }
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int count, char** words) {
  if (count != 3) return 2;
  const int threads = atoi(words[2]);
  pthread_t ids[256];
  if (threads < 1 || threads > 256) return 2;
  const double started = now();
  file = open(words[1], O_RDONLY | O_CLOEXEC);
  struct stat facts;
  if (file < 0 || fstat(file, &facts) != 0) return 2;
  size = (size_t)facts.st_size;
  char* mapped = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return 2;
  memory = (char*)(((size_t)mapped + HUGE_PAGE - 1) & ~(size_t)(HUGE_PAGE - 1));
  madvise(memory, size, MADV_HUGEPAGE);
  for (int i = 0; i < threads; i++)
    if (pthread_create(&ids[i], NULL, work, NULL) != 0) return 2;
  for (int i = 0; i < threads; i++) pthread_join(ids[i], NULL);
  const double seconds = now() - started;
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  printf("{\"seconds\": %.6f, \"peak\": %ld}\n", seconds, usage.ru_maxrss * 1024);
  return 0;
}
