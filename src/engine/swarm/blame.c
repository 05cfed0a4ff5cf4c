// Who sent the bad block. One source: banned at once. Several: the digests of the failed copy's blocks are kept and
// compared with the next good copy; only who sent a differing block is banned. Bittorrent note, trap 11.
#include "engine/swarm/blame.h"
#include "engine/swarm/event.h"
#include "engine/swarm/known.h"
#include "engine/swarm/peer.h"
#include "engine/swarm/peer_io.h"
#include "engine/swarm/piece.h"
#include "engine/swarm/swarm_int.h"

#include "engine/swarm/webseed.h"

enum {
    SOURCES_MAX = 512,                  // peers remembered for blame after they left
};

struct blame {
    struct map_node node;
    uint32_t index, blocks_n;
    uint8_t key[4];
    uint32_t *sources;
    uint8_t (*digests)[SHA256_LEN];
};

static struct blame *find(const struct swarm *s, uint32_t index)
{
    const uint8_t key[4] = {(uint8_t)(index >> 24), (uint8_t)(index >> 16), (uint8_t)(index >> 8), (uint8_t)index};
    struct map_node *n = map_get(&s->blames, slice_of(key, 4));
    return n == NULL ? NULL : CONTAINER(n, struct blame, node);
}

static void drop(struct swarm *s, struct blame *b)
{
    map_remove(&s->blames, &b->node);
    mem_free(s->mem, b->sources, b->blocks_n * sizeof *b->sources);
    mem_free(s->mem, b->digests, (size_t)b->blocks_n * SHA256_LEN);
    mem_free(s->mem, b, sizeof *b);
}

bool blame_single_source(const struct piece *p)
{
    for (uint32_t i = 1; i < p->blocks_n; i++)
        if (p->blocks[i].source != p->blocks[0].source)
            return false;
    return true;
}

bool blame_known(const struct swarm *s, uint32_t index)
{
    return find(s, index) != NULL;
}

void blame_record(struct swarm *s, const struct piece *p)
{
    if (find(s, p->index) != NULL)
        return;                         // the first failed copy is enough to compare with
    struct blame *b = mem_zalloc(s->mem, sizeof *b);
    if (b == NULL)
        return;
    b->index = p->index;
    b->blocks_n = p->blocks_n;
    b->sources = mem_zarray(s->mem, p->blocks_n, sizeof *b->sources);
    b->digests = p->leaves == NULL ? NULL : mem_zarray(s->mem, p->blocks_n, SHA256_LEN);
    for (int i = 0; i < 4; i++)
        b->key[i] = (uint8_t)(p->index >> (24 - 8 * i));
    if (b->sources == NULL || (p->leaves != NULL && b->digests == NULL) || map_put(&s->blames, &b->node, slice_of(b->key, 4)) != ERR_OK) {
        mem_free(s->mem, b->sources, b->blocks_n * sizeof *b->sources);
        mem_free(s->mem, b->digests, (size_t)b->blocks_n * SHA256_LEN);
        mem_free(s->mem, b, sizeof *b);
        return;
    }
    for (uint32_t i = 0; i < p->blocks_n; i++)
        b->sources[i] = p->blocks[i].source;
    if (b->digests != NULL)
        memcpy(b->digests, p->leaves, (size_t)p->blocks_n * SHA256_LEN);
}

void blame_settle(struct swarm *s, const struct piece *p)
{
    struct blame *b = find(s, p->index);
    if (b == NULL)
        return;
    ASSERT(b->blocks_n == p->blocks_n);
    for (uint32_t i = 0; p->leaves != NULL && b->digests != NULL && i < b->blocks_n; i++)
        if (memcmp(b->digests[i], p->leaves[i], SHA256_LEN) != 0)
            ban(s, b->sources[i]);
    drop(s, b);
}

static uint32_t with_digests(const struct swarm *s, struct map_node *n)
{
    for (; n != NULL; n = map_next(&s->blames, n))
        if (CONTAINER(n, struct blame, node)->digests != NULL)
            return CONTAINER(n, struct blame, node)->index;
    return UINT32_MAX;
}

