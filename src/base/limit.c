// See limit.h. The clock of a bucket is virtual (GCRA): free_at moves on by what is charged.
#include "base/limit.h"

static uint64_t bite_of(const struct bucket *b)
{
    return u64_min(u64_max(b->bps / 1000 * LIMIT_BITE_MS, LIMIT_BITE_MIN), LIMIT_BITE_MAX);
}

static nsec time_of(const struct bucket *b, uint64_t bytes)
{
    ASSERT(bytes < (uint64_t)1 << 33);  // times a second it does not overflow
    return bytes * NSEC_S / b->bps;
}

// Since when it has saved up, if nobody was kept from it since `held`.
static nsec since(const struct bucket *b, nsec held)
{
    return u64_max(b->free_at, u64_sub_sat(held, time_of(b, LIMIT_BURST_BITES * bite_of(b))));
}

// Bytes that may go.
static uint64_t room_of(const struct bucket *b, nsec held, nsec now)
{
    return u64_sub_sat(now, since(b, held)) * b->bps / NSEC_S;
}

static void charge(struct bucket *b, nsec held, uint64_t n)
{
    if (b->bps != 0)
        b->free_at = u64_add_sat(since(b, held), time_of(b, n));
}

// When it has a bite; rounded up, so that it has it then.
static nsec bite_at(const struct bucket *b, nsec held)
{
    return since(b, held) + time_of(b, bite_of(b)) + 1;
}

static bool has_bite(const struct bucket *b, nsec held, nsec now)
{
    return b->bps == 0 || room_of(b, held, now) >= bite_of(b);
}

static nsec late(nsec wanted_at, nsec now)
{
    return wanted_at >= now ? now : u64_max(wanted_at, u64_sub_sat(now, LIMIT_LATE_MS * NSEC_MS));
}

// What a tap may have by its own limit is not lost while it waits for its turn.
static nsec held(const struct tap *t, nsec now)
{
    const nsec at = late(t->wanted_at, now);
    return list_empty(&t->turn) ? at : u64_min(t->joined_at, at);
}

static nsec held_by_all(const struct limit *l, nsec now) { return late(l->wanted_at, now); }

static struct tap *first(const struct limit *l)
{
    return LIST_FIRST(&l->waiting, struct tap, turn);
}

void limit_init(struct limit *l, nsec now, uint64_t bps)
{
    *l = (struct limit){.wanted_at = NSEC_NEVER};
    list_init(&l->waiting);
    limit_set(l, now, bps);
}

void limit_set(struct limit *l, nsec now, uint64_t bps)
{
    l->bucket = (struct bucket){.bps = u64_min(bps, LIMIT_BPS_MAX), .free_at = now};
    LIST_EACH(&l->waiting, link, save)
        tap_leave(CONTAINER(link, struct tap, turn));
}

uint32_t limit_call(struct limit *l)
{
    struct tap *t = first(l);
    if (t == NULL || t->called)
        return 0;
    t->called = true;
    return t->owner;
}

void tap_init(struct tap *t, struct limit *all, nsec now, uint64_t own_bps, uint32_t owner)
{
    ASSERT(owner != 0);
    *t = (struct tap){.all = all, .owner = owner, .wanted_at = NSEC_NEVER};
    list_init(&t->turn);
    tap_set(t, now, own_bps);
}

void tap_set(struct tap *t, nsec now, uint64_t own_bps)
{
    t->own = (struct bucket){.bps = u64_min(own_bps, LIMIT_BPS_MAX), .free_at = now};
}

static void end_turn(struct tap *t)
{
    list_remove(&t->turn);
    t->left = 0;
    t->called = false;
}

void tap_leave(struct tap *t)
{
    end_turn(t);
    t->wanted_at = NSEC_NEVER;
    if (list_empty(&t->all->waiting))
        t->all->wanted_at = NSEC_NEVER;
}

static bool has_turn(const struct tap *t)
{
    const struct tap *head = first(t->all);
    return head == NULL || head == t;
}

static void join(struct tap *t, nsec now)
{
    if (!list_empty(&t->turn))
        return;
    list_push_back(&t->all->waiting, &t->turn);
    t->joined_at = now;
    t->all->wanted_at = u64_min(t->all->wanted_at, now);
}

uint32_t tap_take(struct tap *t, nsec now, uint32_t want)
{
    ASSERT(want != 0);
    if (!tap_limited(t))
        return want;
    t->wanted_at = u64_min(t->wanted_at, now);
    if (!has_bite(&t->own, held(t, now), now)) {
        end_turn(t);                    // nobody waits for it meanwhile
        return 0;
    }
    const nsec own_held = held(t, now);
    uint64_t n = t->own.bps == 0 ? want : u64_min(want, room_of(&t->own, own_held, now));
    struct bucket *all = &t->all->bucket;
    nsec all_held = now;
    if (all->bps != 0) {
        const bool turn = has_turn(t);
        join(t, now);
        all_held = held_by_all(t->all, now);
        t->called = turn;               // it is here, and knows
        if (!turn || !has_bite(all, all_held, now))
            return 0;
        if (t->left == 0)
            t->left = u64_max(bite_of(all), LIMIT_TURN_MIN);
        n = u64_min(u64_min(n, t->left), room_of(all, all_held, now));
        t->left -= n;
        if (t->left == 0)
            end_turn(t);                // the next one; who wants more comes again
    }
    charge(all, all_held, n);
    charge(&t->own, own_held, n);
    return u32_of(n);
}

uint64_t tap_bps(const struct tap *t)
{
    const uint64_t all = t->all->bucket.bps, own = t->own.bps;
    return all == 0 ? own : own == 0 ? all : u64_min(all, own);
}

bool tap_ready(const struct tap *t, nsec now)
{
    if (!has_bite(&t->own, held(t, now), now))
        return false;
    return t->all->bucket.bps == 0 || (has_turn(t) && has_bite(&t->all->bucket, held_by_all(t->all, now), now));
}

nsec tap_wait(struct tap *t, nsec now)
{
    t->wanted_at = u64_min(t->wanted_at, now);
    if (!has_bite(&t->own, held(t, now), now)) {
        const nsec at = bite_at(&t->own, held(t, now));
        end_turn(t);
        return at;
    }
    if (t->all->bucket.bps == 0)
        return now;
    join(t, now);
    t->called = has_turn(t);
    if (!t->called)
        return NSEC_NEVER;
    const nsec all_held = held_by_all(t->all, now);
    return has_bite(&t->all->bucket, all_held, now) ? now : bite_at(&t->all->bucket, all_held);
}

void tap_charge(struct tap *t, nsec now, uint64_t n)
{
    charge(&t->all->bucket, held_by_all(t->all, now), n);
    charge(&t->own, held(t, now), n);
}

static void give_back(struct bucket *b, uint64_t n)
{
    if (b->bps != 0)
        b->free_at = u64_sub_sat(b->free_at, time_of(b, n));
}

void tap_back(struct tap *t, uint64_t n)
{
    give_back(&t->all->bucket, n);
    give_back(&t->own, n);
}
