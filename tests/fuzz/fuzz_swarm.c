// Up to four peers, hostile or not, and a swarm that has half of a torrent, all or nothing: any bytes, in any portions,
// with time passing. Hashes are real, so that pieces verify, or turn out to be wrong and somebody is blamed.
//
// The first byte chooses: 1 fast, 2 extensions, 4 a seed, 8 rate limits, 16 the second peer brings everything. Then steps:
// a byte whose two top bits name the peer and the others what happens (enum step), the rest is the step's own. With 32 there
// are two web seeds as well; with 64 nothing has a hash, as a file that is fetched by its URL.
#include <stdio.h>
#include <stdlib.h>

#include "engine/swarm/swarm.h"
#include "lab/mem.h"

enum { PIECES = 12, PIECE_LEN = 6 * BLOCK_LEN, LEN = PIECES * PIECE_LEN - 5000, OUTPUTS_MAX = 20000, PEERS = 4, LISTENED_MAX = 64, WEBS = 8 };

// Values of the step's lower six bits; higher ones than STEP_BYTES are lengths of raw bytes.
enum step {
    STEP_TIME, STEP_LEAVE, STEP_COME, STEP_DEAF, STEP_HEAR, STEP_ANSWER, STEP_LIE, STEP_BLOCK, STEP_MESSAGE, STEP_FAIL, STEP_HOLD,
    STEP_READ_FAILED, STEP_MANY, STEP_KNOWN, STEP_WEB, STEP_WEB_END, STEP_BYTES = 16,
};

struct side {
    struct swarm_peer *peer;            // NULL: not connected
    bool deaf;
    uint64_t unread;
    struct peer_msg asked[LISTENED_MAX];            // requests that it heard, a ring
    uint32_t asked_at, asked_n;
};

struct world {
    struct swarm *swarm;
    nsec now;
    struct side sides[PEERS];
    enum err fault;                     // of the next job
    bool hold;                          // jobs stay under way until it is over
    uint32_t held[256], held_n, stats_n;
    uint8_t flags;
    struct web {
        bool open, resting;
        uint64_t at, end;               // of the content
        bool lie;
    } webs[WEBS];
};

