// See space.h.
#include "app/space.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

bool space_free(const char *root, uint64_t *out)
{
    struct statvfs fs;
    if (statvfs(root, &fs) != 0)
        return false;
    *out = (uint64_t)fs.f_bavail * fs.f_frsize;
    return true;
}

bool space_of(const struct metainfo *m, const uint8_t *priorities, const char *root, struct space *out)
{
    enum { STAT_BLOCK = 512 };          // unit of st_blocks
    uint64_t need = 0, avail = 0;
    if (!space_free(root, &avail))
        return false;
    for (uint32_t i = 0; i < m->files_n; i++) {
        const struct metainfo_file *f = &m->files[i];
        char path[PATH_MAX];
        struct stat st;
        if ((f->flags & (FILE_PAD | FILE_SYMLINK)) != 0 || (priorities != NULL && priorities[i] == 0))
            continue;
        const int n = snprintf(path, sizeof path, "%s/%.*s", root, (int)f->path.n, (const char *)f->path.p);
        const bool there = n > 0 && (size_t)n < sizeof path && lstat(path, &st) == 0 && S_ISREG(st.st_mode);
        need += u64_sub_sat(f->len, there ? (uint64_t)st.st_blocks * STAT_BLOCK : 0);
    }
    *out = (struct space){need, avail};
    return true;
}