uint32_t blame_first(const struct swarm *s) { return with_digests(s, map_first(&s->blames)); }

uint32_t blame_next(const struct swarm *s, uint32_t index)
{
    struct blame *b = find(s, index);
    return b == NULL ? UINT32_MAX : with_digests(s, map_next(&s->blames, &b->node));
}

// The true digests are proved, before another copy is: who sent other blocks is known now.
void blame_leaves(struct swarm *s, uint32_t index, struct slice leaves)
{
    struct blame *b = find(s, index);
    if (b == NULL || b->digests == NULL || leaves.n < (size_t)b->blocks_n * SHA256_LEN)
        return;
    for (uint32_t i = 0; i < b->blocks_n; i++)
        if (memcmp(b->digests[i], leaves.p + (size_t)i * SHA256_LEN, SHA256_LEN) != 0)
            ban(s, b->sources[i]);
    drop(s, b);
}

void blame_done(struct swarm *s)
{
    for (struct map_node *n = map_first(&s->blames); n != NULL; n = map_first(&s->blames))
        drop(s, CONTAINER(n, struct blame, node));
}

bool is_banned(const struct swarm *s, const struct addr *a)
{
    for (uint32_t i = 0; i < s->banned.n; i++) {
        const struct addr *b = &s->banned.items[i];
        if (addr_is_loopback(a) ? addr_eq(a, b) : same_site(a, b))
            return true;
    }
    return false;
}

// A loopback address stands for every program of this machine: there, only that port goes.
static void remember(struct swarm *s, const struct addr *a)
{
    known_forget(&s->known, a);
    if (is_banned(s, a))
        return;
    void *items = s->banned.items;
    if (mem_grow(s->mem, &items, &s->banned.cap, s->banned.n + 1, SWARM_BANNED_MAX, sizeof *s->banned.items) == ERR_OK) {
        s->banned.items = items;
        s->banned.items[s->banned.n++] = *a;
    }
}

// Only who gave a block is remembered: connections that give nothing cannot push the givers out.
void blame_source(struct swarm *s, struct swarm_peer *p)
{
    if (p->is_source)
        return;
    void *items = s->sources;
    const uint32_t want = u32_min(s->sources_n + 1, SOURCES_MAX);
    if (mem_grow(s->mem, &items, &s->sources_cap, want, SOURCES_MAX, sizeof *s->sources) != ERR_OK)
        return;                         // tried again with its next block
    s->sources = items;
    p->is_source = true;
    s->sources[s->sources_n++ % SOURCES_MAX] = (struct source){p->serial, p->addr};
}

static const struct addr *source_addr(const struct swarm *s, uint32_t serial)
{
    for (const struct list *l = s->peers.next; l != &s->peers; l = l->next) {
        const struct swarm_peer *p = CONTAINER((struct list *)(uintptr_t)l, struct swarm_peer, link);
        if (p->serial == serial)
            return &p->addr;
    }
    for (uint32_t i = 0; i < s->sources_cap; i++)
        if (s->sources[i].serial == serial)
            return &s->sources[i].addr;
    return NULL;
}

void ban(struct swarm *s, uint32_t serial)
{
    if (serial == SOURCE_UNKNOWN || web_ban(s, serial))
        return;
    const struct addr *from = source_addr(s, serial);
    if (from == NULL)
        return;                         // so long gone that its address is forgotten
    const struct addr addr = *from;
    const bool again = is_banned(s, &addr);
    bool was_here = false;
    LIST_EACH(&s->peers, link, save) {
        struct swarm_peer *p = CONTAINER(link, struct swarm_peer, link);
        if (p->closing || !(p->serial == serial || (same_site(&p->addr, &addr) && !addr_is_loopback(&addr))))
            continue;
        was_here = true;
        rx_close(s, p, ERR_HASH);
    }
    remember(s, &addr);
    if (was_here || !again)
        event_push(s, &(struct event){.kind = SWARM_EVENT_BANNED, .addr = addr});
}
