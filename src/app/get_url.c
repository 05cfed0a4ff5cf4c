// `kith get URL…`: a file by its URLs. It is fetched as the only file of a torrent without hashes, whose web seeds the URLs
// are: so ranges in parallel, mirrors, limits, resume, full disks and the order of syncs are those of torrents, in one place.
// The file has its name only when it is complete; until then it is NAME.part. A Metalink (RFC 5854) says all of that for each of its
// files, and what tells that they are right: with hashes of pieces a mirror that gives wrong ones is left, and the others go on.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app/fileio.h"
#include "app/get.h"
#include "app/interrupt.h"
#include "app/metalink.h"
#include "app/options.h"
#include "app/probe.h"
#include "app/session.h"
#include "base/units.h"

enum { PIECE_LEN_MIN = 1 << 20, PIECES_MANY = 65536, READ_LEN = 1 << 18, BUSY_WAIT_MAX_S = 30, BUSY_TRIES_MAX = 5, NAME_MAX_BYTES = 240 };

struct plain {
    struct app *a;
    struct probe probes[PROBE_URLS_MAX];
    struct metainfo_url urls[PROBE_URLS_MAX];       // those that have it
    uint32_t n, urls_n;
    const struct probe *best;           // the first of them
    char *root;
    char name[PATH_PART_MAX + 1], part[PATH_PART_MAX + 8];
    char path[PATH_MAX], part_path[PATH_MAX];
    uint8_t sum[SHA256_LEN];            // --checksum, or of the Metalink
    size_t sum_n;                       // 0: none
    const struct metalink_file *link;   // NULL: none
};

static int fail_url(struct plain *g, const struct probe *p)
{
    char url[TALK_NAME_MAX], why[PROBE_WHY_MAX];
    talk_clean(slice_str(p->url), url);
    if (p->status == 404 || p->status == 410)
        return talk_fail(&g->a->talk, FAIL_NOT_FOUND, NULL, "%s: the server has no such file (%d)", url, p->status);
    if (p->status == 401 || p->status == 403)
        return talk_fail(&g->a->talk, FAIL_PERMISSION, "put NAME:PASSWORD@ before the host if it wants them", "%s: the server refuses (%d)",
            url, p->status);
    if (p->status >= 400)
        return talk_fail(&g->a->talk, FAIL_NETWORK, "try again later", "%s: the server answers with an error (%d)", url, p->status);
    if (p->err == ERR_NOT_FOUND)
        return talk_fail(&g->a->talk, FAIL_NOT_FOUND, NULL, "%s: the server has no such file", url);
    const enum fail f = p->err == ERR_UNREACHABLE ? FAIL_DNS : p->err == ERR_TIMEOUT ? FAIL_TIMEOUT :
        p->err == ERR_ACCESS ? FAIL_PERMISSION : FAIL_NETWORK;
    return talk_fail(&g->a->talk, f, p->err == ERR_PROXY ? "is it running, and are its port, name and password right?" : NULL, "%s: %s", url,
        p->err == ERR_OK ? "no answer of use" : probe_why(g->a, p->err, why));
}

static bool is_there(const struct probe *p)
{
    return p->err == ERR_OK && (p->status == 200 || p->status == 206);
}

// Asks the servers, and again a few times while all that could have it are busy.
static enum err ask(struct plain *g)
{
    for (uint32_t tries = 0;; tries++) {
        const enum err e = probe_all(g->a, g->probes, g->n);
        uint32_t wait_s = 0;
        bool found = false;
        for (uint32_t i = 0; i < g->n; i++) {
            const struct probe *p = &g->probes[i];
            found |= is_there(p);
            if (p->status == 503 || p->status == 429)
                wait_s = u32_min(u32_max(p->retry_after_s, 1), BUSY_WAIT_MAX_S);
        }
        if (e != ERR_OK || found || wait_s == 0 || tries == BUSY_TRIES_MAX)
            return e;
        talk_note(&g->a->talk, "the server is busy; asking again in %u s", wait_s);
        for (uint32_t ms = 0; ms < wait_s * 1000 && !interrupted(); ms += 100)
            (void)nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        if (interrupted())
            return ERR_CANCELLED;
    }
}

static bool has_size(const struct plain *g, const struct probe *p)
{
    return g->link == NULL || g->link->size == METALINK_SIZE_UNKNOWN || p->size == g->link->size;
}

