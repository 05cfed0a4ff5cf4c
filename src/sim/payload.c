// Address space in place of memory: see payload.h.
#include "sim/payload.h"

enum err payload_arena_init(struct payload_arena *a, struct content *content, const struct env *env,
    enum payload_mode mode, struct span space)
{
    *a = (struct payload_arena){.mode = mode, .mem = env->mem, .pages = env->payload, .content = content};
    if (mode == PAYLOAD_BYTES)
        return ERR_OK;
    ASSERT(space.n >= PAYLOAD_CHUNK);
    a->base = space.p;
    a->chunks_n = space.n / PAYLOAD_CHUNK;
    a->chunks = mem_zarray(a->mem, a->chunks_n, sizeof *a->chunks);
    return a->chunks == NULL ? ERR_NOMEM : ERR_OK;
}

static void slab_free(struct payload_arena *a, struct payload_slab *s)
{
    const size_t granules_n = s->len / PAYLOAD_GRANULE;
    for (size_t i = 0; s->granules != NULL && i < granules_n; i++)
        extents_done(&s->granules[i], a->mem);
    mem_free(a->mem, s->granules, granules_n * sizeof *s->granules);
    mem_free(a->mem, s, sizeof *s);
}

void payload_arena_done(struct payload_arena *a)
{
    while (a->spare != NULL) {
        struct payload_slab *s = a->spare;
        a->spare = s->next_free;
        slab_free(a, s);
    }
    mem_free(a->mem, a->chunks, a->chunks_n * sizeof *a->chunks);
    *a = (struct payload_arena){0};
}

// A slab of exactly len bytes that was given back, or NULL.
static struct payload_slab *reuse(struct payload_arena *a, size_t len)
{
    for (struct payload_slab **at = &a->spare; *at != NULL; at = &(*at)->next_free)
        if ((*at)->len == len) {
            struct payload_slab *s = *at;
            *at = s->next_free;
            for (size_t i = 0; i < len / PAYLOAD_GRANULE; i++)
                extents_clear(&s->granules[i]);
            return s;
        }
    return NULL;
}

static struct payload_slab *fresh_ref(struct payload_arena *a, size_t len)
{
    const size_t chunks = len / PAYLOAD_CHUNK;
    if (chunks > a->chunks_n - a->chunks_used)
        return NULL;
    struct payload_slab *s = mem_zalloc(a->mem, sizeof *s);
    struct extents *granules = mem_zarray(a->mem, len / PAYLOAD_GRANULE, sizeof *granules);
    if (s == NULL || granules == NULL) {
        mem_free(a->mem, granules, len / PAYLOAD_GRANULE * sizeof *granules);
        mem_free(a->mem, s, sizeof *s);
        return NULL;
    }
    s->base = a->base + a->chunks_used * PAYLOAD_CHUNK;
    s->len = len;
    s->granules = granules;
    for (size_t i = 0; i < chunks; i++)
        a->chunks[a->chunks_used + i] = s;
    a->chunks_used += chunks;
    return s;
}

static uint8_t *take(struct payload *p, size_t n)
{
    struct payload_arena *a = p->arena;
    struct payload_slab *s = NULL;
    if (a->mode == PAYLOAD_REF) {
        const size_t len = (n + PAYLOAD_CHUNK - 1) / PAYLOAD_CHUNK * PAYLOAD_CHUNK;
        s = reuse(a, len);
        if (s == NULL)
            s = fresh_ref(a, len);
        if (s == NULL)
            return NULL;
    } else {
        s = mem_zalloc(a->mem, sizeof *s);
        if (s == NULL)
            return NULL;
        s->base = a->pages->resize(a->pages->ctx, NULL, 0, n);
        s->len = n;
        if (s->base == NULL) {
            mem_free(a->mem, s, sizeof *s);
            return NULL;
        }
        memset(s->base, 0xdb, n);       // nobody may count on what was there
    }
    list_init(&s->link);
    list_push_back(&p->slabs, &s->link);
    p->used += s->len;
    p->peak = size_min(SIZE_MAX, p->used > p->peak ? p->used : p->peak);
    return s->base;
}

static void give_back(struct payload *p, struct payload_slab *s)
{
    struct payload_arena *a = p->arena;
    list_remove(&s->link);
    p->used -= s->len;
    if (a->mode == PAYLOAD_REF) {
        s->next_free = a->spare;
        a->spare = s;
        return;
    }
    (void)a->pages->resize(a->pages->ctx, s->base, s->len, 0);
    mem_free(a->mem, s, sizeof *s);
}

static struct payload_slab *slab_of(struct payload *p, const uint8_t *base)
{
    LIST_EACH(&p->slabs, link, save) {
        struct payload_slab *s = CONTAINER(link, struct payload_slab, link);
        if (s->base == base)
            return s;
    }
    return NULL;
}

// struct mem's door. Payload is taken and given back, never grown: a pool has slabs.
static void *resize(void *ctx, void *old, size_t old_n, size_t new_n)
{
    struct payload *p = ctx;
    if (old == NULL)
        return new_n == 0 ? NULL : take(p, new_n);
    ASSERT(new_n == 0);
    struct payload_slab *s = slab_of(p, old);
    ASSERT(s != NULL);
    ASSERT(old_n <= s->len);
    give_back(p, s);
    return NULL;
}

void payload_init(struct payload *p, struct payload_arena *a)
{
    *p = (struct payload){.face = {.resize = resize, .ctx = p}, .arena = a};
    list_init(&p->slabs);
}

void payload_done(struct payload *p)
{
    LIST_EACH(&p->slabs, link, save)
        give_back(p, CONTAINER(link, struct payload_slab, link));
    ASSERT(p->used == 0);
}

bool payload_is_ref(const struct payload_arena *a, const void *p)
{
    if (a->mode != PAYLOAD_REF)
        return false;
    const uintptr_t at = (uintptr_t)p, base = (uintptr_t)a->base;
    return at >= base && at - base < a->chunks_n * PAYLOAD_CHUNK;
}

// The slab at p and p's distance from its start.
static struct payload_slab *locate(const struct payload_arena *a, const uint8_t *p, size_t *out_at)
{
    ASSERT(payload_is_ref(a, p));
    struct payload_slab *s = a->chunks[(size_t)(p - a->base) / PAYLOAD_CHUNK];
    ASSERT(s != NULL);
    *out_at = (size_t)(p - s->base);
    return s;
}

void payload_land(struct payload_arena *a, uint8_t *p, const struct extent *e)
{
    size_t at;
    struct payload_slab *s = locate(a, p, &at);
    ASSERT(e->len <= s->len - at);
    struct extent rest = *e;
    while (rest.len > 0) {
        struct extent part = rest;
        part.pos = at % PAYLOAD_GRANULE;
        part.len = u64_min(rest.len, PAYLOAD_GRANULE - part.pos);
        extents_put(&s->granules[at / PAYLOAD_GRANULE], a->mem, &part);
        at += (size_t)part.len;
        rest.off += part.len;
        rest.len -= part.len;
    }
}

struct extent payload_at(const struct payload_arena *a, const uint8_t *p, uint64_t len)
{
    size_t at;
    const struct payload_slab *s = locate(a, p, &at);
    ASSERT(len <= s->len - at);
    const size_t pos = at % PAYLOAD_GRANULE;
    struct extent e = extents_at(&s->granules[at / PAYLOAD_GRANULE], pos, u64_min(len, PAYLOAD_GRANULE - pos));
    e.pos = 0;
    return e;
}
