// The choke decision: see choker.h.
#include "engine/swarm/choker.h"

static bool wants(const struct choke_row *row)
{
    return row->interested && !row->upload_only;
}

// Leech: who gave most; ties to the longest choked, then the lowest id.
static bool better_giver(const struct choke_row *a, const struct choke_row *b)
{
    if (a->gave != b->gave)
        return a->gave > b->gave;
    if (a->unchoked != b->unchoked)
        return b->unchoked;             // equal gifts: give the other one a turn
    if (a->changed_at != b->changed_at)
        return a->changed_at < b->changed_at;
    return a->id < b->id;
}

static bool better_taker(const struct choke_row *a, const struct choke_row *b)
{
    if (a->took != b->took)
        return a->took > b->took;
    if (a->changed_at != b->changed_at)
        return a->changed_at < b->changed_at;
    return a->id < b->id;
}

static bool turn_over(const struct choke_row *row, const struct choke_config *cfg)
{
    const bool served = row->took_turn >= (uint64_t)CHOKE_SEED_PIECES * cfg->piece_len;
    const bool idle = row->took < CHOKE_SEED_TAKES_MIN;
    return (served || idle) && cfg->now - row->changed_at >= (uint64_t)CHOKE_SEED_S * NSEC_S;
}

// Seed: who is in its turn stays, then the longest waiting.
static bool better_waiter(const struct choke_row *a, const struct choke_row *b, const struct choke_config *cfg)
{
    const bool a_in = a->unchoked && !turn_over(a, cfg);
    const bool b_in = b->unchoked && !turn_over(b, cfg);
    if (a_in != b_in)
        return a_in;
    if (a->unchoked != b->unchoked)
        return b->unchoked;             // a finished turn goes behind all who wait
    if (a->changed_at != b->changed_at)
        return a->changed_at < b->changed_at;
    return a->id < b->id;
}

static bool better(const struct choke_row *a, const struct choke_row *b, const struct choke_config *cfg)
{
    if (cfg->refill && a->unchoked != b->unchoked)
        return a->unchoked;
    switch (cfg->mode) {
    case CHOKE_LEECH: return better_giver(a, b);
    case CHOKE_SEED: return better_waiter(a, b, cfg);
    case CHOKE_SEED_FASTEST: return better_taker(a, b);
    }
    return false;
}

static bool may_be_regular(const struct choke_row *row, const struct choke_config *cfg)
{
    if (!wants(row) || row->unchoke)
        return false;
    if (cfg->refill && row->optimistic)
        return false;                   // keeps its own slot
    if (cfg->refill && row->unchoked)
        return true;                    // a round takes it, not the arrival of somebody else
    return cfg->mode != CHOKE_LEECH || !row->snubbed;
}

static void fill_regular(struct choke_row *rows, uint32_t n, const struct choke_config *cfg)
{
    for (uint32_t slot = 0; slot < cfg->regular_slots; slot++) {
        struct choke_row *best = NULL;
        for (uint32_t i = 0; i < n; i++)
            if (may_be_regular(&rows[i], cfg) && (best == NULL || better(&rows[i], best, cfg)))
                best = &rows[i];
        if (best == NULL)
            return;
        best->unchoke = true;
    }
}

static bool net_taken(const struct choke_row *rows, uint32_t n, uint32_t net)
{
    for (uint32_t i = 0; i < n; i++)
        if (rows[i].unchoke_optimistic && rows[i].net == net)
            return true;
    return false;
}

// Newcomers three times as likely; who wasted two turns waits four times longer.
static uint64_t optimistic_weight(const struct choke_row *row)
{
    const uint64_t weight = row->rounds < CHOKE_NEW_ROUNDS ? 12 : 4;
    return row->turns_wasted >= 2 ? weight / 4 : weight;
}

static struct choke_row *draw_optimistic(struct choke_row *rows, uint32_t n, bool any_net, struct rng *r)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        if (wants(&rows[i]) && !rows[i].unchoke && (any_net || !net_taken(rows, n, rows[i].net)))
            sum += optimistic_weight(&rows[i]);
    if (sum == 0)
        return NULL;
    uint64_t at = rng_below(r, sum);
    for (uint32_t i = 0; i < n; i++) {
        if (!wants(&rows[i]) || rows[i].unchoke || (!any_net && net_taken(rows, n, rows[i].net)))
            continue;
        const uint64_t weight = optimistic_weight(&rows[i]);
        if (at < weight)
            return &rows[i];
        at -= weight;
    }
    return NULL;
}

void choker_decide(struct choke_row *rows, uint32_t n, const struct choke_config *cfg, struct rng *r)
{
    for (uint32_t i = 0; i < n; i++)
        rows[i].unchoke = rows[i].unchoke_optimistic = false;
    fill_regular(rows, n, cfg);
    uint32_t regular = 0, optimistic = 0;
    for (uint32_t i = 0; i < n; i++)
        regular += rows[i].unchoke;
    // Slots that snubbing left empty become optimistic ones, so that the uplink is used.
    const uint32_t optimistic_want = cfg->no_optimistic ? 0 : cfg->optimistic_slots + (cfg->regular_slots - regular);
    for (uint32_t i = 0; i < n && !cfg->rotate && optimistic < optimistic_want; i++) {
        if (!rows[i].optimistic || !wants(&rows[i]) || rows[i].unchoke)
            continue;
        rows[i].unchoke = rows[i].unchoke_optimistic = true;
        optimistic++;
    }
    for (; optimistic < optimistic_want; optimistic++) {
        struct choke_row *row = draw_optimistic(rows, n, false, r);
        if (row == NULL)
            row = draw_optimistic(rows, n, true, r);    // all of one network, as in a laboratory
        if (row == NULL)
            break;
        row->unchoke = row->unchoke_optimistic = true;
    }
}

// Bytes in a round that the i-th slot (from 0) must be worth.
static uint64_t slot_step(uint32_t i) { return (KIB + i * 2 * KIB) * CHOKE_ROUND_S; }

// So many could be fed evenly by `all` bytes in a round. One slot more a round would keep a fast uplink idle for minutes.
static uint32_t slots_fed(uint64_t all, uint32_t slots_now)
{
    uint32_t slots = 0;
    while (slots < 2 * slots_now && all / (slots + 1) >= slot_step(slots))
        slots++;
    return slots;
}

static uint64_t taken(const struct choke_row *rows, uint32_t n)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < n; i++)
        all += rows[i].unchoked ? rows[i].took : 0;
    return all;
}

uint32_t choker_slots(const struct choke_row *rows, uint32_t n, uint32_t slots_now, bool uplink_full)
{
    // The i-th fastest keeps its slot: count how many rows are above each step without sorting.
    uint32_t slots = 0;
    for (; slots < CHOKE_SLOTS_MAX; slots++) {
        const uint64_t need = slot_step(slots);
        uint32_t above = 0;
        for (uint32_t i = 0; i < n; i++)
            above += rows[i].unchoked && rows[i].took >= need;
        if (above <= slots)
            break;
    }
    slots = u32_max(u32_max(slots + 1, slots_fed(taken(rows, n), slots_now)), CHOKE_SLOTS_MIN);
    if (uplink_full)
        slots = u32_min(slots, u32_max(slots_now, CHOKE_SLOTS_MIN));
    return u32_min(slots, CHOKE_SLOTS_MAX);
}

uint32_t choker_slots_early(uint64_t all_bps, uint32_t slots_now)
{
    return u32_min(u32_max(slots_fed(all_bps * CHOKE_ROUND_S / CHOKE_EARLY_SHARE, slots_now), slots_now), CHOKE_SLOTS_MAX);
}
