// Blocklists from files: see blocklist.h.
#include "app/blocklist.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "codec/blocklist.h"

struct reader {
    struct ranges *out;
    const char *path;
    char *why;
    uint64_t line, bad, first_bad, ranges;
};

static enum err take(struct reader *r, struct slice line)
{
    struct addr from, to;
    r->line++;
    switch (blocklist_line(line, &from, &to)) {
    case BLOCKLIST_NOTHING: return ERR_OK;
    case BLOCKLIST_BAD:
        r->first_bad = r->bad == 0 ? r->line : r->first_bad;
        if (++r->bad <= BLOCKLIST_BAD_MAX)
            return ERR_OK;
        (void)snprintf(r->why, BLOCKLIST_WHY_MAX, "%.150s: line %llu is no range of addresses, and neither are %d others", r->path,
            (unsigned long long)r->first_bad, BLOCKLIST_BAD_MAX);
        return ERR_SYNTAX;
    case BLOCKLIST_RANGE: break;
    }
    const enum err e = ranges_add(r->out, &from, &to);
    r->ranges++;
    if (e == ERR_FULL)
        (void)snprintf(r->why, BLOCKLIST_WHY_MAX, "%.150s: line %llu: more than %d ranges", r->path, (unsigned long long)r->line, RANGES_MAX);
    return e == ERR_FULL ? ERR_TOO_LONG : e;
}

static enum err read_lines(struct reader *r, gzFile f)
{
    char line[BLOCKLIST_LINE_MAX + 2];
    uint64_t bytes = 0;
    bool inside = false;                // of a line that is longer than the buffer: only its front counts
    while (gzgets(f, line, sizeof line) != NULL) {
        const size_t n = strlen(line);
        const bool whole = n != 0 && line[n - 1] == '\n';
        bytes += n;
        if (bytes > BLOCKLIST_BYTES_MAX) {
            (void)snprintf(r->why, BLOCKLIST_WHY_MAX, "%.150s: line %llu: more than %llu MiB", r->path, (unsigned long long)r->line,
                (unsigned long long)(BLOCKLIST_BYTES_MAX / MIB));
            return ERR_TOO_LONG;
        }
        if (!inside) {
            const enum err e = take(r, slice_of(line, n));
            if (e != ERR_OK)
                return e;
        }
        inside = !whole;
    }
    int code = 0;
    const char *const text = gzerror(f, &code);
    if (code == Z_OK || code == Z_STREAM_END)
        return ERR_OK;
    (void)snprintf(r->why, BLOCKLIST_WHY_MAX, "%.150s: line %llu: %s", r->path, (unsigned long long)r->line,
        code == Z_ERRNO ? strerror(errno) : text);
    return code == Z_MEM_ERROR ? ERR_NOMEM : ERR_IO;
}

enum err blocklist_read(const char *path, struct ranges *out, char why[BLOCKLIST_WHY_MAX])
{
    why[0] = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        (void)snprintf(why, BLOCKLIST_WHY_MAX, "%.150s: %s", path, strerror(errno));
        return errno == ENOENT ? ERR_NOT_FOUND : errno == EACCES ? ERR_ACCESS : ERR_IO;
    }
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        (void)close(fd);
        (void)snprintf(why, BLOCKLIST_WHY_MAX, "%.150s is a directory; a file is wanted", path);
        return ERR_SYNTAX;
    }
    gzFile f = gzdopen(fd, "rb");       // takes what is not gzip as it is
    if (f == NULL) {
        (void)close(fd);
        return ERR_NOMEM;
    }
    struct reader r = {.out = out, .path = path, .why = why};
    enum err e = read_lines(&r, f);
    (void)gzclose_r(f);
    if (e == ERR_OK && r.ranges == 0) {
        (void)snprintf(why, BLOCKLIST_WHY_MAX, "%.150s: no range of addresses in %llu lines", path, (unsigned long long)r.line);
        e = ERR_SYNTAX;
    }
    if (e == ERR_OK)
        e = ranges_finish(out);
    if (e == ERR_OK && r.bad != 0)
        (void)snprintf(why, BLOCKLIST_WHY_MAX, "%.150s: %llu lines are no ranges of addresses, the first is line %llu", path,
            (unsigned long long)r.bad, (unsigned long long)r.first_bad);
    if (e == ERR_NOMEM)
        (void)snprintf(why, BLOCKLIST_WHY_MAX, "%.150s: out of memory", path);
    return e;
}
