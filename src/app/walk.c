// See walk.h.
#include "app/walk.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/fileio.h"

static int no_memory(struct app *a)
{
    return talk_fail(&a->talk, FAIL_INTERNAL, NULL, "out of memory");
}

static int64_t mtime_of(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static int refuse(struct app *a, const char *path, const char *what, const char *hint)
{
    char name[TALK_NAME_MAX];
    return talk_fail(&a->talk, FAIL_USAGE, hint, "%s %s", talk_clean(slice_str(path), name), what);
}

static int cannot(struct app *a, const char *path, int e)
{
    char name[TALK_NAME_MAX];
    const enum fail f = fail_of_errno(e);
    return talk_fail(&a->talk, f, f == FAIL_PERMISSION ? "make it readable, or leave it out" : NULL, "cannot read %s: %s",
        talk_clean(slice_str(path), name), strerror(e));
}

// ---- one file

static int append(struct app *a, struct walk *w, const struct walk_file *f)
{
    void *items = w->files;
    const enum err e = mem_grow(&app_mem, &items, &w->files_cap, w->files_n + 1, METAINFO_FILES_MAX, sizeof *w->files);
    w->files = items;
    if (e == ERR_FULL)
        return talk_fail(&a->talk, FAIL_USAGE, "share parts of it", "more than %d files", METAINFO_FILES_MAX);
    if (e != ERR_OK)
        return no_memory(a);
    w->files[w->files_n] = *f;
    w->files[w->files_n].path = strdup(f->path);
    w->files[w->files_n].target = f->target != NULL ? strdup(f->target) : NULL;
    w->files_n++;
    w->total += f->len;
    const struct walk_file *mine = &w->files[w->files_n - 1];
    return mine->path == NULL || (f->target != NULL && mine->target == NULL) ? no_memory(a) : 0;
}

// A link is kept only if every program can make it again: relative, to a file, without leaving the torrent.
static int add_link(struct app *a, struct walk *w, const char *full, char *path)
{
    static const char hint[] = "copy its target in its place, or remove it";
    char text[PATH_MAX];
    const ssize_t n = readlink(full, text, sizeof text - 1);
    if (n < 0)
        return cannot(a, full, errno);
    text[n] = 0;
    if (text[0] == '/')
        return refuse(a, full, "is an absolute symbolic link, which no torrent can hold", hint);
    char *const real = realpath(full, NULL);
    if (real == NULL)
        return refuse(a, full, "is a symbolic link to nothing", hint);
    const size_t root_n = strlen(w->root);
    struct stat st;
    int status = 0;
    if (strncmp(real, w->root, root_n) != 0 || real[root_n] != '/')
        status = refuse(a, full, "is a symbolic link that leads out of the directory", hint);
    else if (stat(real, &st) != 0)
        status = cannot(a, full, errno);
    else if (!S_ISREG(st.st_mode))
        status = refuse(a, full, "is a symbolic link to something that is no file", hint);
    else if (lstat(full, &st) != 0)
        status = cannot(a, full, errno);
    else
        status = append(a, w, &(struct walk_file){.path = path, .target = real + root_n + 1, .mtime_ns = mtime_of(&st)});
    free(real);
    return status;
}

static int add_file(struct app *a, struct walk *w, const char *full, char *path, const struct stat *st)
{
    if (access(full, R_OK) != 0)
        return cannot(a, full, errno);
    const struct walk_file f = {.path = path, .len = (uint64_t)st->st_size, .mtime_ns = mtime_of(st),
        .executable = (st->st_mode & S_IXUSR) != 0};
    return append(a, w, &f);
}

// ---- directories

static int compare_names(const void *x, const void *y)
{
    const char *const *a = x, *const *b = y;
    return strcmp(*a, *b);      // bytes, not the locale's order
}

static void free_names(char **names, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

// The names in a directory, sorted.
static int list_names(struct app *a, const char *full, char ***out, uint32_t *out_n)
{
    DIR *dir = opendir(full);
    if (dir == NULL)
        return cannot(a, full, errno);
    void *names = NULL;
    uint32_t n = 0, cap = 0;
    int status = 0;
    for (struct dirent *d = NULL; status == 0 && (errno = 0, d = readdir(dir)) != NULL;) {
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
            continue;
        if (mem_grow(&app_mem, &names, &cap, n + 1, METAINFO_FILES_MAX, sizeof(char *)) != ERR_OK ||
            (((char **)names)[n] = strdup(d->d_name)) == NULL)
            status = no_memory(a);
        else
            n++;
    }
    if (status == 0 && errno != 0)
        status = cannot(a, full, errno);
    closedir(dir);
    if (status != 0) {
        free_names(names, n);
        return status;
    }
    if (n > 0)
        qsort(names, n, sizeof(char *), compare_names);
    *out = names;
    *out_n = n;
    return 0;
}

static int walk_dir(struct app *a, struct walk *w, const char *below, unsigned depth);

static int walk_entry(struct app *a, struct walk *w, const char *below, const char *name, unsigned depth)
{
    char path[PATH_MAX], full[PATH_MAX], clean[TALK_NAME_MAX];
    const int n = snprintf(path, sizeof path, "%s%s%s", below, *below != 0 ? "/" : "", name);
    const int m = snprintf(full, sizeof full, "%s/%s", w->root, path);
    if (n < 0 || (size_t)n >= sizeof path || m < 0 || (size_t)m >= sizeof full)
        return refuse(a, name, "has too long a path", NULL);
    if (strcmp(talk_clean(slice_str(name), clean), name) != 0)
        return refuse(a, full, "has a name that is not UTF-8 or has control characters", "rename it: other computers could not have it");
    struct stat st;
    if (lstat(full, &st) != 0)
        return cannot(a, full, errno);
    if (S_ISDIR(st.st_mode))
        return walk_dir(a, w, path, depth + 1);
    if (S_ISLNK(st.st_mode))
        return add_link(a, w, full, path);
    if (S_ISREG(st.st_mode))
        return add_file(a, w, full, path, &st);
    return refuse(a, full, "is neither file nor directory", "remove it, or share parts of the directory");
}

// below: path below the root, "" for the root itself.
static int walk_dir(struct app *a, struct walk *w, const char *below, unsigned depth)
{
    char full[PATH_MAX];
    const int n = snprintf(full, sizeof full, "%s%s%s", w->root, *below != 0 ? "/" : "", below);
    if (n < 0 || (size_t)n >= sizeof full || depth > WALK_DEPTH_MAX)
        return refuse(a, below, "is nested too deeply", NULL);
    char **names = NULL;
    uint32_t names_n = 0;
    int status = list_names(a, full, &names, &names_n);
    for (uint32_t i = 0; i < names_n && status == 0; i++)
        status = walk_entry(a, w, below, names[i], depth);
    free_names(names, names_n);
    return status;
}

int walk_path(struct app *a, const char *path, struct walk *out)
{
    *out = (struct walk){0};
    struct stat st;
    char *const real = realpath(path, NULL);
    if (real == NULL || stat(real, &st) != 0) {
        free(real);
        return cannot(a, path, errno);
    }
    out->root = real;
    char *const slash = strrchr(real, '/');
    out->name = strdup(slash + 1);
    if (out->name == NULL)
        return no_memory(a);
    if (out->name[0] == 0)
        return refuse(a, path, "has no name", "name a directory in it");
    out->is_dir = S_ISDIR(st.st_mode);
    if (out->is_dir)
        return walk_dir(a, out, "", 0);
    if (!S_ISREG(st.st_mode))
        return refuse(a, path, "is neither file nor directory", NULL);
    const int status = add_file(a, out, real, out->name, &st);
    slash[slash == real ? 1 : 0] = 0;
    return status;
}

void walk_done(struct walk *w)
{
    for (uint32_t i = 0; i < w->files_n; i++) {
        free(w->files[i].path);
        free(w->files[i].target);
    }
    free(w->files);
    free(w->root);
    free(w->name);
    *w = (struct walk){0};
}

bool walk_unchanged(const struct walk *w, uint32_t *out_file)
{
    char full[PATH_MAX];
    for (uint32_t i = 0; i < w->files_n; i++) {
        const struct walk_file *f = &w->files[i];
        struct stat st;
        snprintf(full, sizeof full, "%s/%s", w->root, f->path);
        if (lstat(full, &st) == 0 && mtime_of(&st) == f->mtime_ns && (f->target != NULL || (uint64_t)st.st_size == f->len))
            continue;
        *out_file = i;
        return false;
    }
    return true;
}
