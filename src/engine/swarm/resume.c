// What is saved of a torrent: a bencoded dictionary, keys in order. Only what is on stable storage is claimed; what was
// written since, or is being written, is marked to be hashed at the next start.
#include "engine/swarm/files.h"
#include "engine/swarm/picker.h"
#include "engine/swarm/piece.h"
#include "engine/swarm/storage.h"
#include "engine/swarm/swarm_int.h"

#include "base/bits.h"

enum {
    RESUME_VERSION = 4,                 // with totals: bytes of content down and up, seconds of seeding, over all runs
    RESUME_VERSION_UNFINISHED = 3,      // without, but with `unfinished`
    RESUME_VERSION_OLD = 2,             // with neither; all have the `.parts` file, the last of `files`
};

#define SEEDED_S_MAX ((uint64_t)1 << 33) // 272 years, and in ns it fits 64 bits

enum { SIZE_NONE = -1, SIZE_ASIDE = -2 };   // in place of a size: there is no such file; its bytes lie in `.parts`

static struct slice info_hash(const struct metainfo *m)
{
    return m->has_v1 ? slice_of(m->hash_v1, SHA1_LEN) : slice_of(m->hash_v2, SHA256_LEN);
}

static void write_int(struct wr *w, int64_t v)
{
    wr_u8(w, 'i');
    wr_dec_signed(w, v);
    wr_u8(w, 'e');
}

static void write_str(struct wr *w, struct slice v)
{
    wr_dec(w, v.n);
    wr_u8(w, ':');
    wr_bytes(w, v);
}

enum err resume_write(struct swarm *s)
{
    const size_t bits = bits_bytes(s->meta->pieces_n);
    const size_t cap = 384 + 2 * bits + ((size_t)s->meta->files_n + 1) * 48 + (size_t)s->unfinished.n * 24;
    mem_free(s->mem, s->blob, s->blob_len);
    s->blob_len = 0;
    uint8_t *check = mem_zalloc(s->mem, bits);
    s->blob = mem_zalloc(s->mem, cap);
    if (s->blob == NULL || check == NULL) {
        mem_free(s->mem, check, bits);
        mem_free(s->mem, s->blob, cap);
        s->blob = NULL;
        return ERR_NOMEM;
    }
    s->blob_len = cap;
    for (uint32_t i = 0; i < s->meta->pieces_n; i++)
        if ((bits_get(s->have, i) && !bits_get(s->synced, i)) || s->picker.state[i] == PICKER_OPEN || bits_get(s->check_todo, i) ||
            bits_get(s->recheck_bits, i))
            bits_set(check, i);
    for (uint32_t i = 0; i < CHECKS_MAX; i++)
        if (s->checks[i].busy)
            bits_set(check, s->checks[i].index);
    struct buf b = {s->blob, 0, cap};
    struct wr w = wr_make(&b);
    wr_str(&w, "d5:check");
    write_str(&w, slice_of(check, bits));
    wr_str(&w, "6:device");
    write_int(&w, (int64_t)(s->stats_saved[0].device & INT64_MAX));
    wr_str(&w, "4:down");
    write_int(&w, (int64_t)(s->past.down_bytes + s->stats_now.down_bytes));
    wr_str(&w, "5:filesl");
    for (uint32_t f = 0; f <= s->meta->files_n; f++) {
        const bool aside = f < s->meta->files_n && s->in_parts[f];
        write_int(&w, aside ? SIZE_ASIDE : s->stats_saved[f].exists ? (int64_t)s->stats_saved[f].size : SIZE_NONE);
        write_int(&w, s->stats_saved[f].mtime_ns);
    }
    wr_str(&w, "e4:hash");
    write_str(&w, info_hash(s->meta));
    wr_str(&w, "4:have");
    write_str(&w, slice_of(s->synced, bits));
    wr_str(&w, "6:seeded");
    write_int(&w, (int64_t)(swarm_seeded(s) / NSEC_S));
    wr_str(&w, "10:unfinishedl");
    for (uint32_t i = 0; i < s->unfinished.n; i++) {
        write_int(&w, s->unfinished.items[i].piece);
        write_int(&w, s->unfinished.items[i].blocks);
    }
    wr_str(&w, "e2:up");
    write_int(&w, (int64_t)(s->past.up_bytes + s->stats_now.up_bytes));
    wr_str(&w, "7:version");
    write_int(&w, RESUME_VERSION);
    wr_str(&w, "e");
    mem_free(s->mem, check, bits);
    ASSERT(w.ok);
    s->totals_saved_at = s->now;
    s->totals_saved_up = s->stats_now.up_bytes;
    // The blob is handed out exactly as long as it is.
    uint8_t *fit = s->mem->resize(s->mem->ctx, s->blob, cap, b.n);
    if (fit == NULL)
        return ERR_NOMEM;
    s->blob = fit;
    s->blob_len = b.n;
    return ERR_OK;
}