// Which URLs have the file: the Metalink or the first that answers says how long it is, and others must agree.
static int choose(struct plain *g)
{
    char url[TALK_NAME_MAX], why[PROBE_WHY_MAX];
    bool found = false;
    for (uint32_t i = 0; i < g->n; i++) {
        found |= is_there(&g->probes[i]);
        if (is_there(&g->probes[i]) && has_size(g, &g->probes[i]) &&
            (g->best == NULL || (g->best->size == PROBE_SIZE_UNKNOWN && g->probes[i].size != PROBE_SIZE_UNKNOWN)))
            g->best = &g->probes[i];
    }
    if (g->best == NULL && found)
        return talk_fail(&g->a->talk, FAIL_HASH_MISMATCH, NULL, "%s: no server has a file of the size that the Metalink says",
            talk_clean(slice_str(g->link->name), url));
    if (g->best == NULL)
        return fail_url(g, &g->probes[0]);
    for (uint32_t i = 0; i < g->n; i++) {
        const struct probe *p = &g->probes[i];
        if (is_there(p) && p->size == g->best->size)
            g->urls[g->urls_n++] = (struct metainfo_url){.url = slice_str(p->url)};
        else if (is_there(p))
            talk_warn(&g->a->talk, "%s is left out: its file has another size", talk_clean(slice_str(p->url), url));
        else
            talk_warn(&g->a->talk, "%s is left out: %s", talk_clean(slice_str(p->url), url),
                p->status != 0 ? "the server does not give it" : probe_why(g->a, p->err, why));
    }
    return 0;
}

static int read_checksum(struct plain *g)
{
    static const struct {
        const char *name;
        size_t n;
    } kinds[] = {{"sha-256=", SHA256_LEN}, {"sha256=", SHA256_LEN}, {"sha-1=", SHA1_LEN}, {"sha1=", SHA1_LEN}, {"", SHA256_LEN}, {"", SHA1_LEN}};
    const char *const text = g->a->options.checksum;
    if (text == NULL && g->link != NULL) {
        memcpy(g->sum, g->link->sum, sizeof g->sum);
        g->sum_n = g->link->sum_n;
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds) && text != NULL && g->sum_n == 0; i++) {
        const size_t skip = strlen(kinds[i].name);
        if (strncmp(text, kinds[i].name, skip) == 0 && hex_parse(slice_str(text + skip), g->sum, kinds[i].n) == ERR_OK)
            g->sum_n = kinds[i].n;
    }
    if (text == NULL || g->sum_n != 0)
        return 0;
    return talk_fail(&g->a->talk, FAIL_USAGE, "write sha-256= or sha-1= and the digest in hex", "--checksum %s: not a checksum", text);
}

// ERR_HASH: it is another file. Nothing to compare with is fine.
static enum err check_sum(const struct plain *g, const char *path)
{
    uint8_t digest[SHA256_LEN];
    struct sha1 one;
    struct sha256 two;
    if (g->sum_n == 0)
        return ERR_OK;
    uint8_t *const chunk = malloc(READ_LEN);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (chunk == NULL || fd < 0) {
        free(chunk);
        if (fd >= 0)
            close(fd);
        return ERR_IO;
    }
    sha1_init(&one);
    sha256_init(&two);
    ssize_t n = 0;
    while ((n = read(fd, chunk, READ_LEN)) > 0 || (n < 0 && errno == EINTR)) {
        if (n > 0 && g->sum_n == SHA1_LEN)
            sha1_update(&one, slice_of(chunk, (size_t)n));
        else if (n > 0)
            sha256_update(&two, slice_of(chunk, (size_t)n));
    }
    close(fd);
    free(chunk);
    if (g->sum_n == SHA1_LEN)
        sha1_final(&one, digest);
    else
        sha256_final(&two, digest);
    return n < 0 ? ERR_IO : memcmp(digest, g->sum, g->sum_n) == 0 ? ERR_OK : ERR_HASH;
}

// The last part of the Metalink's path: directories are not made.
static const char *own_name(const struct plain *g)
{
    const char *const slash = g->link == NULL ? NULL : strrchr(g->link->name, '/');
    if (g->a->options.name != NULL)
        return g->a->options.name;
    if (g->link != NULL)
        return slash != NULL ? slash + 1 : g->link->name;
    return g->best->name[0] != 0 ? g->best->name : "index.html";
}

