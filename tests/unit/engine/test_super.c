// The swarm as an only seed (BEP 16), message by message. The decisions alone: test_superseed.c.
#include "ground.h"

enum { HELPER, FIRST, SECOND, THIRD };

// The piece that stranger i was shown last; UINT32_MAX: none since the last call.
static uint32_t shown(struct ground *g, uint32_t i)
{
    uint32_t piece = UINT32_MAX;
    for (struct peer_msg m; next_heard(&g->all[i], &m);)
        if (m.id == MSG_HAVE)
            piece = m.index;
    return piece;
}

// Without the pause every `have` of every peer walks over all pieces of the torrent for each peer that waits for one: what nobody can be
// shown is looked for again after 100 ms, and then found.
static void who_waits_is_looked_after_in_a_while(void **state)
{
    (void)state;
    struct ground g;
    ground_meta(&g);
    g.super_seed = true;
    ground_open(&g, true);
    meet(&g, HELPER, true);
    const uint32_t helpers = shown(&g, HELPER);
    assert_true(helpers < PIECES);
    for (uint32_t i = 0, left = 2; i < PIECES; i++) {   // the helper has all but what it was shown, and two more
        if (i == helpers)
            continue;
        if (left > 0)
            left--;
        else
            tell(&g, HELPER, MSG_HAVE, i, 0, 0);
    }
    meet(&g, FIRST, true);
    meet(&g, SECOND, true);
    meet(&g, THIRD, true);
    assert_true(shown(&g, FIRST) < PIECES);
    assert_true(shown(&g, SECOND) < PIECES);
    assert_int_equal(shown(&g, THIRD), UINT32_MAX);     // there is nothing left for it
    leave(&g, FIRST);                                   // now there is
    g.now += 99 * NSEC_MS;
    tell(&g, SECOND, MSG_HAVE, helpers == 5 ? 6 : 5, 0, 0);
    assert_int_equal(shown(&g, THIRD), UINT32_MAX);
    g.now += NSEC_MS;
    tell(&g, SECOND, MSG_HAVE, helpers == 7 ? 8 : 7, 0, 0);
    assert_true(shown(&g, THIRD) < PIECES);
    ground_done(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(who_waits_is_looked_after_in_a_while)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
