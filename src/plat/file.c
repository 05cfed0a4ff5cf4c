// Confined files: see file.h.
#include "plat/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "plat/oserr.h"

// Set once: the kernel or a sandbox knows no openat2.
static atomic_bool walk_steps;

void file_walk_steps(bool on) { atomic_store(&walk_steps, on); }

static bool path_text(struct slice s, char out[FILE_PATH_MAX])
{
    if (s.n == 0 || s.n >= FILE_PATH_MAX || memchr(s.p, 0, s.n) != NULL)
        return false;
    memcpy(out, s.p, s.n);
    out[s.n] = 0;
    return true;
}

// No part is empty, "." or "..", so there is no way up and no leading '/'.
static bool path_is_plain(const char *path)
{
    for (const char *p = path;;) {
        const size_t n = strcspn(p, "/");
        if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
            return false;
        if (p[n] == 0)
            return true;
        p += n + 1;
    }
}

static enum err open_root(struct slice root, int *out_fd)
{
    char text[FILE_PATH_MAX];
    if (!path_text(root, text))
        return ERR_TOO_LONG;
    const int fd = open(text, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? ERR_VANISHED : err_of_errno(errno);
    *out_fd = fd;
    return ERR_OK;
}

// One directory down. Makes it if `make`.
static int step_down(int dir, const char *name, bool make)
{
    enum { FLAGS = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
    int fd = openat(dir, name, FLAGS);
    if (fd < 0 && errno == ENOENT && make) {
        if (mkdirat(dir, name, 0777) != 0 && errno != EEXIST)
            return -1;
        fd = openat(dir, name, FLAGS);
    }
    return fd;
}

// Goes down to the directory of path's last part, step by step: to `root`, which stays open, if that is the only one. path is cut
// in place; out_leaf is in it. -1 and errno: no way.
static int walk_down(int root, char *path, bool make, const char **out_leaf)
{
    int dir = root;
    char *p = path;
    for (char *slash = strchr(p, '/'); slash != NULL; slash = strchr(p, '/')) {
        *slash = 0;
        const int next = step_down(dir, p, make);
        const int failed = errno;
        if (dir != root)
            (void)close(dir);
        errno = failed;
        if (next < 0)
            return -1;
        dir = next;
        p = slash + 1;
    }
    *out_leaf = p;
    return dir;
}

// The same, open apart from `root`.
static enum err open_parent(int root, char *path, bool make, int *out_fd, const char **out_leaf)
{
    const char *leaf = NULL;
    int dir = walk_down(root, path, make, &leaf);
    if (dir == root)
        dir = fcntl(root, F_DUPFD_CLOEXEC, 0);
    if (dir < 0) {
        const enum err e = err_of_errno(errno);
        ASSERT(e != ERR_OK);
        return e;
    }
    *out_fd = dir;
    *out_leaf = leaf;
    return ERR_OK;
}

static int open_steps(int root, const char *path, int flags, mode_t mode)
{
    char copy[FILE_PATH_MAX];
    memcpy(copy, path, strlen(path) + 1);
    const char *leaf = NULL;
    const int dir = walk_down(root, copy, false, &leaf);
    if (dir < 0)
        return -1;
    const int fd = openat(dir, leaf, flags | O_NOFOLLOW, mode);
    const int failed = errno;
    if (dir != root)
        (void)close(dir);
    errno = failed;
    return fd;
}

static int open_beneath(int root, const char *path, int flags, mode_t mode)
{
    if (!atomic_load(&walk_steps)) {
        struct open_how how = {
            .flags = (uint64_t)(unsigned)(flags | O_NOFOLLOW),
            .mode = (flags & O_CREAT) != 0 ? mode : 0,
            .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
        };
        const long fd = syscall(SYS_openat2, root, path, &how, sizeof how);
        // EPERM: a seccomp filter that does not know the call; a real one comes again from the steps.
        if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
            return (int)fd;
        if (errno == ENOSYS)
            atomic_store(&walk_steps, true);
    }
    return open_steps(root, path, flags, mode);
}

static enum err check_regular(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_of_errno(errno);
    return S_ISREG(st.st_mode) ? ERR_OK : ERR_ACCESS;
}

static enum err open_in_root(int root, char *path, enum file_mode mode, int *out_fd)
{
    // O_NONBLOCK: a fifo of that name must not hang us; it means nothing for regular files.
    const int flags = O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (mode == FILE_READ ? O_RDONLY : O_RDWR | O_CREAT);
    const mode_t bits = mode == FILE_WRITE_EXECUTABLE ? 0777 : 0666;
    int fd = open_beneath(root, path, flags, bits);
    if (fd < 0 && errno == ENOENT && mode != FILE_READ) {
        char copy[FILE_PATH_MAX];
        memcpy(copy, path, strlen(path) + 1);
        int dir = -1;
        const char *leaf = NULL;
        const enum err e = open_parent(root, copy, true, &dir, &leaf);
        if (e != ERR_OK)
            return e;
        (void)close(dir);
        fd = open_beneath(root, path, flags, bits);
    }
    if (fd < 0)
        return err_of_errno(errno);
    const enum err e = check_regular(fd);
    if (e != ERR_OK) {
        (void)close(fd);
        return e;
    }
    *out_fd = fd;
    return ERR_OK;
}

enum err file_open(const struct file_name *name, enum file_mode mode, int *out_fd)
{
    char path[FILE_PATH_MAX];
    if (!path_text(name->path, path) || !path_is_plain(path))
        return ERR_ACCESS;
    int root = -1;
    enum err e = open_root(name->root, &root);
    if (e != ERR_OK)
        return e;
    e = open_in_root(root, path, mode, out_fd);
    (void)close(root);
    return e;
}

enum err file_make_root(struct slice root)
{
    char text[FILE_PATH_MAX];
    if (!path_text(root, text))
        return ERR_TOO_LONG;
    // The user named this path; links in it are followed.
    for (char *p = text + 1; p <= text + root.n; p++) {
        if (*p != '/' && *p != 0)
            continue;
        const char saved = *p;
        *p = 0;
        if (mkdir(text, 0777) != 0 && errno != EEXIST && errno != EROFS && errno != EACCES && errno != EISDIR)
            return err_of_errno(errno);
        *p = saved;
    }
    int fd = -1;
    const enum err e = open_root(root, &fd);
    if (e == ERR_OK)
        (void)close(fd);
    return e;
}

// The link's text: up from the directory of `path` to what it shares with `target`, then down.
static bool link_text(const char *path, const char *target, char out[FILE_PATH_MAX])
{
    size_t shared = 0;
    for (size_t i = 0; path[i] != 0 && path[i] == target[i]; i++) {
        if (path[i] == '/')
            shared = i + 1;
    }
    size_t n = 0;
    for (const char *p = path + shared; *p != 0; p++) {
        if (*p != '/')
            continue;
        if (n + 3 >= FILE_PATH_MAX)
            return false;
        memcpy(out + n, "../", 3);
        n += 3;
    }
    const size_t rest = strlen(target + shared);
    if (rest == 0 || rest >= FILE_PATH_MAX - n)
        return false;
    memcpy(out + n, target + shared, rest + 1);
    return true;
}

static enum err link_at(int dir, const char *leaf, const char *text)
{
    if (symlinkat(text, dir, leaf) == 0)
        return ERR_OK;
    if (errno != EEXIST)
        return err_of_errno(errno);
    struct stat st;
    if (fstatat(dir, leaf, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return err_of_errno(errno);
    if (!S_ISLNK(st.st_mode))
        return ERR_EXISTS;
    if (unlinkat(dir, leaf, 0) != 0 || symlinkat(text, dir, leaf) != 0)
        return err_of_errno(errno);
    return ERR_OK;
}

// Opens root and parent of a checked name; *out_dir is to be closed.
static enum err parent_of(const struct file_name *name, char path[FILE_PATH_MAX], bool make, int *out_dir, const char **out_leaf)
{
    if (!path_text(name->path, path) || !path_is_plain(path))
        return ERR_ACCESS;
    int root = -1;
    enum err e = open_root(name->root, &root);
    if (e != ERR_OK)
        return e;
    e = open_parent(root, path, make, out_dir, out_leaf);
    (void)close(root);
    return e;
}

enum err file_link(const struct file_name *name, struct slice target)
{
    char path[FILE_PATH_MAX], to[FILE_PATH_MAX], text[FILE_PATH_MAX];
    if (!path_text(name->path, path) || !path_text(target, to) || !path_is_plain(path) || !path_is_plain(to))
        return ERR_ACCESS;
    if (!link_text(path, to, text))
        return ERR_TOO_LONG;
    int dir = -1;
    const char *leaf = NULL;
    enum err e = parent_of(name, path, true, &dir, &leaf);
    if (e != ERR_OK)
        return e;
    e = link_at(dir, leaf, text);
    (void)close(dir);
    return e;
}

enum err file_stat_of(const struct file_name *name, struct file_stat *out)
{
    char path[FILE_PATH_MAX];
    int dir = -1;
    const char *leaf = NULL;
    enum err e = parent_of(name, path, false, &dir, &leaf);
    if (e != ERR_OK)
        return e == ERR_VANISHED ? ERR_NOT_FOUND : e;
    struct stat st;
    if (fstatat(dir, leaf, &st, AT_SYMLINK_NOFOLLOW) != 0)
        e = err_of_errno(errno);
    (void)close(dir);
    if (e != ERR_OK)
        return e;
    *out = (struct file_stat){
        .is_file = S_ISREG(st.st_mode),
        .size = (uint64_t)st.st_size,
        .dev = st.st_dev,
        .inode = st.st_ino,
        .mtime_ns = (int64_t)st.st_mtim.tv_sec * (int64_t)NSEC_S + st.st_mtim.tv_nsec,
    };
    return ERR_OK;
}

bool file_is(int fd, const struct file_stat *st)
{
    struct stat own;
    return fstat(fd, &own) == 0 && own.st_ino == st->inode && own.st_dev == st->dev;
}

enum err file_cut(int fd, uint64_t len)
{
    return ftruncate(fd, (off_t)len) == 0 ? ERR_OK : err_of_errno(errno);
}

enum err file_remove(const struct file_name *name)
{
    char path[FILE_PATH_MAX];
    int dir = -1;
    const char *leaf = NULL;
    enum err e = parent_of(name, path, false, &dir, &leaf);
    if (e != ERR_OK)
        return e == ERR_VANISHED || e == ERR_NOT_FOUND ? ERR_OK : e;
    struct stat st;
    if (fstatat(dir, leaf, &st, AT_SYMLINK_NOFOLLOW) != 0)
        e = errno == ENOENT ? ERR_OK : err_of_errno(errno);
    else if (!S_ISREG(st.st_mode))
        e = ERR_ACCESS;
    else if (unlinkat(dir, leaf, 0) != 0)
        e = err_of_errno(errno);
    (void)close(dir);
    return e;
}

uint64_t file_root_device(struct slice root)
{
    int fd = -1;
    struct stat st;
    if (open_root(root, &fd) != ERR_OK)
        return 0;
    const bool known = fstat(fd, &st) == 0;
    (void)close(fd);
    return known ? st.st_dev : 0;
}

enum err file_sync_parent(const struct file_name *name)
{
    char path[FILE_PATH_MAX];
    int dir = -1;
    const char *leaf = NULL;
    enum err e = parent_of(name, path, false, &dir, &leaf);
    if (e != ERR_OK)
        return e;
    // The way there is an O_PATH descriptor, which cannot be synced.
    const int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        e = errno == EINVAL ? ERR_OK : err_of_errno(errno);     // EINVAL: a file system without it
    if (fd >= 0)
        (void)close(fd);
    (void)close(dir);
    return e;
}
