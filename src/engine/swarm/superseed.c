// See superseed.h.
#include "engine/swarm/superseed.h"

enum err superseed_init(struct superseed *ss, const struct mem *mem, uint32_t pieces_n)
{
    *ss = (struct superseed){.mem = mem, .pieces_n = pieces_n};
    ss->owner = mem_zarray(mem, pieces_n, sizeof *ss->owner);
    ss->shown_at = mem_zarray(mem, pieces_n, sizeof *ss->shown_at);
    ss->sent = mem_zalloc(mem, bits_bytes(pieces_n));
    if (ss->owner != NULL && ss->shown_at != NULL && ss->sent != NULL)
        return ERR_OK;
    superseed_done(ss);
    return ERR_NOMEM;
}

void superseed_done(struct superseed *ss)
{
    mem_free(ss->mem, ss->owner, ss->pieces_n * sizeof *ss->owner);
    mem_free(ss->mem, ss->shown_at, ss->pieces_n * sizeof *ss->shown_at);
    mem_free(ss->mem, ss->sent, bits_bytes(ss->pieces_n));
    *ss = (struct superseed){0};
}

bool superseed_due(const struct superseed_peer *p, uint32_t len, bool elsewhere, uint32_t busy, nsec now)
{
    if (p->piece == SUPERSEED_NONE || elsewhere)
        return true;
    return p->sent >= len && (busy < SUPERSEED_BUSY_MIN || now - p->sent_at >= SUPERSEED_STUCK_S * NSEC_S);
}

// Shown to somebody, and neither through nor seen for long.
static bool is_stuck(const struct superseed *ss, uint32_t i, nsec now)
{
    return !bits_get(ss->sent, i) && now - ss->shown_at[i] >= SUPERSEED_STUCK_S * NSEC_S;
}

uint32_t superseed_show(struct superseed *ss, const uint16_t *avail, const uint8_t *has, uint32_t serial, struct rng *r, nsec now)
{
    const uint32_t n = ss->pieces_n, start = n == 0 ? 0 : (uint32_t)rng_below(r, n);
    uint32_t found = SUPERSEED_NONE;
    for (uint32_t k = 0; k < n; k++) {
        const uint32_t i = start < n - k ? start + k : start - (n - k);
        if (avail[i] != 0 || ss->owner[i] == serial || (has != NULL && bits_get(has, i)))
            continue;
        if (ss->owner[i] == 0) {
            found = i;
            break;
        }
        if (is_stuck(ss, i, now) && (found == SUPERSEED_NONE || ss->shown_at[i] < ss->shown_at[found]))
            found = i;
    }
    if (found == SUPERSEED_NONE)
        return found;
    ss->owner[found] = serial;
    ss->shown_at[found] = now;
    bits_clear(ss->sent, found);
    return found;
}

void superseed_sent(struct superseed *ss, struct superseed_peer *p, uint32_t piece, uint32_t len, uint32_t n, nsec now)
{
    if (piece != p->piece || p->sent >= len)
        return;
    p->sent += n;
    if (p->sent < len)
        return;
    p->sent_at = now;
    bits_set(ss->sent, piece);
}

void superseed_left(struct superseed *ss, uint32_t serial)
{
    for (uint32_t i = 0; i < ss->pieces_n; i++) {
        if (ss->owner[i] != serial)
            continue;
        ss->owner[i] = 0;
        bits_clear(ss->sent, i);
    }
}

bool superseed_over(const struct superseed *ss, const uint16_t *avail)
{
    for (uint32_t i = 0; i < ss->pieces_n; i++)
        if (avail[i] == 0 && !bits_get(ss->sent, i))
            return false;
    return true;
}
