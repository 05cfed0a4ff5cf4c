// See queue.h.
#include "engine/node/queue.h"

#define BASE_MAX ((uint64_t)1 << 53)    // 9 PB

enum queue_end queue_goal(const struct queue_goals *goals, const struct queue_totals *t)
{
    const uint64_t base = u64_min(u64_max(t->size, t->down_bytes), BASE_MAX);
    // in parts, so that nothing overflows
    const uint64_t wanted = base / 1000 * goals->ratio_pm + base % 1000 * goals->ratio_pm / 1000;
    if (goals->ratio_pm != 0 && t->up_bytes >= wanted)
        return QUEUE_END_RATIO;
    if (goals->seed_time != 0 && t->seeded >= goals->seed_time)
        return QUEUE_END_TIME;
    if (goals->idle != 0 && t->idle >= goals->idle)
        return QUEUE_END_IDLE;
    return QUEUE_NO_END;
}

void queue_look(struct queue_row *row, nsec now, uint64_t bps)
{
    if (!row->running) {
        row->slow = false;
        row->turned_at = 0;
        return;
    }
    if ((bps < QUEUE_SLOW_BPS) == row->slow) {
        row->turned_at = 0;
        return;
    }
    if (row->turned_at == 0)
        row->turned_at = u64_max(now, 1);
    if (now - row->turned_at < QUEUE_SLOW_S * NSEC_S)
        return;
    row->slow = !row->slow;
    row->turned_at = 0;
}

void queue_decide(struct queue_row *rows, uint32_t n, uint32_t downloads_max, uint32_t seeds_max)
{
    const uint32_t most[2] = {downloads_max, seeds_max};
    uint32_t counted[2] = {0}, running = 0;
    // those that run, do not count and stay are known before the first that waits is let in
    for (uint32_t i = 0; i < n; i++)
        running += rows[i].running && rows[i].slow && !rows[i].held;
    for (uint32_t i = 0; i < n; i++) {
        struct queue_row *r = &rows[i];
        const bool free_rider = r->running && r->slow;
        const bool place = most[r->seed] == 0 || counted[r->seed] < most[r->seed];
        r->run = !r->held && (free_rider || (place && running < QUEUE_RUNNING_MAX));
        if (!r->run || free_rider)
            continue;
        counted[r->seed]++;
        running++;
    }
}
