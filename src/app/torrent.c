// What several commands do with a torrent file: read it, find its content, name it. See cmd.h.
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "app/cmd.h"
#include "app/fileio.h"
#include "codec/magnet.h"

static bool is_url(const char *text)
{
    static const char *const schemes[] = {"magnet:", "http://", "https://", "ftp://"};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (strncmp(text, schemes[i], strlen(schemes[i])) == 0)
            return true;
    return false;
}

static bool is_hash(const char *text)
{
    const size_t n = strlen(text);
    return strspn(text, "0123456789abcdefABCDEF") == n && (n == 2 * SHA1_LEN || n == 2 * SHA256_LEN);
}

static int cannot_read(struct app *a, const char *path, int e)
{
    char name[TALK_NAME_MAX];
    talk_clean(slice_str(path), name);
    if (e == EFBIG)
        return talk_fail(&a->talk, FAIL_BAD_TORRENT, NULL, "%s: no torrent file: larger than %d bytes", name, METAINFO_BYTES_MAX);
    if (e == EISDIR)
        return talk_fail(&a->talk, FAIL_USAGE, "give the .torrent file", "%s is a directory", name);
    if (e == EINVAL)
        return talk_fail(&a->talk, FAIL_USAGE, "give the .torrent file", "%s is no regular file", name);
    const enum fail f = fail_of_errno(e);
    if (f == FAIL_NOT_FOUND && is_hash(path))
        return talk_fail(&a->talk, f, "for the torrent of this info-hash write magnet:?xt=urn:btih:HASH (64 digits: urn:btmh:1220HASH)",
            "there is no file %s", name);
    return talk_fail(&a->talk, f, f == FAIL_NOT_FOUND ? "check the path" : NULL, "cannot read %s: %s", name, strerror(e));
}

int torrent_load(struct app *a, const char *path, struct metainfo *out)
{
    if (is_url(path))
        return talk_fail(&a->talk, FAIL_USAGE, "get the .torrent file and give its path", "a torrent file is wanted here, not a link");
    struct buf b = {0};
    const int e = fileio_read(path, METAINFO_BYTES_MAX, &b);
    if (e != 0)
        return cannot_read(a, path, e);
    char why[160] = "", name[TALK_NAME_MAX];
    const enum err bad = metainfo_parse(out, &app_mem, buf_slice(&b), why);
    free(b.p);
    if (bad == ERR_OK)
        return 0;
    return talk_fail(&a->talk, bad == ERR_NOMEM ? FAIL_INTERNAL : FAIL_BAD_TORRENT, NULL, "%s: %s",
        talk_clean(slice_str(path), name), why[0] != 0 ? why : err_text(bad));
}

static bool exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

// An absolute path without its last part, from malloc.
static char *parent_of(const char *path)
{
    const char *const slash = strrchr(path, '/');
    ASSERT(slash != NULL);
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

// Is there something called root/below?
static bool contains(const char *root, struct slice below)
{
    char path[PATH_MAX];
    const int n = snprintf(path, sizeof path, "%s/%.*s", root, (int)below.n, (const char *)below.p);
    return n > 0 && (size_t)n < sizeof path && exists(path);
}

char *torrent_find_root(const struct metainfo *m, const char *path)
{
    char *const self = realpath(path, NULL);
    if (self == NULL)
        return NULL;
    const char *const slash = strrchr(self, '/');
    char *const parent = slice_eq_str(m->name, slash + 1) ? parent_of(self) : NULL;
    uint32_t first = 0;
    while (first + 1 < m->files_n && (m->files[first].flags & FILE_PAD) != 0)
        first++;
    // a directory may contain another of its own name: the first file decides
    const struct slice file = m->files_n > 0 ? m->files[first].path : m->name;
    const bool below_parent = parent != NULL && (contains(parent, file) || !contains(self, m->name));
    const bool below_self = contains(self, file) || (contains(self, m->name) && !below_parent);
    if (!below_self) {
        free(self);
        return parent;
    }
    free(parent);
    return self;
}

char *torrent_magnet(const struct metainfo *m)
{
    struct magnet link = {.has_v1 = m->has_v1, .has_v2 = m->has_v2, .name = m->name};
    memcpy(link.hash_v1, m->hash_v1, sizeof link.hash_v1);
    memcpy(link.hash_v2, m->hash_v2, sizeof link.hash_v2);
    link.trackers_n = u32_min(m->trackers_n, MAGNET_TRACKERS_MAX);
    for (uint32_t i = 0; i < link.trackers_n; i++)
        link.trackers[i] = m->trackers[i].url;
    link.web_seeds_n = u32_min(m->web_seeds_n, MAGNET_WEB_SEEDS_MAX);
    for (uint32_t i = 0; i < link.web_seeds_n; i++)
        link.web_seeds[i] = m->web_seeds[i].url;
    // escaping makes three bytes of one at worst
    size_t cap = 256 + 3 * m->name.n;
    for (uint32_t i = 0; i < link.trackers_n; i++)
        cap += 8 + 3 * link.trackers[i].n;
    for (uint32_t i = 0; i < link.web_seeds_n; i++)
        cap += 8 + 3 * link.web_seeds[i].n;
    struct buf b = {malloc(cap), 0, cap - 1};
    if (b.p == NULL)
        return NULL;
    struct wr w = wr_make(&b);
    magnet_write(&w, &link);
    b.p[b.n] = 0;
    return (char *)b.p;
}

char *torrent_id(const struct metainfo *m, char out[2 * SHA1_LEN + 1])
{
    struct buf b = {(uint8_t *)out, 0, 2 * SHA1_LEN};
    struct wr w = wr_make(&b);
    wr_hex(&w, slice_of(m->has_v1 ? m->hash_v1 : m->hash_v2, SHA1_LEN));
    out[b.n] = 0;
    return out;
}

uint64_t torrent_chosen_bytes(const struct metainfo *m, const uint8_t *priorities)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < m->files_n && priorities != NULL; i++)
        sum += priorities[i] != 0 && (m->files[i].flags & FILE_PAD) == 0 ? m->files[i].len : 0;
    return priorities != NULL ? sum : m->len;
}

void torrent_describe(const struct metainfo *m, json_t *out)
{
    char id[2 * SHA1_LEN + 1];
    uint64_t files = 0;
    for (uint32_t i = 0; i < m->files_n; i++)
        files += (m->files[i].flags & FILE_PAD) == 0;
    json_object_set_new(out, "id", json_string(torrent_id(m, id)));
    json_object_set_new(out, "name", talk_json_text(m->name));
    if (m->has_v1)
        json_object_set_new(out, "hash_v1", talk_json_hex(slice_of(m->hash_v1, SHA1_LEN)));
    if (m->has_v2)
        json_object_set_new(out, "hash_v2", talk_json_hex(slice_of(m->hash_v2, SHA256_LEN)));
    json_object_set_new(out, "size", talk_json_count(m->len));
    json_object_set_new(out, "files_n", talk_json_count(files));
    json_object_set_new(out, "pieces", talk_json_count(m->pieces_n));
    json_object_set_new(out, "piece_length", talk_json_count(m->piece_len));
    json_object_set_new(out, "private", json_boolean(m->is_private));
    char *const link = m->has_v1 || m->has_v2 ? torrent_magnet(m) : NULL;
    if (link != NULL)
        json_object_set_new(out, "magnet", talk_json_text(slice_str(link)));
    free(link);
}
