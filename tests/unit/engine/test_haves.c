// Who is told when of a piece that we got: whom we choke and who is interested already hears of several at once.
#include "ground.h"

enum { SEED, FIRST = 1, LAST = 6, BORED = 7, MANY = 256, TOGETHER = MANY / 64, BEGUN = 11 };

static uint8_t zeros[BLOCK_LEN], many_hashes[MANY * SHA1_LEN];

// What a stranger heard since the last look: the pieces, and whether one of them came before the unchoke.
struct news {
    uint32_t haves, before_unchoke;
    bool unchoked;
};

static struct news news_of(struct ground *g, uint32_t i)
{
    struct news n = {0};
    for (struct peer_msg m; next_heard(&g->all[i], &m);) {
        n.haves += m.id == MSG_HAVE;
        n.unchoked |= m.id == MSG_UNCHOKE;
        if (!n.unchoked)
            n.before_unchoke = n.haves;
    }
    return n;
}

// The seed answers the first request that it has heard for a piece of which the others have nothing; each is one block of zeros.
static void one_piece(struct ground *g)
{
    for (struct peer_msg m; next_heard(&g->all[SEED], &m);)
        if (m.id == MSG_REQUEST && m.index >= BEGUN) {
            give(g, SEED, m.index, m.begin, false);
            return;
        }
    fail_msg("nothing is asked for");
}

struct party {
    struct ground g;
    uint32_t choked, unchoked;
};

// A leech of 256 pieces with a seed, six who have `pieces` of them and are interested, and one who is not.
static void party_begin(struct party *p, uint32_t pieces)
{
    struct ground *g = &p->g;
    ground_meta(g);
    for (uint32_t i = 0; i < MANY; i++)
        sha1_of(slice_of(zeros, sizeof zeros), many_hashes + i * SHA1_LEN);
    g->file.len = g->meta.span = g->meta.len = (uint64_t)MANY * BLOCK_LEN;
    g->meta.piece_len = BLOCK_LEN;
    g->meta.pieces_n = MANY;
    g->meta.pieces = many_hashes;
    ground_open(g, false);
    meet(g, SEED, true);
    tell(g, SEED, MSG_HAVE_ALL, 0, 0, 0);
    for (uint32_t i = FIRST; i <= BORED; i++) {
        meet(g, i, true);
        tell(g, i, MSG_HAVE_NONE, 0, 0, 0);
        for (uint32_t k = 0; k < pieces; k++)
            tell(g, i, MSG_HAVE, k, 0, 0);
        if (i != BORED)
            tell(g, i, MSG_INTERESTED, 0, 0, 0);
    }
    p->choked = p->unchoked = 0;
    for (uint32_t i = FIRST; i <= LAST; i++)
        *(news_of(g, i).unchoked ? &p->unchoked : &p->choked) = i;
    assert_int_not_equal(p->choked, 0);
    assert_int_not_equal(p->unchoked, 0);
    (void)news_of(g, BORED);
    tell(g, SEED, MSG_UNCHOKE, 0, 0, 0);
}

// Each piece was told to each peer in a packet of its own. Who may ask for it, or may become interested, hears of it at once.
static void the_choked_hear_of_several_together(void **state)
{
    (void)state;
    struct party p;
    party_begin(&p, BEGUN);
    for (uint32_t i = 1; i <= TOGETHER; i++) {
        one_piece(&p.g);
        assert_int_equal(news_of(&p.g, p.unchoked).haves, 1);
        assert_int_equal(news_of(&p.g, BORED).haves, 1);
        assert_int_equal(news_of(&p.g, p.choked).haves, i == TOGETHER ? TOGETHER : 0);
    }
    ground_done(&p.g);
}

static void nobody_hears_later_than_after_ten_seconds(void **state)
{
    (void)state;
    struct party p;
    party_begin(&p, BEGUN);
    one_piece(&p.g);
    uint32_t seconds = 0;
    while (news_of(&p.g, p.choked).haves == 0) {
        pass(&p.g, 1);
        assert_true(++seconds <= 10);
    }
    assert_true(seconds > 1);
    ground_done(&p.g);
}

// An unchoke brings what was kept back, and first: what is asked for is chosen from all that we have.
static void an_unchoke_comes_after_the_pieces(void **state)
{
    (void)state;
    struct party p;
    party_begin(&p, BEGUN);
    one_piece(&p.g);
    for (uint32_t i = FIRST; i <= LAST; i++)
        if (i != p.choked)
            leave(&p.g, i);
    const struct news n = news_of(&p.g, p.choked);
    assert_true(n.unchoked);
    assert_int_equal(n.before_unchoke, 1);
    ground_done(&p.g);
}

// Who is not interested any more could be because of what it was not told.
static void who_loses_interest_hears_at_once(void **state)
{
    (void)state;
    struct party p;
    party_begin(&p, BEGUN);
    one_piece(&p.g);
    assert_int_equal(news_of(&p.g, p.choked).haves, 0);
    tell(&p.g, p.choked, MSG_NOT_INTERESTED, 0, 0, 0);
    assert_int_equal(news_of(&p.g, p.choked).haves, 1);
    ground_done(&p.g);
}

// Some pieces it may ask for although it is choked, if it has next to nothing: which they are, it hears by `have`.
static void who_may_have_gifts_hears_at_once(void **state)
{
    (void)state;
    struct party p;
    party_begin(&p, BEGUN - 1);
    one_piece(&p.g);
    assert_int_equal(news_of(&p.g, p.choked).haves, 1);
    ground_done(&p.g);
}

// Who has a piece is not told that we have it, too. When it loses that, nobody else would tell it where to get it again.
static void who_loses_a_piece_hears_that_we_have_it(void **state)
{
    (void)state;
    struct party p;
    uint32_t index = MANY;
    party_begin(&p, BEGUN);
    for (uint32_t i = BEGUN; i < MANY - 1; i++)
        tell(&p.g, p.unchoked, MSG_HAVE, i, 0, 0);
    one_piece(&p.g);
    for (struct peer_msg m; next_heard(&p.g.all[BORED], &m);)
        index = m.id == MSG_HAVE ? m.index : index;
    assert_true(index < MANY - 1);
    tell(&p.g, p.unchoked, MSG_REQUEST, MANY - 1, 0, BLOCK_LEN);        // it is refused: with that the piece is passed over
    assert_int_equal(news_of(&p.g, p.unchoked).haves, 0);
    const uint8_t lost[10] = {0, 0, 0, 6, MSG_EXTENDED, extension_id(EXT_DONTHAVE), 0, 0, 0, (uint8_t)index};
    say(&p.g, p.unchoked, lost, sizeof lost);
    assert_int_equal(news_of(&p.g, p.unchoked).haves, 1);
    say(&p.g, p.unchoked, lost, sizeof lost);
    assert_int_equal(news_of(&p.g, p.unchoked).haves, 0);
    const uint8_t never[10] = {0, 0, 0, 6, MSG_EXTENDED, extension_id(EXT_DONTHAVE), 0, 0, 0, (uint8_t)(index == 200 ? 201 : 200)};
    say(&p.g, p.unchoked, never, sizeof never);         // nor have we
    assert_int_equal(news_of(&p.g, p.unchoked).haves, 0);
    ground_done(&p.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_choked_hear_of_several_together), cmocka_unit_test(nobody_hears_later_than_after_ten_seconds),
        cmocka_unit_test(an_unchoke_comes_after_the_pieces), cmocka_unit_test(who_loses_interest_hears_at_once),
        cmocka_unit_test(who_may_have_gifts_hears_at_once), cmocka_unit_test(who_loses_a_piece_hears_that_we_have_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