static void expect(struct rd *r, const char *text)
{
    if (!slice_eq_str(rd_bytes(r, strlen(text)), text))
        r->ok = false;
}

// Digits up to `end`; the number must fit an int64.
static int64_t read_number(struct rd *r, uint8_t end)
{
    size_t n = 0;
    while (n < r->n && r->p[n] != end && n < 20)
        n++;
    struct slice digits = rd_bytes(r, n);
    const bool negative = digits.n != 0 && digits.p[0] == '-';
    uint64_t v = 0;
    if (negative)
        digits = slice_sub(digits, 1, digits.n);
    if (dec_parse(digits, INT64_MAX, &v) != ERR_OK || rd_u8(r) != end)
        r->ok = false;
    return negative ? -(int64_t)v : (int64_t)v;
}

static int64_t read_int(struct rd *r)
{
    expect(r, "i");
    return read_number(r, 'e');
}

static struct slice read_str(struct rd *r)
{
    const int64_t n = read_number(r, ':');
    if (n < 0)
        r->ok = false;
    return rd_bytes(r, n < 0 ? 0 : (size_t)n);
}

// False: there is no such list.
static bool read_unfinished(struct swarm *s, struct rd *r)
{
    if (r->n == 0 || r->p[0] != '1')
        return false;
    expect(r, "10:unfinishedl");
    while (r->ok && r->n != 0 && r->p[0] != 'e') {
        const int64_t piece = read_int(r), blocks = read_int(r);
        if (piece < 0 || blocks < 0 || unfinished_add(s, (uint64_t)piece, (uint64_t)blocks) == ERR_SYNTAX)
            r->ok = false;
    }
    expect(r, "e");
    return true;
}

// A number that older data lacks; false: it does.
static bool read_total(struct rd *r, const char *key, uint64_t *out)
{
    struct rd ahead = *r;
    expect(&ahead, key);
    if (!ahead.ok)
        return false;
    const int64_t v = read_int(&ahead);
    *r = ahead;
    r->ok &= v >= 0;
    *out = v < 0 ? 0 : (uint64_t)v;
    return true;
}

// Reads what resume_write wrote for this torrent, byte for byte of its form. ERR_SYNTAX: anything else.
enum err resume_read(struct swarm *s, struct slice blob)
{
    const uint32_t n = s->meta->pieces_n;
    struct rd r = rd_make(blob);
    expect(&r, "d5:check");
    const struct slice check = read_str(&r);
    expect(&r, "6:device");
    const int64_t device = read_int(&r);
    struct totals past = {0};
    uint64_t seeded = 0;
    bool totals = read_total(&r, "4:down", &past.down_bytes);
    expect(&r, "5:filesl");
    for (uint32_t f = 0; r.ok && f <= s->meta->files_n; f++) {
        const int64_t size = read_int(&r);
        const int64_t mtime_ns = read_int(&r);
        s->stats_saved[f] = (struct io_stat){.exists = size >= 0, .size = size < 0 ? 0 : (uint64_t)size, .mtime_ns = mtime_ns,
                                             .device = (uint64_t)device};
        if (f < s->meta->files_n)
            s->was_in_parts[f] = size == SIZE_ASIDE;
    }
    expect(&r, "e4:hash");
    const struct slice hash = read_str(&r);
    expect(&r, "4:have");
    const struct slice have = read_str(&r);
    totals &= read_total(&r, "6:seeded", &seeded);
    past.seeded = u64_min(seeded, SEEDED_S_MAX) * NSEC_S;
    const bool unfinished = read_unfinished(s, &r);
    totals &= read_total(&r, "2:up", &past.up_bytes);
    const int64_t expected = totals ? RESUME_VERSION : unfinished ? RESUME_VERSION_UNFINISHED : RESUME_VERSION_OLD;
    expect(&r, "7:version");
    const int64_t version = read_int(&r);
    expect(&r, "e");
    const bool trust = s->cfg.trust;    // then only the totals are of use
    if (trust) {
        memset(s->was_in_parts, 0, s->meta->files_n);
        s->unfinished.n = 0;
    }
    if (!r.ok || r.n != 0 || version != expected || !slice_eq(hash, info_hash(s->meta)) || have.n != bits_bytes(n) ||
        check.n != bits_bytes(n)) {
        memset(s->stats_saved, 0, (s->meta->files_n + 1) * sizeof *s->stats_saved);
        memset(s->was_in_parts, 0, s->meta->files_n);
        s->unfinished.n = 0;
        return ERR_SYNTAX;
    }
    s->past = past;
    if (trust)
        memset(s->stats_saved, 0, (s->meta->files_n + 1) * sizeof *s->stats_saved);
    for (uint32_t i = 0; i < n && !trust; i++) {
        if (bits_get(have.p, i)) {
            have_set(s, i);
            bits_set(s->synced, i);
        } else if (bits_get(check.p, i)) {
            bits_set(s->suspect_bits, i);
        }
    }
    return ERR_OK;
}
