// What a peer costs the tracker, the allocator's own share and the holes it leaves included. Without it a wider index or an
// unlucky way to grow would cost a large tracker a third of its memory unseen.
#include "test.h"

#include <malloc.h>

#include "engine/find/tracker_store.h"

enum { FEWER = 640000, PEERS = 1000000, SWARMS = 10000, BYTES_MAX = 16 };

static size_t from_system(void)
{
    const struct mallinfo2 m = mallinfo2();
    return m.arena + m.hblkhd;
}

static void look(const struct tracker_store *s, uint32_t n, size_t bytes)
{
    print_message("%u: %.2f bytes a peer, %.2f of them asked for\n", (unsigned)n, (double)bytes / n, (double)s->bytes / n);
    assert_true(s->bytes <= (uint64_t)BYTES_MAX * n);
    if (bytes != 0)                     // another allocator (a sanitizer's) does not tell
        assert_true(bytes <= (size_t)BYTES_MAX * n);
}

// Peers of all swarms come in no order, as they do.
static void a_million_peers(void **state)
{
    UNUSED_STATE(state);
    const struct store_limits limits = {SWARMS, PEERS, PEERS, 16, 60};
    const uint64_t secret[2] = {1, 2};
    struct rng rng = rng_make(3, 4);
    struct tracker_store s;
    const size_t before = from_system();
    store_init(&s, &test_mem, &limits, secret);
    for (uint32_t i = 0; i < PEERS; i++) {
        if (i == FEWER)
            look(&s, i, from_system() - before);
        uint8_t hash[20] = {0}, ip[4];
        const uint64_t address = mix64(i), swarm = rng_below(&rng, SWARMS);
        memcpy(hash, &swarm, sizeof swarm);
        memcpy(ip, &address, sizeof ip);
        const struct store_announce a = {.hash = hash, .peer = addr_ipv4(ip, 6881), .class = (enum peer_class)(i % CLASSES_N), .minute = 1};
        struct tracker_swarm *w;
        uint32_t self;
        assert_int_equal(store_announce(&s, &a, &w, &self), ERR_OK);
    }
    look(&s, PEERS, from_system() - before);
    store_check(&s);
    store_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_million_peers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
