// Whom a swarm connects to, whom it keeps, and how peers behind routers find to each other by it. BEP 11, 40, 55.
#include "ground.h"

#include "codec/peer_priority.h"
#include "engine/swarm/known.h"

static struct addr ip(uint8_t a, uint8_t b, uint8_t c, uint8_t d) { return addr_ipv4((uint8_t[4]){a, b, c, d}, 6881); }

// BEP 40: with an address of our own the candidates come in the order that the other side would choose too; whom the user named
// comes before, and who has failed after all who have not.
static void candidates_come_by_rank(void **state)
{
    UNUSED_STATE(state);
    struct known_set k;
    known_init(&k, &test_mem, 100, 1);
    const struct addr own = ip(123, 213, 32, 10), named = ip(1, 1, 1, 1);
    for (uint8_t i = 0; i < 20; i++) {
        const struct addr a = ip((uint8_t)(90 + i), 76, 54, 32);
        known_add(&k, &a, false);
    }
    struct addr a, dead;
    assert_true(known_next(&k, NSEC_S, &dead));
    const struct addr first = ip(90, 76, 54, 32);
    assert_true(addr_eq(&dead, &first));                // in turn
    known_failed(&k, NSEC_S, &dead);
    known_own(&k, &own);
    known_add(&k, &named, true);
    assert_true(known_next(&k, 100 * NSEC_S, &a));
    assert_true(addr_eq(&a, &named));
    uint32_t last = UINT32_MAX;
    for (uint32_t i = 0; i < 19; i++) {
        assert_true(known_next(&k, 100 * NSEC_S, &a));
        assert_true(peer_priority(&own, &a) < last);
        last = peer_priority(&own, &a);
    }
    assert_true(known_next(&k, 100 * NSEC_S, &a));
    assert_true(addr_eq(&a, &dead));
    assert_false(known_next(&k, 100 * NSEC_S, &a));
    known_done(&k);
}

static struct stranger *find(struct ground *g, const struct addr *a, uint32_t i)
{
    struct swarm_peer_new in = {.conn = i + 1, .addr = *a, .incoming = true, .theirs = {.has_fast = true}};
    in.theirs.peer_id[1] = (uint8_t)(100 + i);
    struct stranger *t = &g->all[i];
    if (t->heard == NULL)
        t->heard = malloc(HEARD_MAX);
    t->heard_n = 0;
    const enum err e = swarm_peer_add(g->swarm, g->now, &in, &t->peer);
    assert_true(e == ERR_OK || e == ERR_FULL);
    if (e == ERR_FULL)
        t->peer = NULL;
    drain(g);
    return t;
}

// All places taken by peers of ten sites, who want nothing and have nothing: who ranks before the last of them takes its place.
// Not if the last is interested, or has only just come.
static void the_useless_make_room_by_rank(void **state)
{
    UNUSED_STATE(state);
    struct ground g;
    ground_init(&g, false);
    const struct addr own = ip(123, 213, 32, 10);
    swarm_external(g.swarm, &own);
    struct addr at[10];
    uint32_t last = 0;
    for (uint8_t i = 0; i < 10; i++) {
        at[i] = ip((uint8_t)(20 + i), 1, 1, 1);
        assert_non_null(find(&g, &at[i], i)->peer);
        if (peer_priority(&own, &at[i]) < peer_priority(&own, &at[last]))
            last = i;
    }
    struct addr a = own, b = own;       // who ranks before the last, and who behind all
    for (uint8_t i = 100; i < 200 && (a.ip[0] == own.ip[0] || b.ip[0] == own.ip[0]); i++) {
        const struct addr c = ip(i, 1, 1, 1);
        *(peer_priority(&own, &c) > peer_priority(&own, &at[last]) ? &a : &b) = c;
    }
    assert_null(find(&g, &a, 10)->peer);                // nobody has had the time to want anything
    pass(&g, 31);
    assert_null(find(&g, &b, 10)->peer);
    for (uint32_t i = 0; i < 10; i++)
        tell(&g, i, MSG_INTERESTED, 0, 0, 0);
    assert_null(find(&g, &a, 10)->peer);
    tell(&g, last, MSG_NOT_INTERESTED, 0, 0, 0);
    assert_non_null(find(&g, &a, 10)->peer);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(g.all[i].peer == NULL, i == last);
    ground_done(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(candidates_come_by_rank),
        cmocka_unit_test(the_useless_make_room_by_rank),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
