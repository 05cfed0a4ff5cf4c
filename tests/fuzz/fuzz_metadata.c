// A script for the metadata engine: peers come and go, say anything, time passes; its invariants hold and memory comes back.
#include "test.h"

#include "codec/extended.h"
#include "engine/swarm/metadata.h"

enum { PEERS = 6, LEN = 2 * UT_METADATA_PART + 77 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static size_t lent;

static void *counted(void *ctx, void *p, size_t old_n, size_t new_n)
{
    lent += new_n - old_n;
    return test_resize(ctx, p, old_n, new_n);
}

static struct metadata_peer *peers[PEERS];
static bool done;

static void drain(struct metadata *m, nsec now)
{
    static uint8_t space[4096];
    for (;;) {
        struct buf tx = {space, 0, sizeof space};
        struct metadata_out out = {0};
        const enum metadata_kind kind = metadata_poll(m, now, &tx, &out);
        metadata_check(m);
        if (kind == METADATA_IDLE)
            return;
        if (kind == METADATA_CLOSE)
            peers[out.conn - 1] = NULL;
        if (kind == METADATA_DONE) {
            ASSERT(!done);
            ASSERT(out.bytes.n == LEN);
            done = true;
        }
        ASSERT(kind != METADATA_SEND || peers[out.conn - 1] != NULL);
    }
}

static void join(struct metadata *m, nsec now, uint32_t i, uint8_t how)
{
    struct swarm_peer_new in = {.conn = i + 1, .addr = addr_ipv4((uint8_t[]){127, 0, 0, (uint8_t)(i + 1)}, 6881)};
    in.theirs = (struct handshake){.has_extended = (how & 15) != 0, .has_fast = (how & 16) != 0};
    in.theirs.peer_id[0] = (uint8_t)(i + 1);
    if (metadata_peer_add(m, now, &in, &peers[i]) != ERR_OK)
        peers[i] = NULL;
}

// A message made of what the input says: a handshake with a size, a part right or wrong, a refusal, or raw bytes.
static void speak(struct metadata *m, nsec now, uint32_t i, struct rd *r)
{
    static uint8_t space[UT_METADATA_PART + 1024], info[LEN];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    const uint8_t what = rd_u8(r), arg = rd_u8(r);
    struct ut_metadata u = {.type = UT_METADATA_DATA, .part = arg % 4, .total = LEN};
    struct extended_handshake h = {.has_metadata_size = true, .metadata_size = arg % 5 == 0 ? (uint64_t)arg * 99 + 1 : LEN};
    switch (what % 5) {
    case 0:
        h.has_id[EXT_METADATA] = true;
        h.ids[EXT_METADATA] = what & 7;
        extended_write(&w, &h);
        break;
    case 1:
        u.data = slice_sub(slice_of(info, LEN), (size_t)u.part * UT_METADATA_PART, UT_METADATA_PART);
        if (u.data.n == 0)
            return;
        ut_metadata_write(&w, extension_id(EXT_METADATA), &u);
        wr_bytes(&w, u.data);
        if (arg & 0x80)
            b.p[b.n - 1] ^= arg;
        break;
    case 2:
        u.type = arg & 0x80 ? UT_METADATA_REJECT : UT_METADATA_REQUEST;
        ut_metadata_write(&w, extension_id(EXT_METADATA), &u);
        break;
    case 3: peer_msg_write(&w, &(struct peer_msg){.id = MSG_HAVE, .index = arg}); break;
    default: wr_bytes(&w, rd_bytes(r, size_min(arg, r->n))); break;
    }
    metadata_rx(m, now, peers[i], buf_slice(&b));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t id[20] = "-KH0100-fuzzerfuzzer", info[LEN];
    static const struct mem mem = {.resize = counted};
    static const struct env env = {.mem = &mem, .payload = &test_payload, .seed = 5};
    struct metadata_config cfg = {.has_v1 = true, .peer_id = id};
    struct metadata *m;
    struct rd r = rd_make(slice_of(data, n));
    nsec now = 1000 * NSEC_S;
    memset(peers, 0, sizeof peers);
    lent = 0;
    done = false;
    sha1_of(slice_of(info, LEN), cfg.hash_v1);
    if (metadata_new(&m, &cfg, &env, now) != ERR_OK)
        return 0;
    while (r.n != 0) {
        const uint8_t op = rd_u8(&r);
        const uint32_t i = op / 8 % PEERS;
        if (op % 8 == 0) {
            now += (uint64_t)rd_u8(&r) * NSEC_S / 8;
            metadata_tick(m, now);
        } else if (peers[i] == NULL) {
            join(m, now, i, op);
        } else if (op % 8 == 1) {
            metadata_peer_closed(m, now, peers[i]);
            peers[i] = NULL;
        } else {
            speak(m, now, i, &r);
        }
        drain(m, now);
    }
    metadata_free(m);
    ASSERT(lent == 0);
    return 0;
}
