// See fileio.h.
#include "app/fileio.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void *heap_resize(void *ctx, void *p, size_t old_n, size_t new_n)
{
    (void)ctx;
    (void)old_n;
    if (new_n == 0) {
        free(p);
        return NULL;
    }
    return realloc(p, new_n);
}

const struct mem app_mem = {.resize = heap_resize};

nsec app_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (nsec)ts.tv_sec * NSEC_S + (nsec)ts.tv_nsec;
}

// Reads until the end of the file, because its size may have changed since it was asked.
static int read_all(int fd, size_t max, struct buf *out)
{
    for (;;) {
        if (out->n == out->cap) {
            if (out->cap > max)
                return EFBIG;
            const size_t cap = size_min(out->cap * 2, max + 1);
            uint8_t *const bigger = realloc(out->p, cap);
            if (bigger == NULL)
                return ENOMEM;
            out->p = bigger;
            out->cap = cap;
        }
        const ssize_t n = read(fd, out->p + out->n, out->cap - out->n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        if (n == 0)
            return out->n > max ? EFBIG : 0;
        out->n += (size_t)n;
    }
}

int fileio_read(const char *path, size_t max, struct buf *out)
{
    // O_NONBLOCK: a pipe in place of a file must not hang us
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno;
    struct stat st;
    int e = fstat(fd, &st) != 0 ? errno : S_ISDIR(st.st_mode) ? EISDIR : !S_ISREG(st.st_mode) ? EINVAL : 0;
    if (e == 0 && (st.st_size < 0 || (uint64_t)st.st_size > max))
        e = EFBIG;
    struct buf b = {0};
    if (e == 0) {
        b.cap = size_min((size_t)st.st_size, max) + 1;
        b.p = malloc(b.cap);
        e = b.p == NULL ? ENOMEM : read_all(fd, max, &b);
    }
    close(fd);
    if (e != 0)
        free(b.p);
    else
        *out = b;
    return e;
}

static int write_all(int fd, struct slice s)
{
    while (s.n > 0) {
        const ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        s = slice_sub(s, (size_t)n, s.n);
    }
    return fsync(fd) != 0 ? errno : 0;
}

static void sync_directory_of(const char *path)
{
    char dir[PATH_MAX];
    const char *const slash = strrchr(path, '/');
    const size_t n = slash == NULL ? 0 : (size_t)(slash - path);
    if (n >= sizeof dir)
        return;
    memcpy(dir, path, n);
    dir[n] = 0;
    const int fd = open(slash == NULL ? "." : n == 0 ? "/" : dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    fsync(fd);      // best effort: the file itself is durable
    close(fd);
}

int fileio_write(const char *path, struct slice bytes, bool overwrite)
{
    char temporary[PATH_MAX];
    const int n = snprintf(temporary, sizeof temporary, "%s.part-%ld", path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof temporary)
        return ENAMETOOLONG;
    const int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return errno;
    int e = write_all(fd, bytes);
    if (close(fd) != 0 && e == 0)
        e = errno;
    // link() refuses an existing name where rename() would replace it; file systems without links get a check instead
    if (e == 0 && !overwrite) {
        struct stat st;
        e = link(temporary, path) == 0 ? 0 : errno;
        if (e == 0) {
            unlink(temporary);
            sync_directory_of(path);
            return 0;
        }
        if (e != EEXIST)
            e = lstat(path, &st) == 0 ? EEXIST : 0;
    }
    if (e == 0 && rename(temporary, path) != 0)
        e = errno;
    if (e != 0)
        unlink(temporary);
    else
        sync_directory_of(path);
    return e;
}

int fileio_mkdirs(const char *path)
{
    char part[PATH_MAX];
    const size_t n = strlen(path);
    if (n == 0)
        return ENOENT;
    if (n >= sizeof part)
        return ENAMETOOLONG;
    memcpy(part, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i] != 0)
            continue;
        const char was = part[i];
        part[i] = 0;
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return errno;
        part[i] = was;
    }
    struct stat st;
    if (stat(path, &st) != 0)
        return errno;
    return S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
}
