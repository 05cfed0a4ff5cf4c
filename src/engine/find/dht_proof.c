// See dht_proof.h.
#include "engine/find/dht_proof.h"

#include "base/siphash.h"

enum { PROOF_WAYS = 4, MAC_BYTES = 16 + 2 + 1 + NODE_ID_LEN + 8 };

void proof_init(struct proof *p, const struct mem *mem, const uint64_t key[2])
{
    *p = (struct proof){.mem = mem, .key = {key[0], key[1]}};
}

void proof_done(struct proof *p)
{
    mem_free(p->mem, p->waiting, p->waiting == NULL ? 0 : PROOF_WAITING * sizeof *p->waiting);
    mem_free(p->mem, p->slots, p->slots == NULL ? 0 : PROOF_SLOTS * sizeof *p->slots);
    *p = (struct proof){0};
}

// ---- addresses that are real

// Whose address (IPv6: whose /64) it is, at whatever port.
static uint64_t key_of(const struct proof *p, const struct addr *a) { return siphash(p->key, slice_of(a->ip, a->family == ADDR_IPV4 ? 4 : 8)); }

bool proof_has(const struct proof *p, nsec now, const struct addr *a)
{
    const uint64_t key = key_of(p, a);
    for (uint32_t i = 0; i < PROOF_WAYS && p->slots != NULL; i++) {
        const struct proof_slot *s = &p->slots[(key + i) % PROOF_SLOTS];
        if (s->key == key && s->until > now)
            return true;
    }
    return false;
}

// In its own slot, or instead of the one that would be over first.
static void remember(struct proof *p, nsec now, const struct addr *a)
{
    if (p->slots == NULL && (p->slots = mem_zarray(p->mem, PROOF_SLOTS, sizeof *p->slots)) == NULL)
        return;
    const uint64_t key = key_of(p, a);
    struct proof_slot *found = NULL;
    for (uint32_t i = 0; i < PROOF_WAYS; i++) {
        struct proof_slot *s = &p->slots[(key + i) % PROOF_SLOTS];
        if (found == NULL || s->key == key || (found->key != key && s->until < found->until))
            found = s;
    }
    *found = (struct proof_slot){key, now + PROOF_KEPT};
}

// ---- questions

static uint64_t digest(const struct proof *p, const struct addr *a, const uint8_t id[NODE_ID_LEN], uint64_t step)
{
    uint8_t space[MAC_BYTES];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    wr_bytes(&w, slice_of(a->ip, sizeof a->ip));
    wr_be16(&w, a->port);
    wr_u8(&w, a->family);
    wr_bytes(&w, slice_of(id, NODE_ID_LEN));
    wr_be64(&w, step);
    ASSERT(w.ok);
    return siphash(p->key, buf_slice(&b));
}

bool proof_can_ask(const struct krpc *q)
{
    const bool short_question = q->method == KRPC_FIND_NODE || q->method == KRPC_GET_PEERS || q->method == KRPC_GET || q->method == KRPC_SAMPLE;
    return short_question && !q->read_only && q->tid.n <= PROOF_THEIR_TID_MAX;
}

bool proof_ask(struct proof *p, nsec now, const struct addr *from, const struct krpc *q, uint8_t out[PROOF_TID_LEN])
{
    ASSERT(proof_can_ask(q));
    if (p->waiting == NULL && (p->waiting = mem_zarray(p->mem, PROOF_WAITING, sizeof *p->waiting)) == NULL)
        return false;
    struct proof_question *w = &p->waiting[p->at];
    *w = (struct proof_question){.from = *from, .method = q->method, .tid_n = (uint8_t)q->tid.n, .has_want = q->has_want, .want_v4 = q->want_v4,
        .want_v6 = q->want_v6, .noseed = q->noseed, .scrape = q->scrape, .has_seq = q->has_seq, .seq = q->seq};
    memcpy(w->id, q->id, NODE_ID_LEN);
    memcpy(w->target, q->target, NODE_ID_LEN);
    if (q->tid.n != 0)
        memcpy(w->tid, q->tid.p, q->tid.n);
    struct buf b = {out, 0, PROOF_TID_LEN};
    struct wr wr = wr_make(&b);
    wr_be16(&wr, u16_of(p->at));
    wr_be64(&wr, digest(p, from, q->id, now / PROOF_STEP));
    ASSERT(wr.ok);
    p->at = (p->at + 1) % PROOF_WAITING;
    return true;
}

bool proof_answer(struct proof *p, nsec now, const struct addr *from, const struct krpc *m, struct krpc *out)
{
    struct rd r = rd_make(m->tid);
    const uint32_t i = rd_be16(&r);
    const uint64_t said = rd_be64(&r), step = now / PROOF_STEP;
    if (!r.ok || r.n != 0 || p->waiting == NULL)
        return false;
    if (said != digest(p, from, m->id, step) && (step == 0 || said != digest(p, from, m->id, step - 1)))
        return false;
    remember(p, now, from);
    *out = (struct krpc){.kind = KRPC_QUERY};
    struct proof_question *w = i < PROOF_WAITING ? &p->waiting[i] : NULL;
    if (w == NULL || !addr_eq(&w->from, from))
        return true;
    *out = (struct krpc){.kind = KRPC_QUERY, .method = w->method, .tid = slice_of(w->tid, w->tid_n), .has_id = true, .has_target = true,
        .has_want = w->has_want, .want_v4 = w->want_v4, .want_v6 = w->want_v6, .noseed = w->noseed, .scrape = w->scrape, .has_seq = w->has_seq,
        .seq = w->seq};
    memcpy(out->id, w->id, NODE_ID_LEN);
    memcpy(out->target, w->target, NODE_ID_LEN);
    w->from = (struct addr){0};
    return true;
}
