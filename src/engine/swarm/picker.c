// Piece order by rarity: see picker.h.
#include "engine/swarm/picker.h"

#include "base/bits.h"

enum {
    LEVELS_PER_PRIORITY = PICKER_AVAIL_MAX + 1,
    LEVELS_MAX = (PICKER_PRIORITIES - 1) * LEVELS_PER_PRIORITY + 1,
    DENSE_SHARE = 16,                   // a peer with fewer than 1/16 of the pieces is searched by its own bitfield
};

// The last level: had, open or not wanted.
static uint32_t level_never(const struct picker *p) { return p->ranks_n * LEVELS_PER_PRIORITY; }

// Priority 7 first; within it the rarest first.
static uint32_t level_of(const struct picker *p, uint32_t piece)
{
    if (p->state[piece] != PICKER_MISSING || p->priority[piece] == 0)
        return level_never(p);
    const uint32_t avail = u32_min(p->avail[piece], PICKER_AVAIL_MAX);
    return (uint32_t)p->rank[p->priority[piece]] * LEVELS_PER_PRIORITY + avail;
}

static uint32_t level_start(const struct picker *p, uint32_t level)
{
    return level == 0 ? 0 : p->level_end[level - 1];
}

// A priority comes into use: its levels, all empty, go between those of the higher and the lower ones.
static void rank_add(struct picker *p, uint8_t priority)
{
    if (priority == 0 || p->rank[priority] != PICKER_RANK_NONE)
        return;
    uint32_t r = 0;
    for (uint32_t i = 1; i < PICKER_PRIORITIES; i++) {
        if (p->rank[i] == PICKER_RANK_NONE)
            continue;
        r += i > priority;
        p->rank[i] = (uint8_t)(p->rank[i] + (i < priority));
    }
    const uint32_t first = r * LEVELS_PER_PRIORITY, behind = first + LEVELS_PER_PRIORITY, start = level_start(p, first);
    memmove(p->level_end + behind, p->level_end + first, (level_never(p) + 1 - first) * sizeof *p->level_end);
    for (uint32_t level = first; level < behind; level++)
        p->level_end[level] = start;
    p->rank[priority] = (uint8_t)r;
    p->ranks_n++;
}

static void swap(struct picker *p, uint32_t a, uint32_t b)
{
    const uint32_t x = p->order[a], y = p->order[b];
    p->order[a] = y;
    p->pos[y] = a;
    p->order[b] = x;
    p->pos[x] = b;
}

enum err picker_init(struct picker *p, const struct mem *mem, uint32_t pieces_n, uint64_t seed)
{
    *p = (struct picker){.mem = mem, .pieces_n = pieces_n, .rng = rng_make(seed, 0x7069636b)};
    p->order = mem_zarray(mem, pieces_n, sizeof *p->order);
    p->pos = mem_zarray(mem, pieces_n, sizeof *p->pos);
    p->level_end = mem_zarray(mem, LEVELS_MAX, sizeof *p->level_end);
    p->avail = mem_zarray(mem, pieces_n, sizeof *p->avail);
    p->priority = mem_zalloc(mem, pieces_n);
    p->state = mem_zalloc(mem, pieces_n);
    if (p->order == NULL || p->pos == NULL || p->level_end == NULL || p->avail == NULL || p->priority == NULL || p->state == NULL) {
        picker_done(p);
        return ERR_NOMEM;
    }
    memset(p->rank, PICKER_RANK_NONE, sizeof p->rank);
    p->level_end[0] = pieces_n;
    rank_add(p, 4);
    memset(p->priority, 4, pieces_n);
    for (uint32_t i = 0; i < pieces_n; i++)
        p->order[i] = p->pos[i] = i;
    for (uint32_t i = pieces_n; i > 1; i--)
        swap(p, i - 1, u32_of(rng_below(&p->rng, i)));
    for (uint32_t level = level_of(p, 0); level <= level_never(p); level++)
        p->level_end[level] = pieces_n;
    p->missing_n = p->closed_n = pieces_n;
    return ERR_OK;
}

