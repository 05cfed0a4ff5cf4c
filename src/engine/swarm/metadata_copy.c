// Parts of an info dictionary become wholes; a wrong whole is traced to its sender. See metadata.h. BEP 9.
#include "engine/swarm/metadata_int.h"

enum {
    SILENT_MAX = 3,                     // parts in a row that did not come: the peer is let go
    UNASKED_PARTS_MAX = 64,
    TWICE = 2,                          // peers that one part is asked of when nothing else is left to ask
    TURN_S = 30, TURN_PART_S = 2,       // a size may hold its place so long; against greater ones so much longer for each part that came
};

static size_t part_len(uint64_t size, uint32_t part)
{
    return (size_t)u64_min(size - (uint64_t)part * UT_METADATA_PART, UT_METADATA_PART);
}

static void part_free(struct metadata *m, uint64_t size, uint8_t **parts, uint32_t i)
{
    if (parts[i] == NULL)
        return;
    m->parts_bytes -= part_len(size, i);
    mem_free(m->mem, parts[i], part_len(size, i));
    parts[i] = NULL;
}

static void own_free(struct metadata *m, struct metadata_peer *p)
{
    const uint32_t n = ut_metadata_parts(p->size);
    for (uint32_t i = 0; p->own != NULL && i < n; i++)
        part_free(m, p->size, p->own, i);
    mem_free(m->mem, p->own, n * sizeof *p->own);
    p->own = NULL;
    p->own_n = 0;
}

static void copy_free(struct metadata *m, struct metadata_copy *c)
{
    for (uint32_t i = 0; c->parts != NULL && i < c->parts_n; i++)
        part_free(m, c->size, c->parts, i);
    mem_free(m->mem, c->parts, c->parts_n * sizeof *c->parts);
    mem_free(m->mem, c->source, c->parts_n * sizeof *c->source);
    mem_free(m->mem, c->asks, c->parts_n);
    *c = (struct metadata_copy){0};
}

void copies_free(struct metadata *m)
{
    for (uint32_t i = 0; i < METADATA_SIZES_MAX; i++)
        copy_free(m, &m->copies[i]);
    ASSERT(m->parts_bytes == 0);
}

static struct metadata_copy *find(struct metadata *m, uint64_t size)
{
    for (uint32_t i = 0; i < METADATA_SIZES_MAX; i++)
        if (m->copies[i].size == size)
            return &m->copies[i];
    return NULL;
}

static uint32_t claimed_by(const struct metadata *m, uint64_t size)
{
    uint32_t n = 0;
    for (const struct list *l = m->peers.next; l != &m->peers; l = l->next) {
        const struct metadata_peer *p = CONTAINER((struct list *)(uintptr_t)l, struct metadata_peer, link);
        n += !p->closing && p->size == size;
    }
    return n;
}

// Its parts trickle in: another size has waited long enough. A false one that is greater could do so for hours.
static bool is_slow(const struct metadata *m, const struct metadata_copy *c, uint64_t other)
{
    const uint32_t parts = c->size > other ? 0 : c->came_n;
    return m->now - c->since >= (TURN_S + (nsec)parts * TURN_PART_S) * NSEC_S;
}

// The size that the fewest claim; of equals the greatest. slower_than: of those that are, for one of this size; 0: of all but `but`.
// NULL: there is none.
static struct metadata_copy *least(struct metadata *m, const struct metadata_copy *but, uint64_t slower_than)
{
    struct metadata_copy *worst = NULL;
    uint32_t fewest = UINT32_MAX;
    for (uint32_t i = 0; i < METADATA_SIZES_MAX; i++) {
        struct metadata_copy *c = &m->copies[i];
        const bool stays = c->size == 0 || c == but || (slower_than != 0 && !is_slow(m, c, slower_than));
        const uint32_t n = stays ? UINT32_MAX : claimed_by(m, c->size);
        if (n < fewest || (n == fewest && worst != NULL && c->size > worst->size)) {
            fewest = n;
            worst = c;
        }
    }
    return worst;
}

static void set_slow(struct metadata *m, const struct metadata_peer *p, struct metadata_ask *a)
{
    struct metadata_copy *c = find(m, p->size);
    if (c != NULL && !c->apart && !a->slow && c->asks[a->part] != 0)
        c->asks[a->part]--;
    a->slow = true;
}

static void unask(struct metadata *m, struct metadata_peer *p, uint32_t i)
{
    set_slow(m, p, &p->asks[i]);
    p->asks[i] = p->asks[--p->asks_n];
}

