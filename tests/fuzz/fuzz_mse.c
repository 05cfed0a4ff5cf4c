// The MSE handshake under a script: both roles, bytes in pieces of any size, from an honest partner whose bytes are sometimes
// spoilt, or from nobody. The first byte chooses; then {count, xor} for each step.
#include "test.h"

#include "engine/reach/mse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const uint8_t skey[MSE_SKEY_LEN] = {1, 2, 3}, keys[2][DH768_PRIVATE_LEN] = {{9, 1}, {7, 2}};

static struct mse make(bool initiator, uint8_t allowed, uint64_t seed)
{
    struct mse m;
    const struct mse_config cfg = {.initiator = initiator, .allowed = allowed, .private_key = keys[initiator], .skey = skey,
        .pads = rng_make(seed, initiator), .ia = slice_of(keys, initiator ? seed % 41 : 0)};
    ASSERT(mse_init(&m, &cfg) == ERR_OK);
    return m;
}

static void moved(struct mse *m)
{
    if (m->state == MSE_EXCHANGE)
        mse_exchange(m);
    if (m->state == MSE_SKEY) {
        uint8_t hash[SHA1_LEN];
        mse_skey_hash(skey, hash);
        mse_skey(m, memcmp(hash, m->wanted, SHA1_LEN) == 0 ? skey : NULL);
    }
}

static void check(struct mse *m)
{
    ASSERT(m->rx_n <= MSE_RX_LEN);
    ASSERT(m->tx_n <= MSE_TX_LEN);
    ASSERT(m->state != MSE_EXCHANGE);
    ASSERT(m->state != MSE_SKEY);
    ASSERT(m->state >= MSE_DONE || mse_room(m).n != 0);
    if (m->state == MSE_DONE) {
        ASSERT(m->selected == MSE_PLAIN || m->selected == MSE_RC4);
        ASSERT((m->selected & m->allowed) != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    struct mse ends[2] = {make(false, (uint8_t)(1 + data[0] % 3), data[1]), make(true, (uint8_t)(1 + data[0] / 3 % 3), data[1])};
    static uint8_t way[2][4096];
    size_t filled[2] = {0}, at[2] = {0};
    for (size_t i = 2; i + 2 < n; i += 3) {
        struct mse *to = &ends[data[i] & 1], *from = &ends[1 - (data[i] & 1)];
        const int dir = data[i] & 1;
        const size_t k = size_min(mse_tx(from).n, sizeof way[0] - filled[dir]);
        memcpy(way[dir] + filled[dir], mse_tx(from).p, k);
        filled[dir] += k;
        mse_tx_sent(from);
        const struct span room = mse_room(to);
        size_t len = size_min(room.n, (size_t)data[i + 1] * (1 + (data[i] >> 4)));
        const bool honest = (data[i] & 2) == 0;
        if (honest)
            len = size_min(len, filled[dir] - at[dir]);
        if (len == 0 || to->state >= MSE_DONE)
            continue;
        memset(room.p, data[i + 2], len);
        if (honest) {
            memcpy(room.p, way[dir] + at[dir], len);
            at[dir] += len;
            room.p[0] ^= (data[i] & 4) != 0 ? data[i + 2] : 0;
        }
        mse_input(to, len);
        moved(to);
        check(to);
    }
    return 0;
}