static int make_paths(struct plain *g)
{
    const char *const wanted = own_name(g);
    uint8_t space[PATH_PART_MAX + 1];
    struct buf b = {space, 0, NAME_MAX_BYTES};
    struct wr w = wr_make(&b);
    if (!path_add(&w, slice_str(wanted), PATH_DOTS_DROP))
        return talk_fail(&g->a->talk, FAIL_USAGE, "choose one with --name", "%s is no name for a file", wanted);
    (void)snprintf(g->name, sizeof g->name, "%.*s", (int)b.n, (const char *)space);
    (void)snprintf(g->part, sizeof g->part, "%s.part", g->name);
    const int n = snprintf(g->path, sizeof g->path, "%s/%s", g->root, g->name);
    const int m = snprintf(g->part_path, sizeof g->part_path, "%s/%s", g->root, g->part);
    if (n < 0 || m < 0 || (size_t)n >= sizeof g->path || (size_t)m >= sizeof g->part_path)
        return talk_fail(&g->a->talk, FAIL_USAGE, NULL, "%s: the path is too long", g->name);
    return 0;
}

// The name is taken already. *out_done: and it is that file.
static int check_existing(struct plain *g, bool *out_done)
{
    struct stat st;
    char size[UNITS_TEXT_MAX];
    if (lstat(g->path, &st) != 0 || g->a->options.force)
        return 0;
    if (g->sum_n != 0 && S_ISREG(st.st_mode) && check_sum(g, g->path) == ERR_OK) {
        talk_note(&g->a->talk, "%s%s was there already", g->a->talk.utf8 ? "✓ " : "", units_size((uint64_t)st.st_size, size));
        *out_done = true;
        return 0;
    }
    return talk_fail(&g->a->talk, FAIL_DUPLICATE, "--force replaces it, --name chooses another name", "%s is there already", g->name);
}