void picker_done(struct picker *p)
{
    if (p->mem == NULL)
        return;
    mem_free(p->mem, p->order, p->pieces_n * sizeof *p->order);
    mem_free(p->mem, p->pos, p->pieces_n * sizeof *p->pos);
    mem_free(p->mem, p->level_end, LEVELS_MAX * sizeof *p->level_end);
    mem_free(p->mem, p->avail, p->pieces_n * sizeof *p->avail);
    mem_free(p->mem, p->priority, p->pieces_n);
    mem_free(p->mem, p->state, p->pieces_n);
    *p = (struct picker){0};
}

// Moves a piece from one level to another: one swap for each level between, then a random place in the new one.
static void move(struct picker *p, uint32_t piece, uint32_t from, uint32_t to)
{
    if (from == to)
        return;
    for (; from < to; from++) {         // to the back: become the last of the level, then move its end
        const uint32_t last = --p->level_end[from];
        if (p->pos[piece] != last)
            swap(p, p->pos[piece], last);
    }
    for (; from > to; from--) {
        const uint32_t first = p->level_end[from - 1]++;
        if (p->pos[piece] != first)
            swap(p, p->pos[piece], first);
    }
    if (to == level_never(p))
        return;
    const uint32_t start = level_start(p, to);
    swap(p, p->pos[piece], start + u32_of(rng_below(&p->rng, p->level_end[to] - start)));
}

static void count(struct picker *p, uint32_t piece, bool add)
{
    const uint32_t one = add ? 1 : UINT32_MAX;      // + 1 or - 1
    if (p->state[piece] == PICKER_HAD)
        p->had_n += one;
    else if (p->priority[piece] != 0)
        p->missing_n += one;
    if (p->state[piece] == PICKER_MISSING && p->priority[piece] != 0)
        p->closed_n += one;
}

void picker_set_priority(struct picker *p, uint32_t piece, uint8_t priority)
{
    ASSERT(piece < p->pieces_n);
    ASSERT(priority < PICKER_PRIORITIES);
    rank_add(p, priority);
    const uint32_t from = level_of(p, piece);
    count(p, piece, false);
    p->priority[piece] = priority;
    count(p, piece, true);
    move(p, piece, from, level_of(p, piece));
    p->sequential_at = u32_min(p->sequential_at, piece);
}

void picker_set_state(struct picker *p, uint32_t piece, enum picker_state state)
{
    ASSERT(piece < p->pieces_n);
    const uint32_t from = level_of(p, piece);
    count(p, piece, false);
    p->state[piece] = (uint8_t)state;
    count(p, piece, true);
    move(p, piece, from, level_of(p, piece));
    if (state == PICKER_MISSING)
        p->sequential_at = u32_min(p->sequential_at, piece);
}

void picker_inc(struct picker *p, uint32_t piece)
{
    ASSERT(p->avail[piece] < UINT16_MAX);
    const uint32_t from = level_of(p, piece);
    p->avail[piece]++;
    move(p, piece, from, level_of(p, piece));
}

void picker_dec(struct picker *p, uint32_t piece)
{
    ASSERT(p->avail[piece] != 0);
    const uint32_t from = level_of(p, piece);
    p->avail[piece]--;
    move(p, piece, from, level_of(p, piece));
}

static uint32_t next_random(struct picker *p, const uint8_t *has, uint32_t end)
{
    const uint32_t start = u32_of(rng_below(&p->rng, end));
    const uint32_t steps = u32_min(end, PICKER_WALK_MAX);
    for (uint32_t i = 0; i < steps; i++) {
        const uint32_t piece = p->order[(start + i) % end];
        if (has == NULL || bits_get(has, piece))
            return piece;
    }
    return UINT32_MAX;
}

// The peer has few pieces: look at those, a byte at a time, from a random start; the best of the first hits.
static uint32_t next_sparse(struct picker *p, const uint8_t *has)
{
    const uint32_t bytes = (uint32_t)bits_bytes(p->pieces_n);
    const uint32_t start = u32_of(rng_below(&p->rng, bytes));
    uint32_t best = UINT32_MAX, hits = 0;
    for (uint32_t i = 0; i < bytes && hits < PICKER_WALK_MAX; i++) {
        const uint32_t at = (start + i) % bytes;
        for (uint32_t k = 0; has[at] != 0 && k < 8; k++) {
            const uint32_t piece = at * 8 + k;
            if (piece >= p->pieces_n || !bits_get(has, piece) || level_of(p, piece) == level_never(p))
                continue;
            hits++;
            if (best == UINT32_MAX || p->pos[piece] < p->pos[best])
                best = piece;
        }
    }
    return best;
}

