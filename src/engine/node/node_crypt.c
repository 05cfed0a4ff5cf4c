// Encrypted streams: see node_crypt.h. Bittorrent note 2.9: prefer hides the handshake and takes plaintext behind it, so that
// content still goes from files; require is RC4 both ways.
#include "engine/node/node_conn.h"
#include "engine/node/node_crypt.h"
#include "engine/node/node_int.h"
#include "engine/node/node_load.h"
#include "engine/node/node_stream.h"
#include "engine/node/node_torrent.h"

static uint8_t allowed(const struct node *n)
{
    return n->cfg.encryption == NODE_ENCRYPTION_REQUIRE ? MSE_RC4 : MSE_PLAIN | MSE_RC4;
}

bool crypt_start(struct node *n, struct conn *c, bool initiator)
{
    ASSERT(c->crypt == NULL);
    ASSERT(!c->crypted);
    struct crypt *k = mem_zalloc(n->mem, sizeof *k);
    if (k == NULL)
        return false;
    k->conn = c->id;
    list_init(&k->wait);
    list_init(&k->ready);
    uint8_t private_key[DH768_PRIVATE_LEN], hello[HANDSHAKE_LEN];
    rng_bytes(&n->crypt_rng, private_key, sizeof private_key);
    struct mse_config cfg = {.initiator = initiator, .allowed = allowed(n), .private_key = private_key,
                             .pads = rng_make(rng_u64(&n->crypt_rng), 0x706164)};
    if (initiator) {
        struct buf b = {hello, 0, sizeof hello};
        cfg.skey = conn_hello(n, c, &b);
        cfg.ia = buf_slice(&b);
        c->said_hello = true;           // as the first bytes behind the exchange
    }
    if (mse_init(&k->mse, &cfg) != ERR_OK) {
        mem_free(n->mem, k, sizeof *k);
        return false;
    }
    c->crypt = k;
    if (initiator) {
        conn_say(n, c);
        return true;
    }
    const struct span room = mse_room(&k->mse);
    ASSERT(room.n >= c->shake_n);
    memcpy(room.p, c->shake, c->shake_n);
    const uint32_t got = c->shake_n;
    c->shake_n = 0;
    crypt_rx(n, c, got);
    return true;
}

void crypt_quit(struct conn *c)
{
    if (c->crypt == NULL)
        return;
    list_remove(&c->crypt->wait);
    list_remove(&c->crypt->ready);
}

void crypt_free(struct node *n, struct conn *c)
{
    struct crypt *k = c->crypt;
    if (k == NULL)
        return;
    crypt_quit(c);
    if (k->loads)
        load_done(&n->loads, &k->load);
    c->crypt = NULL;
    mem_free(n->mem, k, sizeof *k);
}

struct span crypt_room(struct conn *c) { return mse_room(&c->crypt->mse); }

// The handshake moved: what comes of that.
static void moved(struct node *n, struct conn *c)
{
    struct crypt *k = c->crypt;
    if (k->mse.state == MSE_SKEY) {
        struct map_node *m = map_get(&n->skeys, slice_of(k->mse.wanted, SHA1_LEN));
        mse_skey(&k->mse, m == NULL ? NULL : CONTAINER(m, struct skey, node)->hash);
    }
    if (k->mse.tx_n != 0)
        conn_say(n, c);
    if (k->mse.state == MSE_EXCHANGE && list_empty(&k->wait))
        list_push_back(&n->exchanges, &k->wait);
    if (k->mse.state == MSE_FAILED)
        conn_drop(n, c, true);
    if (k->mse.state != MSE_DONE)
        return;
    const bool rc4 = k->mse.selected == MSE_RC4;
    if (rc4 && n->segs == NULL && (n->segs = mem_zarray(n->mem, IO_SEGS_MAX, sizeof *n->segs)) == NULL) {
        conn_drop(n, c, true);
        return;
    }
    c->crypted = true;
    if (c->state == CONN_SHAKING_OUT)
        c->deadline = n->now + NODE_HANDSHAKE_S * NSEC_S;       // the short one was for a peer that does not speak MSE
    if (rc4) {
        load_init(&k->load, c->id);
        k->loads = true;
    }
    (void)crypt_feed(n, c);
}

void crypt_rx(struct node *n, struct conn *c, size_t len)
{
    mse_input(&c->crypt->mse, len);
    moved(n, c);
}

bool crypt_tx(struct node *n, struct conn *c, struct buf *tx, struct node_out *out)
{
    struct mse *m = c->crypt == NULL ? NULL : &c->crypt->mse;
    if (m == NULL || m->tx_n == 0)
        return false;
    struct wr w = wr_make(tx);
    const size_t at = tx->n;
    wr_bytes(&w, mse_tx(m));
    ASSERT(w.ok);
    conn_send_own(n, c, slice_of(tx->p + at, tx->n - at), out);
    mse_tx_sent(m);
    return true;
}

void crypt_work(struct node *n)
{
    while (!list_empty(&n->exchanges) && rate_ready(&n->exchange_rate, n->now)) {
        struct crypt *k = CONTAINER(n->exchanges.next, struct crypt, wait);
        struct conn *c = conn_get(n, k->conn);
        ASSERT(c != NULL);
        list_remove(&k->wait);
        rate_charge(&n->exchange_rate, n->now, 1);
        mse_exchange(&k->mse);
        moved(n, c);
        if (c->state != CONN_DEAD && c->starved)
            conn_say(n, c);             // to be read again
    }
}

