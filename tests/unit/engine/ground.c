// See ground.h.
#include "ground.h"

uint8_t content[LEN];
static uint8_t hashes[PIECES * SHA1_LEN];

static void *counted(void *ctx, void *p, size_t old_n, size_t new_n)
{
    struct ground *g = ctx;
    g->heap += new_n - old_n;
    g->heap_most = u64_max(g->heap_most, g->heap);
    return test_resize(NULL, p, old_n, new_n);
}

static void run_job(struct ground *g, const struct io_job *j)
{
    for (uint32_t i = 0; i < j->spans_n && j->kind == JOB_HASH; i++) {
        if (j->sha1 != NULL)
            sha1_update(j->sha1, slice_of(j->spans[i].p, j->spans[i].n));
        if (j->leaves != NULL)
            sha256_of(slice_of(j->spans[i].p, j->spans[i].n), j->leaves[i]);
    }
    if (j->kind == JOB_STAT)
        j->stats[0] = (struct io_stat){.exists = g->stats_n++ != 0, .size = LEN, .device = 1};
    g->jobs[g->jobs_n++] = j->id;
    assert_true(g->jobs_n < ARRAY_LEN(g->jobs));
}

void hear(struct ground *g, const struct swarm_out *out)
{
    struct stranger *t = &g->all[out->conn - 1];
    uint64_t n = 0;
    for (uint32_t i = 0; i < out->segs_n; i++) {
        const struct io_seg *s = &out->segs[i];
        n += s->kind == SEG_BYTES ? s->bytes.n : s->len;
        if (s->kind != SEG_BYTES || t->heard_n + s->bytes.n > HEARD_MAX)
            continue;
        memcpy(t->heard + t->heard_n, s->bytes.p, s->bytes.n);
        t->heard_n += s->bytes.n;
    }
    if (t->deaf)
        t->unread += n;
    else
        swarm_sent(g->swarm, g->now, t->peer, n);
}

void drain(struct ground *g)
{
    static uint8_t space[128 * 1024];
    for (;;) {
        struct buf tx = {space, 0, sizeof space};
        struct swarm_out out = {0};
        switch (swarm_poll(g->swarm, g->now, &tx, &out)) {
        case SWARM_IDLE:
            if (g->jobs_n == 0) {
                swarm_check(g->swarm);
                return;
            }
            swarm_job_done(g->swarm, g->now, g->jobs[--g->jobs_n], ERR_OK, 0);
            break;
        case SWARM_SEND: hear(g, &out); break;
        case SWARM_CLOSE: g->all[out.conn - 1].peer = NULL; break;
        case SWARM_JOB: run_job(g, &out.job); break;
        case SWARM_SAVE: swarm_saved(g->swarm, g->now, ERR_OK); break;
        case SWARM_EVENT:
            g->banned += out.event == SWARM_EVENT_BANNED;
            g->finished += out.event == SWARM_EVENT_COMPLETE;
            g->punches += out.event == SWARM_EVENT_PUNCH;
            if (out.event == SWARM_EVENT_PUNCH)
                g->punch = out.addr;
            break;
        case SWARM_FETCH:
        case SWARM_FETCH_RESUME:
        case SWARM_FETCH_CANCEL:
        case SWARM_RESUME: break;
        }
    }
}

void ground_meta(struct ground *g)
{
    memset(g, 0, sizeof *g);
    for (size_t i = 0; i < LEN; i++)
        content[i] = (uint8_t)(i * 7 + (i >> 8) * 13 + (i >> 16) * 31);
    for (size_t i = 0; i < PIECES; i++)
        sha1_of(slice_of(content + i * PIECE_LEN, PIECE_LEN), hashes + i * SHA1_LEN);
    g->now = 1000 * NSEC_S;
    g->file = (struct metainfo_file){.path = SLICE_LIT("f"), .len = LEN};
    g->meta = (struct metainfo){.has_v1 = true, .piece_len = PIECE_LEN, .pieces_n = PIECES, .span = LEN, .len = LEN, .pieces = hashes,
                                .files = &g->file, .files_n = 1, .mem = &test_mem};
}

void ground_open(struct ground *g, bool seed)
{
    static struct mem mem;
    mem = (struct mem){counted, g};
    g->env = test_env;
    g->env.mem = &mem;
    assert_int_equal(pool_init(&g->pool, &test_env, 4 * MIB), ERR_OK);
    limit_init(&g->up, g->now, 0);
    limit_init(&g->down, g->now, 0);
    const struct swarm_config cfg = {.meta = &g->meta, .store = 1, .pool = &g->pool, .up = &g->up, .down = &g->down,
                                     .peer_id = (const uint8_t *)"-KH0100-underattack.", .peers_max = 10, .utp = true, .trust = seed, .super_seed = g->super_seed};
    assert_int_equal(swarm_new(&g->swarm, &cfg, &g->env, g->now), ERR_OK);
    drain(g);
}

void ground_init(struct ground *g, bool seed)
{
    ground_meta(g);
    ground_open(g, seed);
}

void ground_done(struct ground *g)
{
    swarm_free(g->swarm);
    pool_done(&g->pool);
    assert_int_equal(g->heap, 0);
    for (uint32_t i = 0; i < STRANGERS_MAX; i++)
        free(g->all[i].heard);
}

