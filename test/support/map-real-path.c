// map-real-path FILE: writes the file's real path to stderr and its bytes, from a mapping, to stdout.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv) {
  struct stat info;
  char *path = argc == 2 ? realpath(argv[1], NULL) : NULL;
  const int fd = path ? open(path, O_RDONLY) : -1;
  if (fd < 0 || fstat(fd, &info) != 0) {
    perror("map-real-path");
    return 1;
  }
  const void *bytes = mmap(NULL, info.st_size, PROT_READ, MAP_SHARED, fd, 0);
  if (bytes == MAP_FAILED) return 2;
  fprintf(stderr, "%s\n", path);
  return fwrite(bytes, 1, info.st_size, stdout) != (size_t)info.st_size;
}