// Plaintext from here on: the stream is an ordinary one.
static void retire(struct node *n, struct conn *c)
{
    const struct crypt *k = c->crypt;
    if (!k->loads && k->rest_at == k->mse.rx_n && k->mse.ia_left == 0 && k->mse.tx_n == 0)
        crypt_free(n, c);
}

bool crypt_feed(struct node *n, struct conn *c)
{
    struct crypt *k = c->crypt;
    ASSERT(k->mse.state == MSE_DONE);
    while (k->rest_at < k->mse.rx_n) {
        const struct slice rest = slice_sub(mse_rest(&k->mse), k->rest_at, k->mse.rx_n);
        struct node_room room;
        if (!conn_room(n, c, &room))
            return false;
        size_t done = 0;
        for (uint32_t i = 0; i < room.spans_n && done < rest.n; i++) {
            const size_t len = size_min(room.spans[i].n, rest.n - done);
            memcpy(room.spans[i].p, rest.p + done, len);
            done += len;
        }
        k->rest_at += (uint32_t)done;
        conn_rx(n, c, done);
        if (c->state == CONN_DEAD)
            return true;
    }
    retire(n, c);
    return true;
}

void crypt_decrypt(struct conn *c, const struct node_room *room, size_t len)
{
    for (uint32_t i = 0; i < room->spans_n && len != 0; i++) {
        const size_t k = size_min(len, room->spans[i].n);
        mse_decrypt(&c->crypt->mse, (struct span){room->spans[i].p, k});
        len -= k;
    }
}

void crypt_encrypt(struct conn *c, struct span own)
{
    if (c->crypt != NULL && c->crypt->loads)
        rc4_crypt(&c->crypt->mse.tx, own);
}

static void set_ready(struct node *n, struct crypt *k)
{
    if (list_empty(&k->ready))
        list_push_back(&n->crypt_ready, &k->ready);
}

bool crypt_send(struct node *n, struct conn *c, const struct io_seg *segs, uint32_t segs_n)
{
    ASSERT(c->crypt->loads);
    set_ready(n, c->crypt);
    return load_push(&n->loads, &c->crypt->load, segs, segs_n) == ERR_OK;
}

bool crypt_poll(struct node *n, struct node_out *out, enum node_kind *kind)
{
    if (loads_job(&n->loads, &out->job)) {
        *kind = NODE_JOB;
        return true;
    }
    while (!list_empty(&n->crypt_ready)) {
        struct crypt *k = CONTAINER(n->crypt_ready.next, struct crypt, ready);
        struct span spans[IO_SEGS_MAX];
        uint64_t len = 0;
        const uint32_t spans_n = load_peek(&k->load, spans, IO_SEGS_MAX);
        list_remove(&k->ready);
        if (spans_n == 0)
            continue;                   // a job is under way: loads_job_done brings it back
        for (uint32_t i = 0; i < spans_n; i++) {
            rc4_crypt(&k->mse.tx, spans[i]);
            n->segs[i] = (struct io_seg){.kind = SEG_BYTES, .bytes = slice_of(spans[i].p, spans[i].n)};
            len += spans[i].n;
        }
        load_take(&n->loads, &k->load, len);
        set_ready(n, k);
        struct conn *c = conn_get(n, k->conn);
        ASSERT(c != NULL);
        if (stream_send(n, c, n->segs, spans_n))
            continue;
        out->conn = k->load.conn;
        out->segs = n->segs;
        out->segs_n = spans_n;
        *kind = NODE_SEND;
        return true;
    }
    return false;
}

void crypt_job_done(struct node *n, uint32_t id, enum err e, uint32_t file)
{
    uint32_t conn;
    loads_job_done(&n->loads, id, e, &conn);
    struct conn *c = conn == 0 ? NULL : conn_get(n, conn);
    if (c == NULL)
        return;
    ASSERT(c->crypt != NULL);
    if (e == ERR_OK) {
        set_ready(n, c->crypt);
        return;
    }
    struct torrent *t = c->torrent;
    stream_fail(n, c);
    node_read_failed(n, n->now, t->number, file, e);
}

// ---- which addresses want no encryption: a table of tags, where a newer one takes the place of an older one

static uint32_t *tag_of(const struct node *n, const struct addr *a, uint32_t *out_tag)
{
    uint8_t key[19] = {a->family, (uint8_t)(a->port >> 8), (uint8_t)a->port};
    memcpy(key + 3, a->ip, 16);
    const uint64_t h = siphash(n->plain_key, slice_of(key, sizeof key));
    *out_tag = (uint32_t)(h >> 32) | 1;
    return &n->plain_only[h % NODE_PLAIN_MAX];
}

bool crypt_is_plain_only(const struct node *n, const struct addr *a)
{
    uint32_t tag;
    return n->plain_only != NULL && *tag_of(n, a, &tag) == tag;
}

void crypt_remember(struct node *n, const struct addr *a, bool plain_only)
{
    if (n->plain_only == NULL && plain_only)
        n->plain_only = mem_zarray(n->mem, NODE_PLAIN_MAX, sizeof *n->plain_only);
    if (n->plain_only == NULL)
        return;
    uint32_t tag, *const at = tag_of(n, a, &tag);
    if (plain_only)
        *at = tag;
    else if (*at == tag)
        *at = 0;
}
