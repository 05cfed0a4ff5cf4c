// The handshake of MSE/PE: see mse.h.
#include "engine/reach/mse.h"

static void hash2(const char *what, struct slice a, struct slice b, uint8_t out[SHA1_LEN])
{
    struct sha1 h;
    sha1_init(&h);
    sha1_update(&h, slice_of(what, 4));
    sha1_update(&h, a);
    sha1_update(&h, b);
    sha1_final(&h, out);
}

void mse_skey_hash(const uint8_t skey[MSE_SKEY_LEN], uint8_t out[SHA1_LEN])
{
    hash2("req2", slice_of(skey, MSE_SKEY_LEN), (struct slice){NULL, 0}, out);
}

static struct slice secret_of(const struct mse *m) { return slice_of(m->secret, DH768_LEN); }

static void set_state(struct mse *m, enum mse_state to)
{
    ASSERT(m->state < MSE_DONE);
    m->state = to;
}

// Y and padding.
static enum err compose_key(struct mse *m)
{
    const enum err e = dh768_public(m->private_key, m->tx_buf + m->tx_n);
    if (e != ERR_OK)
        return e;
    m->tx_n += DH768_LEN;
    const uint32_t pad = (uint32_t)rng_below(&m->pads, MSE_PAD_MAX + 1);
    rng_bytes(&m->pads, m->tx_buf + m->tx_n, pad);
    m->tx_n += pad;
    ASSERT(m->tx_n <= MSE_TX_LEN);
    return ERR_OK;
}

enum err mse_init(struct mse *m, const struct mse_config *cfg)
{
    ASSERT((cfg->allowed & ~(MSE_PLAIN | MSE_RC4)) == 0);
    ASSERT(cfg->allowed != 0);
    ASSERT(cfg->ia.n <= MSE_IA_MAX);
    *m = (struct mse){.initiator = cfg->initiator, .allowed = cfg->allowed, .pads = cfg->pads};
    memcpy(m->private_key, cfg->private_key, DH768_PRIVATE_LEN);
    if (!cfg->initiator)
        return ERR_OK;
    memcpy(m->skey, cfg->skey, MSE_SKEY_LEN);
    if (cfg->ia.n != 0)
        memcpy(m->ia, cfg->ia.p, cfg->ia.n);
    m->ia_n = (uint32_t)cfg->ia.n;
    return compose_key(m);
}

static void start_streams(struct mse *m)
{
    uint8_t a[SHA1_LEN], b[SHA1_LEN];
    hash2("keyA", secret_of(m), slice_of(m->skey, MSE_SKEY_LEN), a);
    hash2("keyB", secret_of(m), slice_of(m->skey, MSE_SKEY_LEN), b);
    rc4_init(&m->tx, slice_of(m->initiator ? a : b, SHA1_LEN));
    rc4_init(&m->rx, slice_of(m->initiator ? b : a, SHA1_LEN));
    rc4_skip(&m->tx, MSE_DISCARD);
    rc4_skip(&m->rx, MSE_DISCARD);
}

// The head that both send: VC, provide or select, no padding; A adds IA and its length.
static void compose_head(struct mse *m, uint8_t bits)
{
    struct buf b = {m->tx_buf, m->tx_n, MSE_TX_LEN};
    struct wr w = wr_make(&b);
    wr_be64(&w, 0);
    wr_be32(&w, bits);
    wr_be16(&w, 0);
    if (m->initiator) {
        wr_be16(&w, u16_of(m->ia_n));
        wr_bytes(&w, slice_of(m->ia, m->ia_n));
    }
    ASSERT(w.ok);
    rc4_crypt(&m->tx, (struct span){m->tx_buf + m->tx_n, b.n - m->tx_n});
    m->tx_n = (uint32_t)b.n;
}

static void answer_as_initiator(struct mse *m)
{
    uint8_t req2[SHA1_LEN], req3[SHA1_LEN];
    hash2("req1", secret_of(m), (struct slice){NULL, 0}, m->tx_buf + m->tx_n);
    m->tx_n += SHA1_LEN;
    mse_skey_hash(m->skey, req2);
    hash2("req3", secret_of(m), (struct slice){NULL, 0}, req3);
    for (size_t i = 0; i < SHA1_LEN; i++)
        m->tx_buf[m->tx_n++] = req2[i] ^ req3[i];
    start_streams(m);
    compose_head(m, m->allowed);
    // B's answer begins with VC, eight zeros: as the key stream will have made them.
    struct rc4 ahead = m->rx;
    m->mark_n = MSE_VC_LEN;
    memset(m->mark, 0, MSE_VC_LEN);
    rc4_crypt(&ahead, (struct span){m->mark, MSE_VC_LEN});
}

static void consume(struct mse *m, uint32_t n)
{
    ASSERT(n <= m->rx_n);
    m->rx_n -= n;
    memmove(m->rx_buf, m->rx_buf + n, m->rx_n);
}

// The bytes of the padding that are here are passed over. True: all are.
static bool skip_pad(struct mse *m)
{
    const uint32_t n = u32_min(m->skip, m->rx_n);
    rc4_crypt(&m->rx, (struct span){m->rx_buf, n});
    consume(m, n);
    m->skip -= n;
    return m->skip == 0;
}