struct input {
    const uint8_t *p;
    size_t n;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct env env = {.mem = &lab_heap, .payload = &lab_heap, .seed = 1};
static uint8_t content[PIECES * PIECE_LEN], hashes[PIECES * SHA1_LEN];
static uint8_t peer_id[PEER_ID_LEN] = "-KH0100-fuzzfuzzfuzz";
static struct metainfo_file files[2] = {{.path = {(const uint8_t *)"a", 1}, .len = 100000}, {.path = {(const uint8_t *)"b", 1}, .offset = 100000, .len = LEN - 100000}};
static const struct metainfo meta = {.has_v1 = true, .piece_len = PIECE_LEN, .pieces_n = PIECES, .span = LEN, .len = LEN,
                                     .pieces = hashes, .files = files, .files_n = 2, .mem = &lab_heap};

static struct metainfo_url web_seeds[2] = {{.url = {(const uint8_t *)"http://a/", 9}}, {.url = {(const uint8_t *)"ftp://b/c", 9}}};

static void make_content(void)
{
    static bool made;
    if (made)
        return;
    made = true;
    for (size_t i = 0; i < LEN; i++)
        content[i] = (uint8_t)(i * 7 + (i >> 8) * 13 + (i >> 16) * 31);
    for (size_t i = 0; i < PIECES; i++)
        sha1_of(slice_of(content + i * PIECE_LEN, size_min(PIECE_LEN, LEN - i * PIECE_LEN)), hashes + i * SHA1_LEN);
}

static uint8_t take(struct input *in)
{
    if (in->n == 0)
        return 0;
    in->n--;
    return *in->p++;
}

static void run_job(struct world *w, const struct io_job *j)
{
    if (j->kind == JOB_STAT) {
        memset(j->stats, 0, 3 * sizeof *j->stats);
        for (uint32_t i = 0; i < 2; i++)        // after the first one all are there; what stands for a removed one is a job that fails
            j->stats[i] = (struct io_stat){.exists = w->stats_n != 0, .size = w->stats_n != 0 ? files[i].len : 0, .device = 1};
        w->stats_n++;
    }
    if (w->flags & 4 && j->kind == JOB_READ_HASH && j->sha1 != NULL)
        for (uint32_t i = 0; i < j->parts_n; i++)
            if (j->parts[i].file != IO_FILE_ZERO)
                sha1_update(j->sha1, slice_of(content + files[j->parts[i].file].offset + j->parts[i].off, j->parts[i].len));
    for (uint32_t i = 0; i < j->spans_n && j->kind == JOB_HASH; i++) {
        if (j->sha1 != NULL)
            sha1_update(j->sha1, slice_of(j->spans[i].p, j->spans[i].n));
        if (j->leaves != NULL)
            sha256_of(slice_of(j->spans[i].p, j->spans[i].n), j->leaves[i]);
    }
    if (w->held_n == ARRAY_LEN(w->held))
        abort();
    w->held[w->held_n++] = j->id;
}

static bool finish_job(struct world *w)
{
    if (w->held_n == 0)
        return false;
    const enum err e = w->fault;
    w->fault = ERR_OK;
    swarm_job_done(w->swarm, w->now, w->held[--w->held_n], e, 0);
    return true;
}

// Notes what it is asked, so that the fuzzer can answer it rightly.
static void listen_to(struct side *t, struct slice bytes)
{
    struct rd r = rd_make(bytes);
    while (r.n >= 4) {
        const uint32_t len = rd_be32(&r);
        struct peer_msg m;
        if (len > r.n || peer_msg_parse(&m, slice_of(r.p, len)) != ERR_OK)
            return;                     // the head of a block, or a bitfield in its own segment
        (void)rd_bytes(&r, len);
        if (m.id == MSG_REQUEST && t->asked_n < LISTENED_MAX)
            t->asked[(t->asked_at + t->asked_n++) % LISTENED_MAX] = m;
    }
}

static void run_send(struct world *w, const struct swarm_out *out)
{
    struct side *t = &w->sides[out->conn - 1];
    uint64_t sent = 0;
    for (uint32_t k = 0; k < out->segs_n; k++) {
        sent += out->segs[k].kind == SEG_BYTES ? out->segs[k].bytes.n : out->segs[k].len;
        if (out->segs[k].kind == SEG_BYTES)
            listen_to(t, out->segs[k].bytes);
    }
    if (t->peer == NULL)
        abort();
    if (!t->deaf)
        swarm_sent(w->swarm, w->now, t->peer, sent);
    else
        t->unread += sent;
    if (t->unread > 4 * MIB)
        abort();                        // it is told more and more and hears nothing
}

static void web_begin(struct world *w, const struct swarm_out *out)
{
    struct web *b = &w->webs[out->id - 1];
    if (b->open || out->bytes.n < web_seeds[0].url.n)
        abort();
    const uint64_t file = out->bytes.p[out->bytes.n - 1] == 'b' ? 100000 : 0;
    *b = (struct web){.open = true, .at = file + out->fetch.off, .end = file + out->fetch.off + out->fetch.len};
    if (b->end > LEN || (out->fetch.ranged && out->fetch.len == 0))
        abort();
}

static void drain(struct world *w)
{
    static uint8_t space[64 * 1024];
    for (int i = 0; i < OUTPUTS_MAX; i++) {
        struct buf tx = {space, 0, sizeof space};
        struct swarm_out out = {0};
        switch (swarm_poll(w->swarm, w->now, &tx, &out)) {
        case SWARM_IDLE:
            if (!w->hold && finish_job(w))
                break;
            swarm_check(w->swarm);
            return;
        case SWARM_SEND: run_send(w, &out); break;
        case SWARM_CLOSE: w->sides[out.conn - 1].peer = NULL; break;
        case SWARM_JOB: run_job(w, &out.job); break;
        case SWARM_FETCH: web_begin(w, &out); break;
        case SWARM_FETCH_RESUME: w->webs[out.id - 1].resting = false; break;
        case SWARM_FETCH_CANCEL: w->webs[out.id - 1].open = false; break;
        case SWARM_SAVE: swarm_saved(w->swarm, w->now, ERR_OK); break;
        case SWARM_RESUME:
        case SWARM_EVENT: break;
        }
    }
    abort();                            // it never comes to rest
}

static void feed(struct world *w, struct side *t, const uint8_t *data, size_t n)
{
    while (n != 0 && t->peer != NULL) {
        struct span spans[IO_ROOM_MAX];
        uint32_t spans_n = 0;
        swarm_rx_room(w->swarm, w->now, t->peer, spans, &spans_n);
        size_t landed = 0;
        for (uint32_t i = 0; i < spans_n; i++) {
            const size_t k = size_min(spans[i].n, n - landed);
            memcpy(spans[i].p, data + landed, k);
            landed += k;
        }
        if (landed != 0)
            swarm_rx(w->swarm, w->now, t->peer, landed);
        drain(w);
        if (landed == 0)
            return;                     // it does not want to read now: that is its right
        data += landed;
        n -= landed;
    }
}

static void come(struct world *w, uint32_t i)
{
    struct side *t = &w->sides[i];
    struct swarm_peer_new in = {.conn = i + 1, .incoming = (i & 1) != 0,
                                .theirs = {.has_fast = (w->flags & 1) != 0 || i == 1, .has_extended = (w->flags & 2) != 0, .peer_id = "x"}};
    const uint8_t ip[4] = {10, 0, 0, (uint8_t)(1 + i / 2)};         // two at each address
    if (t->peer != NULL)
        return;
    in.theirs.peer_id[1] = (uint8_t)(i == 3 ? 0 : i);              // the last has the first one's name
    in.addr = addr_ipv4(ip, (uint16_t)(1 + i));
    *t = (struct side){0};
    if (swarm_peer_add(w->swarm, w->now, &in, &t->peer) != ERR_OK)
        t->peer = NULL;
    drain(w);
}

static void leave(struct world *w, struct side *t)
{
    if (t->peer != NULL)
        swarm_peer_closed(w->swarm, w->now, t->peer);
    *t = (struct side){0};
    drain(w);
}

static void hear(struct world *w, struct side *t)
{
    const uint64_t n = t->unread;
    t->deaf = false;
    t->unread = 0;
    if (t->peer != NULL && n != 0)
        swarm_sent(w->swarm, w->now, t->peer, n);
    drain(w);
}

static void give(struct world *w, struct side *t, uint32_t index, uint32_t begin, uint32_t len, bool lie)
{
    static uint8_t space[PIECE_HEADER_LEN + BLOCK_LEN];
    struct buf b = {space, 0, sizeof space};
    struct wr wr = wr_make(&b);
    len = u32_min(len, BLOCK_LEN);
    peer_msg_write(&wr, &(struct peer_msg){.id = MSG_PIECE, .index = index, .begin = begin, .len = len});
    const uint64_t at = (uint64_t)index * PIECE_LEN + begin;
    for (uint32_t i = 0; i < len; i++)
        space[PIECE_HEADER_LEN + i] = (uint8_t)((at + i < LEN ? content[at + i] : 0) ^ (lie && i == 7));
    feed(w, t, space, PIECE_HEADER_LEN + len);
}

// Gives what it was asked first, and so on, `n` of them.
static void answer(struct world *w, struct side *t, uint32_t n, bool lie)
{
    for (; n != 0 && t->asked_n != 0 && t->peer != NULL; n--) {
        const struct peer_msg m = t->asked[t->asked_at];
        t->asked_at = (t->asked_at + 1) % LISTENED_MAX;
        t->asked_n--;
        give(w, t, m.index, m.begin, m.len, lie);
    }
}

// A server speaks: `what` chooses the kind of answer at its beginning, then how much of it comes.
static void web(struct world *w, struct input *in)
{
    const uint8_t which = take(in) % WEBS, what = take(in);
    struct web *b = &w->webs[which];
    char lines[200];
    if (!b->open)
        return;
    const uint64_t file = b->at >= 100000 ? 100000 : 0, len = file == 0 ? 100000 : LEN - 100000;
    if ((what & 7) < 5) {
        const int n = snprintf(lines, sizeof lines, "Content-Range: bytes %llu-%llu/%llu\r\nETag: %d\r\n", (unsigned long long)(b->at - file),
            (unsigned long long)(b->end - file - ((what & 7) == 4)), (unsigned long long)len + ((what & 7) == 3), what >> 7);
        swarm_fetch_head(w->swarm, w->now, which + 1u, (what & 7) == 2 ? 200 : 206, slice_of(lines, (size_t)n));
        b->at = (what & 7) == 2 ? file : b->at;
        b->lie = (what & 16) != 0;
    } else {
        swarm_fetch_head(w->swarm, w->now, which + 1u, 400 + what, SLICE_LIT("Retry-After: 7\n"));
    }
    drain(w);
    for (uint32_t left = what >> 5 == 0 ? LEN : 1000u << (what >> 5); left != 0 && b->open && !b->resting;) {
        struct span to = {0};
        swarm_fetch_room(w->swarm, w->now, which + 1u, &to);
        const uint32_t n = u32_min((uint32_t)to.n, left);
        for (uint32_t i = 0; i < n; i++)
            to.p[i] = (uint8_t)((b->at + i < LEN ? content[b->at + i] : 0) ^ b->lie);
        if (n != 0)
            swarm_fetch_rx(w->swarm, w->now, which + 1u, n);
        b->resting = n == 0;
        b->at += n;
        left -= n;
        drain(w);
    }
}

static void web_end(struct world *w, uint8_t which, uint8_t e)
{
    struct web *b = &w->webs[which % WEBS];
    if (!b->open)
        return;
    b->open = false;
    swarm_fetched(w->swarm, w->now, which % WEBS + 1u, e % 4 == 0 ? ERR_CLOSED : ERR_OK, e % 3 == 0 ? 500 : 206);
    drain(w);
}

// A message of small numbers, `n` times.
static void message(struct world *w, struct side *t, struct input *in, uint32_t n)
{
    uint8_t space[64];
    struct buf b = {space, 0, sizeof space};
    struct wr wr = wr_make(&b);
    const uint8_t id = take(in) % 18, index = take(in), block = take(in), len = take(in);
    if (id == MSG_BITFIELD || id == MSG_PIECE || (id > MSG_PORT && id < MSG_SUGGEST))
        return;
    peer_msg_write(&wr, &(struct peer_msg){.id = id, .index = index % (PIECES + 1), .begin = block % 13 * (BLOCK_LEN / 2),
                                           .len = len < 200 ? BLOCK_LEN : len - 199});
    for (; n != 0; n--)
        feed(w, t, b.p, b.n);
}

// An address that a tracker named is tried, with or without success.
static void know(struct world *w, uint8_t what)
{
    struct addr a = addr_ipv4((const uint8_t[4]){10, 0, 0, (uint8_t)(what % 16)}, what / 16);
    swarm_known_add(w->swarm, w->now, &a, what % 3 == 0);
    if (what % 2 != 0 && swarm_known_next(w->swarm, w->now, &a) && what % 5 != 0)
        swarm_known_failed(w->swarm, w->now, &a);
    else if (what % 2 != 0)
        swarm_known_connected(w->swarm, w->now, &a);
    drain(w);
}

static void one_step(struct world *w, struct input *in)
{
    const uint8_t step = take(in);
    struct side *t = &w->sides[step >> 6];
    switch ((enum step)(step & 63)) {
    case STEP_TIME:
        w->now += (NSEC_S / 2) << (take(in) % 8);
        swarm_tick(w->swarm, w->now);
        drain(w);
        break;
    case STEP_LEAVE: leave(w, t); break;
    case STEP_COME: come(w, step >> 6); break;
    case STEP_DEAF: t->deaf = true; break;
    case STEP_HEAR: hear(w, t); break;
    case STEP_ANSWER: answer(w, t, take(in), false); break;
    case STEP_LIE: answer(w, t, 1, true); break;
    case STEP_BLOCK: give(w, t, take(in) % (PIECES + 1), take(in) % 13 * (BLOCK_LEN / 2), BLOCK_LEN, false); break;
    case STEP_MESSAGE: message(w, t, in, 1); break;
    case STEP_MANY: message(w, t, in, 300); break;
    case STEP_FAIL: w->fault = take(in) % 2 != 0 ? ERR_NOSPACE : ERR_IO; break;
    case STEP_HOLD:
        w->hold = !w->hold;
        drain(w);
        break;
    case STEP_READ_FAILED: {
        const uint8_t what = take(in);
        if (what < 128)
            swarm_read_failed(w->swarm, w->now, what % 2);
        else
            swarm_limits(w->swarm, w->now, (what & 1) * UINT64_C(40000), (what & 2) * UINT64_C(40000));
        drain(w);
        break;
    }
    case STEP_KNOWN: know(w, take(in)); break;
    case STEP_WEB: web(w, in); break;
    case STEP_WEB_END: {
        const uint8_t which = take(in);
        web_end(w, which, take(in));
        break;
    }
    case STEP_BYTES:
    default: {
        const size_t n = size_min((step & 63) == 63 ? 20000 : step & 63, in->n);
        const uint8_t *p = in->p;
        in->p += n;
        in->n -= n;
        feed(w, t, p, n);
        break;
    }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct world w = {.now = NSEC_S};
    struct pool pool;
    if (size < 2 || pool_init(&pool, &env, 2 * MIB) != ERR_OK)
        return 0;
    make_content();
    w.flags = take(&in);
    struct limit up, down;
    limit_init(&up, w.now, (w.flags & 8) != 0 ? 100000 : 0);
    limit_init(&down, w.now, (w.flags & 8) != 0 ? 100000 : 0);
    struct metainfo described = meta;
    described.is_dir = true;
    described.web_seeds = web_seeds;
    described.web_seeds_n = (w.flags & 32) != 0 ? 2 : 0;
    described.has_v1 = (w.flags & 64) == 0;
    const struct swarm_config cfg = {.meta = &described, .store = 1, .pool = &pool, .up = &up, .down = &down, .peer_id = peer_id, .peers_max = 3,
                                     .utp = true, .trust = (w.flags & 4) != 0, .super_seed = (w.flags & 128) != 0, .up_bps = (w.flags & 8) != 0 ? 70000 : 0,
                                     .down_bps = (w.flags & 8) != 0 ? 70000 : 0};
    if (swarm_new(&w.swarm, &cfg, &env, w.now) != ERR_OK)
        abort();
    drain(&w);
    come(&w, 0);
    come(&w, 1);
    const uint8_t all[] = {0, 0, 0, 1, MSG_HAVE_ALL, 0, 0, 0, 1, MSG_UNCHOKE};
    if ((w.flags & 16) != 0)
        feed(&w, &w.sides[1], all, sizeof all);
    while (in.n != 0)
        one_step(&w, &in);
    struct swarm_stats figures;
    swarm_stats(w.swarm, &figures);
    w.hold = false;
    w.fault = ERR_OK;
    swarm_stop(w.swarm, w.now);
    drain(&w);
    for (uint32_t i = 0; i < PEERS; i++)
        leave(&w, &w.sides[i]);
    swarm_free(w.swarm);
    pool_done(&pool);
    return 0;
}
