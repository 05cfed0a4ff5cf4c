// Slots for content: see pool.h.
#include "engine/swarm/pool.h"

enum { SLAB_SLOTS = POOL_SLAB_LEN / BLOCK_LEN };

enum err pool_init(struct pool *p, const struct env *env, uint64_t bytes)
{
    ASSERT(bytes >= POOL_SLAB_LEN);
    const uint32_t slabs = u32_of(bytes / POOL_SLAB_LEN);
    *p = (struct pool){.payload = env->payload, .mem = env->mem, .rare = env->rare, .slabs_max = slabs, .slots_max = slabs * SLAB_SLOTS};
    p->slabs = mem_zarray(p->mem, slabs, sizeof *p->slabs);
    return p->slabs != NULL ? ERR_OK : ERR_NOMEM;
}

void pool_done(struct pool *p)
{
    ASSERT(p->taken == 0);
    for (uint32_t i = 0; i < p->slabs_n; i++)
        (void)p->payload->resize(p->payload->ctx, p->slabs[i], POOL_SLAB_LEN, 0);
    mem_free(p->mem, p->slabs, p->slabs_max * sizeof *p->slabs);
    mem_free(p->mem, p->stack, p->stack_cap * sizeof *p->stack);
    mem_free(p->mem, p->staging, p->staging_len);
    *p = (struct pool){0};
}

uint8_t *pool_staging(struct pool *p, size_t len)
{
    ASSERT(len <= POOL_STAGING_LEN);
    if (len <= p->staging_len)
        return p->staging;
    uint8_t *longer = p->mem->resize(p->mem->ctx, p->staging, p->staging_len, len);
    if (longer == NULL)
        return NULL;
    p->staging = longer;
    p->staging_len = len;
    return longer;
}

bool pool_reserve(struct pool *p)
{
    if (RARE(p->rare, RARE_POOL_FULL))
        return false;
    if (p->reserved + p->taken >= p->slots_max)
        return false;
    p->reserved++;
    return true;
}

void pool_unreserve(struct pool *p)
{
    ASSERT(p->reserved != 0);
    p->reserved--;
}

static bool add_slab(struct pool *p)
{
    ASSERT(p->slabs_n < p->slabs_max);
    void *items = p->stack;
    if (mem_grow(p->mem, &items, &p->stack_cap, (p->slabs_n + 1) * SLAB_SLOTS, p->slots_max, sizeof(uint8_t *)) != ERR_OK)
        return false;
    p->stack = items;
    uint8_t *slab = p->payload->resize(p->payload->ctx, NULL, 0, POOL_SLAB_LEN);
    if (slab == NULL)
        return false;
    p->slabs[p->slabs_n++] = slab;
    for (uint32_t i = SLAB_SLOTS; i-- > 0;)
        p->stack[p->stack_n++] = slab + (size_t)i * BLOCK_LEN;
    return true;
}

uint8_t *pool_take(struct pool *p)
{
    ASSERT(p->reserved != 0);
    if (p->stack_n == 0 && !add_slab(p))
        return NULL;
    p->reserved--;
    p->taken++;
    return p->stack[--p->stack_n];
}

void pool_give(struct pool *p, uint8_t *slot)
{
    ASSERT(p->taken != 0);
    p->taken--;
    p->stack[p->stack_n++] = slot;
}

void pool_untake(struct pool *p, uint8_t *slot)
{
    pool_give(p, slot);
    p->reserved++;
}