// Everything of a size goes, and nobody is asked for it for a while.
static void give_up(struct metadata *m, struct metadata_copy *c)
{
    LIST_EACH(&m->peers, link, save) {
        struct metadata_peer *p = CONTAINER(link, struct metadata_peer, link);
        if (p->size != c->size)
            continue;
        own_free(m, p);
        p->asks_n = 0;
        p->paused_until = m->now + METADATA_PAUSE_S * NSEC_S;
    }
    copy_free(m, c);
}

static struct metadata_copy *copy_of(struct metadata *m, uint64_t size)
{
    struct metadata_copy *c = find(m, size);
    if (c != NULL)
        return c;
    c = find(m, 0);
    if (c == NULL) {                    // as many sizes as we follow: one that nobody claims any more makes room, or a slow one
        c = least(m, NULL, 0);
        if (claimed_by(m, c->size) != 0)
            c = least(m, NULL, size);
        if (c == NULL)
            return NULL;
        give_up(m, c);
    }
    c->since = m->now;
    c->parts_n = ut_metadata_parts(size);
    c->size = size;
    c->parts = mem_zarray(m->mem, c->parts_n, sizeof *c->parts);
    c->source = mem_zarray(m->mem, c->parts_n, sizeof *c->source);
    c->asks = mem_zalloc(m->mem, c->parts_n);
    if (c->parts != NULL && c->source != NULL && c->asks != NULL)
        return c;
    copy_free(m, c);
    return NULL;
}

void copies_forget(struct metadata *m, struct metadata_peer *p)
{
    while (p->asks_n != 0)
        unask(m, p, 0);
    own_free(m, p);
}

// ---- asking

static bool is_asked(const struct metadata_peer *p, uint32_t part)
{
    for (uint32_t i = 0; i < p->asks_n; i++)
        if (p->asks[i].part == part)
            return true;
    return false;
}

static uint32_t wholes_begun(const struct metadata *m)
{
    uint32_t n = 0;
    for (const struct list *l = m->peers.next; l != &m->peers; l = l->next)
        n += CONTAINER((struct list *)(uintptr_t)l, struct metadata_peer, link)->own != NULL;
    return n;
}

static bool next_own(struct metadata *m, struct metadata_peer *p, const struct metadata_copy *c, uint32_t *out)
{
    if (p->own == NULL && wholes_begun(m) < METADATA_COPIES_MAX)
        p->own = mem_zarray(m->mem, c->parts_n, sizeof *p->own);
    for (uint32_t i = 0; p->own != NULL && i < c->parts_n; i++) {
        if (p->own[i] != NULL || is_asked(p, i))
            continue;
        *out = i;
        return true;
    }
    return false;
}

// The first part that nobody is asked for; when there is none left, one that a single other is asked for.
static bool next_shared(const struct metadata_peer *p, const struct metadata_copy *c, uint32_t *out)
{
    for (uint32_t asks = 0; asks < TWICE; asks++) {
        for (uint32_t i = 0; i < c->parts_n; i++) {
            if (c->parts[i] != NULL || c->asks[i] != asks || is_asked(p, i))
                continue;
            *out = i;
            return true;
        }
    }
    return false;
}

bool copies_next(struct metadata *m, struct metadata_peer *p, uint32_t *out)
{
    struct metadata_copy *c = p->asks_n == METADATA_ASKS_MAX ? NULL : copy_of(m, p->size);
    if (c == NULL || !(c->apart ? next_own(m, p, c, out) : next_shared(p, c, out)))
        return false;
    if (!c->apart)
        c->asks[*out]++;
    p->asks[p->asks_n++] = (struct metadata_ask){.part = *out, .at = m->now};
    return true;
}

void copies_late(struct metadata *m, struct metadata_peer *p)
{
    for (uint32_t i = 0; i < p->asks_n;) {
        if (m->now - p->asks[i].at >= METADATA_SLOW_S * NSEC_S)
            set_slow(m, p, &p->asks[i]);
        if (m->now - p->asks[i].at < METADATA_ASK_S * NSEC_S) {
            i++;
            continue;
        }
        unask(m, p, i);
        p->paused_until = m->now + METADATA_PAUSE_S * NSEC_S;
        if (++p->silent >= SILENT_MAX)
            metadata_let_go(m, p);
    }
    if (p->paused_until > m->now && p->own != NULL && p->own_n == 0)
        own_free(m, p);                 // another may try
}

void copies_rejected(struct metadata *m, struct metadata_peer *p, uint32_t part)
{
    for (uint32_t i = 0; i < p->asks_n; i++) {
        if (p->asks[i].part != part)
            continue;
        unask(m, p, i);
        p->paused_until = m->now + METADATA_PAUSE_S * NSEC_S;
        return;
    }
}

// ---- wholes