// Complete, written and synced: it gets its name, if it is what was wanted.
static int publish(struct plain *g)
{
    const enum err e = check_sum(g, g->part_path);
    if (e == ERR_HASH) {
        (void)unlink(g->part_path);     // nothing tells which part is wrong
        return talk_fail(&g->a->talk, FAIL_HASH_MISMATCH, "it was removed; try another mirror", "%s is not the file with this checksum", g->name);
    }
    if (e != ERR_OK)
        return talk_fail(&g->a->talk, FAIL_IO, NULL, "cannot read %s", g->part);
    if (!g->a->options.force && access(g->path, F_OK) == 0)
        return talk_fail(&g->a->talk, FAIL_DUPLICATE, "the new one is complete there", "%s came up meanwhile; see %s", g->name, g->part);
    if (rename(g->part_path, g->path) != 0)
        return talk_fail(&g->a->talk, fail_of_errno(errno), NULL, "cannot rename %s: %s", g->part, strerror(errno));
    const int fd = open(g->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    return 0;
}

// The identity of what is fetched: a part of another version is of no use.
static void identify(const struct plain *g, uint8_t out[SHA256_LEN])
{
    struct sha256 h;
    const uint64_t size = g->best->size;
    uint8_t number[8];
    const char *const mark = g->best->mark[0] != 0 ? g->best->mark : g->best->url;
    for (int i = 0; i < 8; i++)
        number[i] = (uint8_t)(size >> (8 * i));
    sha256_init(&h);
    sha256_update(&h, slice_of(number, sizeof number));
    sha256_update(&h, slice_of(g->name, strlen(g->name) + 1));
    sha256_update(&h, g->sum_n != 0 ? slice_of(g->sum, g->sum_n) : slice_str(mark));
    sha256_final(&h, out);
}

// The Metalink's hashes of pieces, if they are of use: then each is verified as it comes.
static void take_pieces(const struct plain *g, struct metainfo *m)
{
    const struct metalink_file *const l = g->link;
    if (l == NULL || l->pieces_n == 0 || l->piece_len > METAINFO_PIECE_LEN_MAX || u64_div_up(m->len, l->piece_len) != l->pieces_n)
        return;
    m->has_v1 = true;
    m->piece_len = (uint32_t)l->piece_len;
    m->pieces = l->pieces;
    m->pieces_n = l->pieces_n;
    memcpy(m->hash_v1, m->hash_v2, sizeof m->hash_v1);
}

static int fetch_ranges(struct plain *g)
{
    const uint64_t size = g->best->size;
    struct metainfo_file file = {.path = slice_str(g->part), .len = size};
    struct metainfo m = {.name = slice_str(g->name), .piece_len = PIECE_LEN_MIN, .span = size, .len = size, .files = &file, .files_n = 1,
                         .web_seeds = g->urls, .web_seeds_n = g->urls_n, .mem = &app_mem};
    while (size / m.piece_len > PIECES_MANY)
        m.piece_len *= 2;
    m.pieces_n = (uint32_t)u64_div_up(size, m.piece_len);
    identify(g, m.hash_v2);
    take_pieces(g, &m);
    const struct session_config c = {.meta = &m, .root = g->root, .plain = true};
    return session_run(g->a, &c, 1);
}

// A length that nobody knows: as it comes, from the start. What breaks off cannot be gone on with.
static int fetch_stream(struct plain *g)
{
    uint64_t n = 0;
    const int fd = open(g->part_path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0)
        return talk_fail(&g->a->talk, fail_of_errno(errno), "choose another directory with -o", "cannot write %s: %s", g->part, strerror(errno));
    enum err e = g->best->size == 0 ? ERR_OK : probe_save(g->a, g->best->url, fd, &n);
    if (e == ERR_OK && fsync(fd) != 0)
        e = ERR_IO;
    close(fd);
    char size[UNITS_TEXT_MAX], why[PROBE_WHY_MAX];
    if (e == ERR_OK) {
        talk_note(&g->a->talk, "%s%s", g->a->talk.utf8 ? "✓ " : "", units_size(n, size));
        return 0;
    }
    (void)unlink(g->part_path);
    if (e == ERR_CANCELLED)
        return talk_fail(&g->a->talk, FAIL_INTERRUPTED, "this server cannot go on in the middle", "stopped after %s", units_size(n, size));
    return talk_fail(&g->a->talk, e == ERR_NOSPACE ? FAIL_DISK_FULL : e == ERR_IO ? FAIL_IO : FAIL_NETWORK, NULL, "%s: %s after %s", g->name,
        probe_why(g->a, e, why), units_size(n, size));
}

static int fetch_file(struct plain *g)
{
    char size[UNITS_TEXT_MAX];
    bool done = false;
    int status = get_make_root(g->a, &g->root);
    if (status == 0)
        status = make_paths(g);
    if (status == 0)
        status = check_existing(g, &done);
    if (status != 0 || done)
        return status;
    const bool known = g->best->size != PROBE_SIZE_UNKNOWN;
    talk_note(&g->a->talk, "%s  %s  %u server%s", g->name, known ? units_size(g->best->size, size) : "of unknown size", g->urls_n,
        g->urls_n == 1 ? "" : "s");
    status = known && g->best->size != 0 ? fetch_ranges(g) : fetch_stream(g);
    if (status == 0)
        status = publish(g);
    if (status == 0 && g->a->options.sha256)
        get_print_sha256(g->a, g->root, g->name);
    return status;
}

static int read_torrent(struct plain *g, struct metainfo *out)
{
    struct buf bytes = {0};
    char why[PROBE_WHY_MAX] = "", url[TALK_NAME_MAX];
    talk_clean(slice_str(g->best->url), url);
    enum err e = probe_read(g->a, g->best->url, METAINFO_BYTES_MAX, &bytes);
    if (e != ERR_OK)
        return talk_fail(&g->a->talk, e == ERR_CANCELLED ? FAIL_INTERRUPTED : FAIL_NETWORK, NULL, "%s: %s", url, probe_why(g->a, e, why));
    e = metainfo_parse(out, &app_mem, buf_slice(&bytes), why);
    free(bytes.p);
    return e == ERR_OK ? 0 : talk_fail(&g->a->talk, FAIL_BAD_TORRENT, NULL, "%s: %s", url, why[0] != 0 ? why : err_text(e));
}

static int fetch_known(struct plain *g, bool torrent_only)
{
    return torrent_only ? talk_fail(&g->a->talk, FAIL_USAGE, "fetch it by a command of its own", "%s is no torrent file", g->best->url) :
        fetch_file(g);
}

static int ask_and_choose(struct plain *g)
{
    struct talk *const talk = &g->a->talk;
    int status = read_checksum(g);
    const enum err e = status != 0 ? ERR_OK : ask(g);
    if (e != ERR_OK)
        status = talk_fail(talk, e == ERR_CANCELLED ? FAIL_INTERRUPTED : FAIL_INTERNAL, NULL, "%s", e == ERR_CANCELLED ? "stopped" : err_text(e));
    return status == 0 ? choose(g) : status;
}

// A URL that ends in a slash is that of a directory: a torrent's web seed would have the file's name put behind it.
static bool is_mirror(const char *url) { return options_is_url(url) && url[strlen(url) - 1] != '/'; }

static int fetch_linked(struct app *a, const struct metalink_file *l)
{
    char name[TALK_NAME_MAX];
    struct plain *g = calloc(1, sizeof *g);
    if (g == NULL)
        return talk_fail(&a->talk, FAIL_INTERNAL, NULL, "out of memory");
    g->a = a;
    g->link = l;
    for (uint32_t i = 0; i < l->urls_n && g->n < PROBE_URLS_MAX; i++)
        if (is_mirror(l->urls[i].text))
            g->probes[g->n++].url = l->urls[i].text;
    int status = g->n != 0 ? ask_and_choose(g) :
        talk_fail(&a->talk, FAIL_NOT_FOUND, NULL, "%s: the Metalink has no address that kith can fetch from", talk_clean(slice_str(l->name), name));
    if (status == 0)
        status = fetch_file(g);
    free(g->root);
    free(g);
    return status;
}

int get_metalink(struct app *a, const char *what, struct slice bytes, struct metainfo *torrent, bool *is_torrent)
{
    struct metalink m;
    char why[METALINK_WHY_MAX], name[TALK_NAME_MAX];
    const char *const of_one = a->options.checksum != NULL ? "--checksum" : a->options.name != NULL ? "--name" : NULL;
    const enum err e = metalink_parse(&m, bytes, why);
    if (e != ERR_OK)
        return talk_fail(&a->talk, e == ERR_NOMEM ? FAIL_INTERNAL : FAIL_BAD_TORRENT, NULL, "%s: %s", talk_clean(slice_str(what), name),
            why[0] != 0 ? why : err_text(e));
    int status = 0;
    if (m.files_n > 1 && of_one != NULL)
        status = talk_fail(&a->talk, FAIL_USAGE, "leave it out", "%s is for one file, and the Metalink has %u", of_one, m.files_n);
    for (uint32_t i = 0; i < m.files_n && status == 0; i++) {
        const struct metalink_file *const l = &m.files[i];
        const struct texts one = {&(const char *){l->torrents_n != 0 ? l->torrents[0].text : NULL}, 1};
        const bool by_torrent = m.files_n == 1 && l->urls_n == 0 && l->torrents_n != 0 && options_is_url(l->torrents[0].text);
        status = by_torrent ? get_urls(a, &one, true, torrent, is_torrent) : fetch_linked(a, l);
    }
    metalink_free(&m);
    return status;
}

// The URL of a Metalink is followed, too.
static int follow_metalink(struct plain *g, struct metainfo *torrent, bool *is_torrent)
{
    struct buf bytes = {0};
    char url[TALK_NAME_MAX], why[PROBE_WHY_MAX];
    talk_clean(slice_str(g->best->url), url);
    const enum err e = probe_read(g->a, g->best->url, METALINK_BYTES_MAX, &bytes);
    if (e != ERR_OK)
        return talk_fail(&g->a->talk, e == ERR_CANCELLED ? FAIL_INTERRUPTED : FAIL_NETWORK, NULL, "%s: %s", url, probe_why(g->a, e, why));
    const int status = get_metalink(g->a, g->best->url, buf_slice(&bytes), torrent, is_torrent);
    free(bytes.p);
    return status;
}

int get_urls(struct app *a, const struct texts *urls, bool torrent_only, struct metainfo *torrent, bool *is_torrent)
{
    struct plain *g = calloc(1, sizeof *g);
    if (g == NULL)
        return talk_fail(&a->talk, FAIL_INTERNAL, NULL, "out of memory");
    g->a = a;
    for (uint32_t i = 0; i < urls->n && i < PROBE_URLS_MAX; i++)
        g->probes[g->n++].url = urls->items[i];
    int status = ask_and_choose(g);
    if (status == 0 && g->n == 1 && g->best->is_torrent) {
        const char *const of_file = a->options.checksum != NULL ? "--checksum" : a->options.name != NULL ? "--name" : NULL;
        *is_torrent = true;
        status = of_file == NULL ? read_torrent(g, torrent) : talk_fail(&a->talk, FAIL_USAGE,
            "leave it out; to keep the torrent file itself, fetch it with another program",
            "%s is a torrent file, which is followed: %s is for other files", g->best->url, of_file);
    } else if (status == 0 && g->n == 1 && g->best->is_metalink && !torrent_only) {
        status = follow_metalink(g, torrent, is_torrent);
    } else if (status == 0) {
        status = fetch_known(g, torrent_only);
    }
    free(g->root);
    free(g);
    return status;
}