// False: not here yet, or never.
static bool find_mark(struct mse *m)
{
    for (uint32_t at = 0; at <= MSE_PAD_MAX && at + m->mark_n <= m->rx_n; at++) {
        if (memcmp(m->rx_buf + at, m->mark, m->mark_n) != 0)
            continue;
        // B goes on behind the mark; for A the mark is the front of the head.
        consume(m, m->initiator ? at : at + m->mark_n);
        return true;
    }
    if (m->rx_n >= MSE_PAD_MAX + m->mark_n)
        set_state(m, MSE_FAILED);
    return false;
}

static void finish(struct mse *m)
{
    set_state(m, MSE_DONE);
    mse_decrypt(m, (struct span){m->rx_buf, m->rx_n});
}

// VC, provide or select, length of the padding.
static bool head(struct mse *m)
{
    enum { HEAD_LEN = MSE_VC_LEN + 4 + 2 };
    if (m->rx_n < HEAD_LEN)
        return false;
    rc4_crypt(&m->rx, (struct span){m->rx_buf, HEAD_LEN});
    struct rd r = rd_make(slice_of(m->rx_buf, HEAD_LEN));
    const uint64_t vc = rd_be64(&r);
    const uint32_t bits = rd_be32(&r);
    m->skip = rd_be16(&r);
    consume(m, HEAD_LEN);
    const uint32_t common = bits & m->allowed;
    m->selected = (common & MSE_PLAIN) != 0 ? MSE_PLAIN : (uint8_t)(common & MSE_RC4);
    const bool is_answer = m->initiator && bits != m->selected;     // exactly one bit, and one that was offered
    if (vc != 0 || m->selected == 0 || is_answer || m->skip > MSE_PAD_MAX) {
        set_state(m, MSE_FAILED);
        return false;
    }
    set_state(m, MSE_PAD);
    return true;
}

static bool ia_len(struct mse *m)
{
    if (m->rx_n < 2)
        return false;
    rc4_crypt(&m->rx, (struct span){m->rx_buf, 2});
    struct rd r = rd_make(slice_of(m->rx_buf, 2));
    m->ia_left = rd_be16(&r);
    consume(m, 2);
    compose_head(m, m->selected);
    finish(m);
    return true;
}

// One step with what is here; false: it needs more bytes, or somebody else.
static bool step(struct mse *m)
{
    uint8_t req3[SHA1_LEN];
    switch (m->state) {
    case MSE_KEY:
        if (m->rx_n < DH768_LEN)
            return false;
        set_state(m, MSE_EXCHANGE);
        return false;
    case MSE_SYNC:
        if (!find_mark(m))
            return false;
        set_state(m, m->initiator ? MSE_HEAD : MSE_HASH);
        return true;
    case MSE_HASH:
        if (m->rx_n < SHA1_LEN)
            return false;
        hash2("req3", secret_of(m), (struct slice){NULL, 0}, req3);
        for (size_t i = 0; i < SHA1_LEN; i++)
            m->wanted[i] = m->rx_buf[i] ^ req3[i];
        consume(m, SHA1_LEN);
        set_state(m, MSE_SKEY);
        return false;
    case MSE_HEAD: return head(m);
    case MSE_PAD:
        if (!skip_pad(m))
            return false;
        if (m->initiator)
            finish(m);
        else
            set_state(m, MSE_IA_LEN);
        return true;
    case MSE_IA_LEN: return ia_len(m);
    case MSE_EXCHANGE:
    case MSE_SKEY:
    case MSE_DONE:
    case MSE_FAILED: return false;
    }
    return false;
}

static void run(struct mse *m)
{
    while (step(m)) {
    }
}

struct span mse_room(struct mse *m)
{
    const bool waits = m->state != MSE_EXCHANGE && m->state != MSE_SKEY && m->state < MSE_DONE;
    return (struct span){m->rx_buf + m->rx_n, waits ? MSE_RX_LEN - m->rx_n : 0};
}

void mse_input(struct mse *m, size_t n)
{
    ASSERT(n <= MSE_RX_LEN - m->rx_n);
    m->rx_n += (uint32_t)n;
    run(m);
}

void mse_exchange(struct mse *m)
{
    ASSERT(m->state == MSE_EXCHANGE);
    enum err e = dh768_secret(m->private_key, m->rx_buf, m->secret);
    consume(m, DH768_LEN);
    if (e == ERR_OK && !m->initiator)
        e = compose_key(m);
    if (e != ERR_OK) {
        set_state(m, MSE_FAILED);
        return;
    }
    if (m->initiator) {
        answer_as_initiator(m);
    } else {
        m->mark_n = SHA1_LEN;
        hash2("req1", secret_of(m), (struct slice){NULL, 0}, m->mark);
    }
    set_state(m, MSE_SYNC);
    run(m);
}

void mse_skey(struct mse *m, const uint8_t *skey)
{
    ASSERT(m->state == MSE_SKEY);
    if (skey == NULL) {
        set_state(m, MSE_FAILED);
        return;
    }
    memcpy(m->skey, skey, MSE_SKEY_LEN);
    start_streams(m);
    set_state(m, MSE_HEAD);
    run(m);
}

void mse_decrypt(struct mse *m, struct span data)
{
    ASSERT(m->state == MSE_DONE);
    const size_t ia = size_min(m->ia_left, data.n);
    m->ia_left -= (uint32_t)ia;
    rc4_crypt(&m->rx, (struct span){data.p, m->selected == MSE_RC4 ? data.n : ia});
}
