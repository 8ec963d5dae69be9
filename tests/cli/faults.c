// A library for LD_PRELOAD that makes one call of a program fail: a full disk, a broken one, no memory, in the middle.
//
//   REPSIM_FAULT=write:3:28   the third write() fails with errno 28 (ENOSPC); 0 instead of 3: none fails
//   REPSIM_FAULT_ROOT=/x/y    only calls on files below this folder count
//   REPSIM_FAULT_COUNTS=FILE  at the end, how many calls of each kind there were
//
// Kinds: open, read, write, fsync, rename, mkdir, flock, mmap, fallocate, and malloc for blocks of 64 KiB or more,
// which count from the first open below the folder on.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

enum kind { OPEN, READ, WRITE, FSYNC, RENAME, MKDIR, FLOCK, MMAP, FALLOCATE, MALLOC, KINDS };
static const char* const names[KINDS] = {"open",  "read",  "write", "fsync",     "rename",
                                         "mkdir", "flock", "mmap",  "fallocate", "malloc"};
static int counts[KINDS];
static int wanted = -1, wanted_count, wanted_errno;
static char root[PATH_MAX];
static size_t root_size;

void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

__attribute__((constructor)) static void begin(void) {
  const char *fault = getenv("REPSIM_FAULT"), *folder = getenv("REPSIM_FAULT_ROOT");
  if (fault == NULL || folder == NULL) return;
  char name[32] = "";
  if (sscanf(fault, "%31[a-z]:%d:%d", name, &wanted_count, &wanted_errno) != 3) return;
  for (int i = 0; i < KINDS; ++i) {
    if (strcmp(name, names[i]) == 0) wanted = i;
  }
  if (strlen(folder) < sizeof root) strcpy(root, folder);
  root_size = strlen(root);
}

static void write_counts(void) {
  const char* path = getenv("REPSIM_FAULT_COUNTS");
  FILE* file = path == NULL || root_size == 0 ? NULL : fopen(path, "w");
  if (file == NULL) return;
  for (int i = 0; i < KINDS; ++i) fprintf(file, "%s %d\n", names[i], counts[i]);
  fclose(file);
}

/* The program ends without destructors. */
void _Exit(int code) {
  write_counts();
  _exit(code);
}

static int fails(enum kind kind) {
  const int count = __atomic_add_fetch(&counts[kind], 1, __ATOMIC_SEQ_CST);
  if ((int)kind != wanted || count != wanted_count) return 0;
  errno = wanted_errno;
  return 1;
}

static int is_below_root(const char* path) { return root_size > 0 && strncmp(path, root, root_size) == 0; }

static int names_file(const char* path) {
  if (root_size == 0 || path == NULL) return 0;
  if (path[0] == '/') return is_below_root(path);
  char folder[PATH_MAX];
  return getcwd(folder, sizeof folder) != NULL && is_below_root(folder);
}

static int is_file(int descriptor) {
  if (root_size == 0) return 0;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const int before = errno;
  const ssize_t size = readlink(link, path, sizeof path - 1);
  errno = before;
  if (size <= 0) return 0;
  path[size] = '\0';
  return is_below_root(path);
}

#define NEXT(type, name) \
  static type next;      \
  if (next == NULL) next = (type)dlsym(RTLD_NEXT, name)

static int open_file(const char* path, int flags, mode_t mode) {
  typedef int (*function)(const char*, int, ...);
  NEXT(function, "open");
  if (names_file(path) && fails(OPEN)) return -1;
  return next(path, flags, mode);
}

static mode_t mode_in(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? (mode_t)va_arg(arguments, unsigned) : 0;
}

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_in(flags, arguments);
  va_end(arguments);
  return open_file(path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_in(flags, arguments);
  va_end(arguments);
  return open_file(path, flags | O_LARGEFILE, mode);
}

ssize_t read(int descriptor, void* bytes, size_t size) {
  typedef ssize_t (*function)(int, void*, size_t);
  NEXT(function, "read");
  return is_file(descriptor) && fails(READ) ? -1 : next(descriptor, bytes, size);
}

ssize_t write(int descriptor, const void* bytes, size_t size) {
  typedef ssize_t (*function)(int, const void*, size_t);
  NEXT(function, "write");
  return is_file(descriptor) && fails(WRITE) ? -1 : next(descriptor, bytes, size);
}

int fsync(int descriptor) {
  typedef int (*function)(int);
  NEXT(function, "fsync");
  return is_file(descriptor) && fails(FSYNC) ? -1 : next(descriptor);
}

int rename(const char* from, const char* to) {
  typedef int (*function)(const char*, const char*);
  NEXT(function, "rename");
  return names_file(to) && fails(RENAME) ? -1 : next(from, to);
}

int mkdir(const char* path, mode_t mode) {
  typedef int (*function)(const char*, mode_t);
  NEXT(function, "mkdir");
  return names_file(path) && fails(MKDIR) ? -1 : next(path, mode);
}

int flock(int descriptor, int operation) {
  typedef int (*function)(int, int);
  NEXT(function, "flock");
  return is_file(descriptor) && fails(FLOCK) ? -1 : next(descriptor, operation);
}

void* mmap(void* address, size_t size, int protection, int flags, int descriptor, off_t offset) {
  typedef void* (*function)(void*, size_t, int, int, int, off_t);
  NEXT(function, "mmap");
  if (descriptor >= 0 && is_file(descriptor) && fails(MMAP)) return MAP_FAILED;
  return next(address, size, protection, flags, descriptor, offset);
}

int posix_fallocate(int descriptor, off_t offset, off_t size) {
  typedef int (*function)(int, off_t, off_t);
  NEXT(function, "posix_fallocate");
  return is_file(descriptor) && fails(FALLOCATE) ? wanted_errno : next(descriptor, offset, size);
}

static int no_memory(size_t size) {
  return size >= (1U << 16) && __atomic_load_n(&counts[OPEN], __ATOMIC_SEQ_CST) > 0 && fails(MALLOC);
}

void* malloc(size_t size) { return no_memory(size) ? NULL : __libc_malloc(size); }

void* calloc(size_t count, size_t size) { return no_memory(count * size) ? NULL : __libc_calloc(count, size); }

void* realloc(void* block, size_t size) { return no_memory(size) ? NULL : __libc_realloc(block, size); }

int posix_memalign(void** block, size_t alignment, size_t size) {
  const int before = errno;
  if (no_memory(size)) {
    errno = before;
    return ENOMEM;
  }
  void* made = __libc_memalign(alignment, size);
  if (made == NULL) return ENOMEM;
  *block = made;
  return 0;
}