static bool is_right(const struct metadata *m, uint8_t *const *parts, uint64_t size)
{
    struct sha1 h1;
    struct sha256 h2;
    uint8_t v1[SHA1_LEN], v2[SHA256_LEN];
    sha1_init(&h1);
    sha256_init(&h2);
    for (uint32_t i = 0; i < ut_metadata_parts(size); i++) {
        if (m->cfg.has_v1)
            sha1_update(&h1, slice_of(parts[i], part_len(size, i)));
        if (m->cfg.has_v2)
            sha256_update(&h2, slice_of(parts[i], part_len(size, i)));
    }
    sha1_final(&h1, v1);
    sha256_final(&h2, v2);
    return (!m->cfg.has_v1 || memcmp(v1, m->cfg.hash_v1, SHA1_LEN) == 0) && (!m->cfg.has_v2 || memcmp(v2, m->cfg.hash_v2, SHA256_LEN) == 0);
}

// Whoever sent a part of this size that is not as it should be.
static void blame(struct metadata *m, uint64_t size)
{
    LIST_EACH(&m->peers, link, save) {
        struct metadata_peer *p = CONTAINER(link, struct metadata_peer, link);
        for (uint32_t i = 0; p->own != NULL && p->size == size && i < ut_metadata_parts(size); i++) {
            if (p->own[i] == NULL || memcmp(p->own[i], m->info.p + (size_t)i * UT_METADATA_PART, part_len(size, i)) == 0)
                continue;
            metadata_ban(m, p);
            break;
        }
    }
}

// The end of it: the whole is put together, and all parts go. False: no memory.
static bool done(struct metadata *m, uint8_t *const *parts, uint64_t size)
{
    m->info.p = mem_zalloc(m->mem, (size_t)size);
    if (m->info.p == NULL)
        return false;
    m->info.cap = (size_t)size;
    struct wr w = wr_make(&m->info);
    for (uint32_t i = 0; i < ut_metadata_parts(size); i++)
        wr_bytes(&w, slice_of(parts[i], part_len(size, i)));
    ASSERT(w.ok);
    blame(m, size);
    LIST_EACH(&m->peers, link, save) {
        struct metadata_peer *p = CONTAINER(link, struct metadata_peer, link);
        p->asks_n = 0;
        own_free(m, p);
    }
    copies_free(m);
    return true;
}

static struct metadata_peer *peer_of(struct metadata *m, uint32_t serial)
{
    LIST_EACH(&m->peers, link, save) {
        struct metadata_peer *p = CONTAINER(link, struct metadata_peer, link);
        if (p->serial == serial)
            return p;
    }
    return NULL;
}

// A wrong whole. Of one sender: it lied. Of several: each part goes to the whole of its sender, and they are asked for the
// rest: one more round, and who lies shows.
static void failed(struct metadata *m, struct metadata_copy *c)
{
    m->failures++;
    bool single = true;
    for (uint32_t i = 1; i < c->parts_n; i++)
        single &= c->source[i] == c->source[0];
    struct metadata_peer *liar = single ? peer_of(m, c->source[0]) : NULL;
    if (liar != NULL)
        metadata_ban(m, liar);
    LIST_EACH(&m->peers, link, save) {
        struct metadata_peer *p = CONTAINER(link, struct metadata_peer, link);
        if (p->size == c->size)
            p->asks_n = 0;
    }
    memset(c->asks, 0, c->parts_n);
    c->apart |= !single;
    for (uint32_t i = 0; i < c->parts_n; i++) {
        struct metadata_peer *p = single ? NULL : peer_of(m, c->source[i]);
        if (p != NULL && p->own == NULL && wholes_begun(m) < METADATA_COPIES_MAX)
            p->own = mem_zarray(m->mem, c->parts_n, sizeof *p->own);
        if (p != NULL && p->own != NULL && p->own[i] == NULL) {
            p->own[i] = c->parts[i];
            p->own_n++;
            c->parts[i] = NULL;
        }
        part_free(m, c->size, c->parts, i);
    }
    c->here_n = 0;
}

// Memory for parts is short: the size that the fewest claim goes, or another's whole. What is left always fits.
static void make_room(struct metadata *m, const struct metadata_copy *c, const struct metadata_peer *p)
{
    while (m->parts_bytes + UT_METADATA_PART > METADATA_PARTS_BYTES) {
        struct metadata_copy *other = least(m, c, 0);
        struct metadata_peer *poorest = NULL;
        LIST_EACH(&m->peers, link, save) {
            struct metadata_peer *q = CONTAINER(link, struct metadata_peer, link);
            if (q != p && q->own != NULL && (poorest == NULL || q->own_n < poorest->own_n))
                poorest = q;
        }
        ASSERT(other != NULL || poorest != NULL);
        if (other != NULL) {
            give_up(m, other);
        } else {
            own_free(m, poorest);
            poorest->asks_n = 0;
            poorest->paused_until = m->now + METADATA_PAUSE_S * NSEC_S;
        }
    }
}

