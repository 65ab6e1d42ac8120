// A library to preload: below the folder $MG_SIMPLE the named calls fail with the errno that their variable holds, as on file systems
// that lack them.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fails(const char *variable, const char *path) {
  const char *folder = getenv("MG_SIMPLE"), *code = getenv(variable);
  if (!folder || !code || strncmp(path, folder, strlen(folder)) != 0) return 0;
  errno = atoi(code);
  return 1;
}

int link(const char *from, const char *to) {
  int (*next)(const char *, const char *) = dlsym(RTLD_NEXT, "link");
  return fails("MG_LINK", to) ? -1 : next(from, to);
}

int rename(const char *from, const char *to) {
  int (*next)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
  return fails("MG_RENAME", to) ? -1 : next(from, to);
}

long syscall(long number, ...) {
  long (*next)(long, ...) = dlsym(RTLD_NEXT, "syscall");
  long a[6];
  va_list list;
  va_start(list, number);
  for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
  va_end(list);
  if (number == SYS_renameat2 && fails("MG_RENAME_NEW", (const char *)a[3])) return -1;
  return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int fsync(int fd) {
  int (*next)(int) = dlsym(RTLD_NEXT, "fsync");
  struct stat info;
  char link_to_it[64], path[PATH_MAX];
  if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) {
    snprintf(link_to_it, sizeof link_to_it, "/proc/self/fd/%d", fd);
    const ssize_t size = readlink(link_to_it, path, sizeof path - 1);
    if (size > 0) {
      path[size] = 0;
      if (fails("MG_SYNC_FOLDER", path)) return -1;
    }
  }
  return next(fd);
}
