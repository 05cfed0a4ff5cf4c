// Computed content and its cached digests: see content.h.
#include "sim/content.h"

static const uint64_t GOLDEN = 0x9e3779b97f4a7c15;      // as in base/rng.c: a counter-based stream
static const uint64_t EVERY_BYTE = 0x0101010101010101;

enum { STEP_KEY_LEN = SHA1_LEN + 4 + 4 + 8 };

// One step of a running SHA-1: what was hashed before (by its digest), then which content; gives the state behind.
struct sha1_step {
    struct map_node node;
    uint8_t key[STEP_KEY_LEN];
    struct sha1 after;
};

struct leaf {
    struct map_node node;
    uint8_t key[4 + 4 + 8];
    uint8_t digest[SHA256_LEN];
};

enum err content_init(struct content *c, const struct mem *mem, uint64_t seed)
{
    *c = (struct content){.seed = seed, .mem = mem};
    c->scratch = mem_zalloc(mem, BLOCK_LEN);
    if (c->scratch == NULL)
        return ERR_NOMEM;
    map_init(&c->sha1, mem, CONTENT_DIGESTS_MAX, 1);
    map_init(&c->leaves, mem, CONTENT_DIGESTS_MAX, 2);
    return ERR_OK;
}

void content_done(struct content *c)
{
    for (struct map_node *n = map_first(&c->sha1); n != NULL; n = map_first(&c->sha1)) {
        map_remove(&c->sha1, n);
        mem_free(c->mem, CONTAINER(n, struct sha1_step, node), sizeof(struct sha1_step));
    }
    for (struct map_node *n = map_first(&c->leaves); n != NULL; n = map_first(&c->leaves)) {
        map_remove(&c->leaves, n);
        mem_free(c->mem, CONTAINER(n, struct leaf, node), sizeof(struct leaf));
    }
    map_done(&c->sha1);
    map_done(&c->leaves);
    mem_free(c->mem, c->scratch, BLOCK_LEN);
    *c = (struct content){0};
}

// The same as mix64, where the compiler sees it: this is the lab's innermost loop.
static inline uint64_t mix(uint64_t v)
{
    v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9;
    v = (v ^ v >> 27) * 0x94d049bb133111eb;
    return v ^ v >> 31;
}

static inline void put_word(uint8_t *out, uint64_t word)
{
    const uint8_t bytes[8] = {(uint8_t)word, (uint8_t)(word >> 8), (uint8_t)(word >> 16), (uint8_t)(word >> 24), (uint8_t)(word >> 32),
        (uint8_t)(word >> 40), (uint8_t)(word >> 48), (uint8_t)(word >> 56)};
    memcpy(out, bytes, sizeof bytes);
}

void content_bytes(const struct content *c, const struct extent *e, uint8_t *out)
{
    if (e->content == CONTENT_NONE || e->content == CONTENT_ZERO) {
        memset(out, e->taint == 0 ? 0 : 0xa5, (size_t)e->len);
        return;
    }
    const uint64_t key = mix64(c->seed ^ mix64(e->content));
    const uint64_t mask = e->taint == 0 ? 0 : mix64(e->taint) | EVERY_BYTE;
    uint64_t off = e->off, left = e->len;
    while (left > 0) {
        const uint64_t word = mix(key + GOLDEN * (off / 8)) ^ mask;
        if (off % 8 == 0 && left >= 8) {
            put_word(out, word);
            out += 8;
            off += 8;
            left -= 8;
            continue;
        }
        *out++ = (uint8_t)(word >> 8 * (off % 8));
        off++;
        left--;
    }
}

static void range_key(struct wr *w, const struct extent *e)
{
    wr_be32(w, e->content);
    wr_be32(w, u32_of(e->len));
    wr_be64(w, e->content == CONTENT_ZERO || e->content == CONTENT_NONE ? 0 : e->off);
    ASSERT(w->ok);
}

static void feed(struct content *c, struct sha1 *run, const struct extent *e)
{
    struct extent part = *e;
    for (uint64_t left = e->len; left > 0; left -= part.len) {
        part.len = u64_min(left, BLOCK_LEN);
        content_bytes(c, &part, c->scratch);
        sha1_update(run, slice_of(c->scratch, (size_t)part.len));
        part.off += part.len;
    }
    c->hashed_bytes += e->len;
}

void content_sha1(struct content *c, struct sha1 *run, const struct extent *e)
{
    ASSERT(e->len <= CONTENT_RUN_MAX);
    if (e->taint != 0 || e->content == CONTENT_LITERAL) {
        feed(c, run, e);
        return;
    }
    uint8_t key[STEP_KEY_LEN];
    struct sha1 copy = *run;
    sha1_final(&copy, key);             // names what was hashed so far, whatever the state looks like inside
    struct buf b = {key, SHA1_LEN, sizeof key};
    struct wr w = wr_make(&b);
    range_key(&w, e);
    struct map_node *found = map_get(&c->sha1, slice_of(key, sizeof key));
    if (found != NULL) {
        *run = CONTAINER(found, struct sha1_step, node)->after;
        return;
    }
    feed(c, run, e);
    struct sha1_step *step = mem_zalloc(c->mem, sizeof *step);
    if (step == NULL)
        return;                         // slower, not wrong
    memcpy(step->key, key, sizeof key);
    step->after = *run;
    if (map_put(&c->sha1, &step->node, slice_of(step->key, sizeof step->key)) != ERR_OK)
        mem_free(c->mem, step, sizeof *step);
}

static void leaf_of_bytes(struct content *c, const struct extent *e, uint32_t n, uint8_t out[SHA256_LEN])
{
    size_t len = 0;
    for (uint32_t i = 0; i < n; i++) {
        ASSERT(e[i].len <= BLOCK_LEN - len);
        content_bytes(c, &e[i], c->scratch + len);
        len += (size_t)e[i].len;
    }
    c->hashed_bytes += len;
    sha256_of(slice_of(c->scratch, len), out);
}

void content_leaf(struct content *c, const struct extent *e, uint32_t n, uint8_t out[SHA256_LEN])
{
    if (n != 1 || e->taint != 0 || e->content == CONTENT_LITERAL) {
        leaf_of_bytes(c, e, n, out);
        return;
    }
    uint8_t key[16];
    struct buf b = {key, 0, sizeof key};
    struct wr w = wr_make(&b);
    range_key(&w, e);
    struct map_node *found = map_get(&c->leaves, slice_of(key, sizeof key));
    if (found != NULL) {
        memcpy(out, CONTAINER(found, struct leaf, node)->digest, SHA256_LEN);
        return;
    }
    leaf_of_bytes(c, e, n, out);
    struct leaf *leaf = mem_zalloc(c->mem, sizeof *leaf);
    if (leaf == NULL)
        return;
    memcpy(leaf->key, key, sizeof key);
    memcpy(leaf->digest, out, SHA256_LEN);
    if (map_put(&c->leaves, &leaf->node, slice_of(leaf->key, sizeof leaf->key)) != ERR_OK)
        mem_free(c->mem, leaf, sizeof *leaf);
}

struct extent content_literal(struct slice bytes)
{
    static const uint64_t key[2] = {0x6c69746572616c00, 0x1};
    const uint64_t h = siphash(key, bytes);
    return (struct extent){.len = bytes.n, .content = CONTENT_LITERAL, .taint = (uint32_t)(h >> 32) | 1};
}