static uint8_t *part_copy(struct metadata *m, struct slice data)
{
    uint8_t *bytes = mem_zalloc(m->mem, data.n);
    if (bytes == NULL)
        return NULL;
    memcpy(bytes, data.p, data.n);
    m->parts_bytes += data.n;
    return bytes;
}

static void take_own(struct metadata *m, struct metadata_peer *p, struct metadata_copy *c, const struct ut_metadata *u)
{
    if (p->own == NULL || p->own[u->part] != NULL || (p->own[u->part] = part_copy(m, u->data)) == NULL)
        return;
    if (++p->own_n < c->parts_n)
        return;
    if (is_right(m, p->own, c->size)) {
        if (!done(m, p->own, c->size))
            own_free(m, p);             // once more, when there is memory
        return;
    }
    m->failures++;
    metadata_ban(m, p);
    own_free(m, p);
}

static void take_shared(struct metadata *m, struct metadata_peer *p, struct metadata_copy *c, const struct ut_metadata *u)
{
    if (c->parts[u->part] != NULL || (c->parts[u->part] = part_copy(m, u->data)) == NULL)
        return;
    c->source[u->part] = p->serial;
    if (++c->here_n < c->parts_n)
        return;
    if (!is_right(m, c->parts, c->size))
        failed(m, c);
    else if (!done(m, c->parts, c->size))
        give_up(m, c);                  // once more, when there is memory
}

void copies_data(struct metadata *m, struct metadata_peer *p, const struct ut_metadata *u)
{
    uint32_t i = 0;
    while (i < p->asks_n && p->asks[i].part != u->part)
        i++;
    if (i == p->asks_n) {               // late, or never asked for
        if (++p->unasked > UNASKED_PARTS_MAX)
            metadata_let_go(m, p);
        return;
    }
    unask(m, p, i);
    struct metadata_copy *c = find(m, p->size);
    if (c == NULL || u->part >= c->parts_n || u->data.n != part_len(c->size, u->part) || (u->total != 0 && u->total != c->size)) {
        metadata_let_go(m, p);          // not what it said it has
        return;
    }
    p->silent = 0;
    c->came_n++;
    make_room(m, c, p);
    if (c->apart)
        take_own(m, p, c, u);
    else
        take_shared(m, p, c, u);
}

void copies_stats(const struct metadata *m, struct metadata_stats *out)
{
    if (m->info.n != 0) {
        out->size = m->info.n;
        out->parts_n = out->parts_here = ut_metadata_parts(m->info.n);
        return;
    }
    uint32_t most = 0;
    for (uint32_t i = 0; i < METADATA_SIZES_MAX; i++) {
        const struct metadata_copy *c = &m->copies[i];
        const uint32_t n = c->size == 0 ? 0 : claimed_by(m, c->size) + 1;
        if (n <= most)
            continue;
        most = n;
        out->size = c->size;
        out->parts_n = c->parts_n;
        out->parts_here = c->here_n;
    }
    for (const struct list *l = m->peers.next; l != &m->peers; l = l->next) {
        const struct metadata_peer *p = CONTAINER((struct list *)(uintptr_t)l, struct metadata_peer, link);
        if (p->own != NULL && p->size == out->size)
            out->parts_here = u32_max(out->parts_here, p->own_n);
    }
}

void copies_check(const struct metadata *m)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < METADATA_SIZES_MAX; i++) {
        const struct metadata_copy *c = &m->copies[i];
        uint32_t here = 0;
        for (uint32_t k = 0; k < c->parts_n; k++) {
            here += c->parts[k] != NULL;
            bytes += c->parts[k] != NULL ? part_len(c->size, k) : 0;
        }
        ASSERT(here == c->here_n);
    }
    for (const struct list *l = m->peers.next; l != &m->peers; l = l->next) {
        const struct metadata_peer *p = CONTAINER((struct list *)(uintptr_t)l, struct metadata_peer, link);
        uint32_t here = 0;
        for (uint32_t k = 0; p->own != NULL && k < ut_metadata_parts(p->size); k++) {
            here += p->own[k] != NULL;
            bytes += p->own[k] != NULL ? part_len(p->size, k) : 0;
        }
        ASSERT(here == p->own_n);
        ASSERT(p->asks_n <= METADATA_ASKS_MAX);
    }
    ASSERT(bytes == m->parts_bytes);
    ASSERT(bytes <= METADATA_PARTS_BYTES);
}