uint32_t picker_next(struct picker *p, const uint8_t *has, uint32_t has_n)
{
    const uint32_t end = level_start(p, level_never(p));
    if (end == 0 || has_n == 0)
        return UINT32_MAX;
    if (has_n < p->pieces_n && p->had_n < PICKER_RANDOM_FIRST) {       // a weak seed is asked for what nobody has yet
        const uint32_t piece = next_random(p, has, end);
        if (piece != UINT32_MAX)
            return piece;
    }
    if (has != NULL && has_n < p->pieces_n / DENSE_SHARE)
        return next_sparse(p, has);
    const uint32_t steps = u32_min(end, PICKER_WALK_MAX);
    for (uint32_t i = 0; i < steps; i++)
        if (has == NULL || bits_get(has, p->order[i]))
            return p->order[i];
    return has == NULL || end <= PICKER_WALK_MAX ? UINT32_MAX : next_sparse(p, has);
}

uint32_t picker_window(const struct picker *p)
{
    return u32_min(u32_max(p->pieces_n / PICKER_WINDOW_SHARE, PICKER_WINDOW_MIN), PICKER_WINDOW_MAX);
}

uint32_t picker_next_sequential(struct picker *p, const uint8_t *has, uint32_t window)
{
    while (p->sequential_at < p->pieces_n && level_of(p, p->sequential_at) == level_never(p))
        p->sequential_at++;
    const uint32_t end = u32_min(p->pieces_n - p->sequential_at, window) + p->sequential_at;
    uint32_t best = UINT32_MAX, ties = 0;
    for (uint32_t i = p->sequential_at; i < p->pieces_n && (i < end || best == UINT32_MAX); i++) {
        if (level_of(p, i) == level_never(p) || (has != NULL && !bits_get(has, i)))
            continue;
        if (best != UINT32_MAX && p->avail[i] > p->avail[best])
            continue;
        ties = best != UINT32_MAX && p->avail[i] == p->avail[best] ? ties + 1 : 1;
        if (ties == 1 || rng_below(&p->rng, ties) == 0)
            best = i;
    }
    return best;
}

uint32_t picker_next_random(struct picker *p, const uint8_t *has)
{
    const uint32_t end = level_start(p, level_never(p));
    uint32_t n = 0;
    for (uint32_t i = 0; i < end; i++)
        n += has == NULL || bits_get(has, p->order[i]);
    if (n == 0)
        return UINT32_MAX;
    uint64_t skip = rng_below(&p->rng, n);
    for (uint32_t i = 0; i < end; i++)
        if ((has == NULL || bits_get(has, p->order[i])) && skip-- == 0)
            return p->order[i];
    return UINT32_MAX;
}

uint32_t picker_rarest(const struct picker *p)
{
    uint32_t rarest = UINT32_MAX;
    for (uint32_t i = 0; i < p->pieces_n; i++)
        rarest = u32_min(rarest, p->avail[i]);
    return rarest == UINT32_MAX ? 0 : rarest + p->seeds;
}

void picker_check(const struct picker *p)
{
    uint32_t missing = 0, closed = 0, had = 0;
    for (uint32_t i = 0; i < p->pieces_n; i++) {
        ASSERT(p->order[p->pos[i]] == i);
        const uint32_t level = level_of(p, i);
        ASSERT(p->pos[i] >= level_start(p, level));
        ASSERT(p->pos[i] < p->level_end[level]);
        had += p->state[i] == PICKER_HAD;
        missing += picker_wants(p, i);
        closed += level != level_never(p);
    }
    ASSERT(missing == p->missing_n);
    ASSERT(closed == p->closed_n);
    ASSERT(had == p->had_n);
}