enum err meet_as(struct ground *g, uint32_t i, bool fast, uint8_t net, uint32_t id)
{
    const uint8_t ip[4] = {10, 0, net, (uint8_t)i};
    struct swarm_peer_new in = {.conn = i + 1, .incoming = true, .theirs = {.has_fast = fast, .has_extended = true}};
    in.addr = addr_ipv4(ip, (uint16_t)(5000 + i));
    in.theirs.peer_id[0] = 'x';
    in.theirs.peer_id[1] = (uint8_t)id;
    struct stranger *t = &g->all[i];
    const enum err e = swarm_peer_add(g->swarm, g->now, &in, &t->peer);
    if (e != ERR_OK)
        return e;
    if (t->heard == NULL)
        t->heard = malloc(HEARD_MAX);
    t->heard_n = 0;
    drain(g);
    return ERR_OK;
}

void meet(struct ground *g, uint32_t i, bool fast)
{
    assert_int_equal(meet_as(g, i, fast, 1, i), ERR_OK);
}

void leave(struct ground *g, uint32_t i)
{
    if (g->all[i].peer != NULL)
        swarm_peer_closed(g->swarm, g->now, g->all[i].peer);
    g->all[i].peer = NULL;
    drain(g);
}

void say(struct ground *g, uint32_t i, const uint8_t *bytes, size_t n)
{
    while (n != 0 && g->all[i].peer != NULL) {
        struct span spans[IO_ROOM_MAX];
        uint32_t spans_n = 0;
        size_t landed = 0;
        swarm_rx_room(g->swarm, g->now, g->all[i].peer, spans, &spans_n);
        for (uint32_t k = 0; k < spans_n; k++) {
            const size_t take = size_min(spans[k].n, n - landed);
            memcpy(spans[k].p, bytes + landed, take);
            landed += take;
        }
        if (landed == 0)
            return;
        swarm_rx(g->swarm, g->now, g->all[i].peer, landed);
        bytes += landed;
        n -= landed;
        drain(g);
    }
}

void tell(struct ground *g, uint32_t i, uint16_t id, uint32_t index, uint32_t begin, uint32_t len)
{
    uint8_t space[64];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    peer_msg_write(&w, &(struct peer_msg){.id = id, .index = index, .begin = begin, .len = len});
    say(g, i, b.p, b.n);
}

void give(struct ground *g, uint32_t i, uint32_t index, uint32_t begin, bool right)
{
    static uint8_t message[PIECE_HEADER_LEN + BLOCK_LEN];
    struct buf b = {message, 0, sizeof message};
    struct wr w = wr_make(&b);
    peer_msg_write(&w, &(struct peer_msg){.id = MSG_PIECE, .index = index, .begin = begin, .len = BLOCK_LEN});
    memset(message + PIECE_HEADER_LEN, 0, BLOCK_LEN);
    if (right)
        memcpy(message + PIECE_HEADER_LEN, content + (size_t)index * PIECE_LEN + begin, BLOCK_LEN);
    say(g, i, message, sizeof message);
}

bool next_heard(struct stranger *t, struct peer_msg *out)
{
    if (t->heard_n < 4)
        return false;
    struct rd r = rd_make(slice_of(t->heard, t->heard_n));
    const uint32_t len = rd_be32(&r);
    const bool piece = len != 0 && t->heard[4] == MSG_PIECE;
    const size_t n = piece ? PIECE_HEADER_LEN : 4 + (size_t)len;
    assert_true(n <= t->heard_n);
    if (piece)
        *out = (struct peer_msg){.id = MSG_PIECE};
    else
        assert_int_equal(peer_msg_parse(out, slice_of(t->heard + 4, len)), ERR_OK);
    t->heard_n -= n;
    memmove(t->heard, t->heard + n, t->heard_n);
    return true;
}

uint32_t heard(struct ground *g, uint32_t i, uint16_t id)
{
    uint32_t n = 0;
    for (struct peer_msg m; next_heard(&g->all[i], &m);)
        n += m.id == id;
    return n;
}

void pass(struct ground *g, uint32_t seconds)
{
    for (uint32_t i = 0; i < seconds; i++) {
        g->now += NSEC_S;
        swarm_tick(g->swarm, g->now);
        drain(g);
    }
}

uint32_t heard_pex(struct ground *g, uint32_t i, struct ut_pex *out)
{
    static uint8_t kept[UT_PEX_MESSAGE_MAX];
    struct stranger *t = &g->all[i];
    uint32_t n = 0;
    while (t->heard_n >= 4) {
        struct rd r = rd_make(slice_of(t->heard, t->heard_n));
        const uint32_t len = rd_be32(&r);
        if (len > 2 && t->heard[4] == MSG_EXTENDED && t->heard[5] == 7) {
            memcpy(kept, t->heard + 6, len - 2);
            assert_int_equal(ut_pex_parse(out, slice_of(kept, len - 2)), ERR_OK);
            n++;
        }
        struct peer_msg m;
        assert_true(next_heard(t, &m));
    }
    return n;
}
