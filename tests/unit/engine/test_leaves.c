// BEP 52: a bad block of a v2 piece is told from the good ones by the leaves of the tree, which any honest peer can prove, before the piece
// is fetched again. Bittorrent note, trap 11.
#include "ground.h"

#include "codec/hash_request.h"
#include "codec/merkle.h"

enum { LEAVES = 128, HEIGHT = 7, ONE = 0, LIAR = 1, WITNESS = 2 };

static uint8_t tree[HEIGHT + 1][LEAVES][SHA256_LEN], layer[PIECES * SHA256_LEN];

// The same content as a v2 torrent: 96 leaves, so the tree has 128.
static void open_v2(struct ground *g)
{
    ground_meta(g);
    memset(tree, 0, sizeof tree);
    for (uint32_t i = 0; i < PIECES * BLOCKS; i++)
        sha256_of(slice_of(content + (size_t)i * BLOCK_LEN, BLOCK_LEN), tree[0][i]);
    for (uint32_t h = 1; h <= HEIGHT; h++)
        for (uint32_t i = 0; i < (uint32_t)LEAVES >> h; i++)
            sha256_of(slice_of(tree[h - 1][2 * i], 2 * SHA256_LEN), tree[h][i]);
    for (uint32_t i = 0; i < PIECES; i++)
        memcpy(layer + (size_t)i * SHA256_LEN, tree[2][i], SHA256_LEN);
    g->file.root = tree[HEIGHT][0];
    g->file.layer = layer;
    g->meta.has_v1 = false;
    g->meta.has_v2 = true;
    g->meta.pieces = NULL;
    ground_open(g, false);
}

// A seed that chokes nobody.
static void meet_seed(struct ground *g, uint32_t i)
{
    uint8_t space[64];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    struct swarm_peer_new in = {.conn = i + 1, .incoming = true, .addr = addr_ipv4((const uint8_t[4]){10, 0, 1, (uint8_t)i}, 5000),
                                .theirs = {.has_fast = true, .has_v2 = true, .peer_id = {'x', (uint8_t)i}}};
    memcpy(in.theirs.info_hash, g->meta.hash_v2, INFO_HASH_LEN);
    assert_int_equal(swarm_peer_add(g->swarm, g->now, &in, &g->all[i].peer), ERR_OK);
    g->all[i].heard = g->all[i].heard == NULL ? malloc(HEARD_MAX) : g->all[i].heard;
    peer_msg_write(&w, &(struct peer_msg){.id = MSG_HAVE_ALL});
    peer_msg_write(&w, &(struct peer_msg){.id = MSG_UNCHOKE});
    say(g, i, b.p, b.n);
}

// The request for leaves that i heard, if any; requests for blocks are dropped.
static bool asked_for_leaves(struct ground *g, uint32_t i, struct hash_request *out)
{
    struct stranger *t = &g->all[i];
    bool found = false;
    for (struct peer_msg m; t->heard_n > 4 && !found; (void)next_heard(t, &m))
        found = t->heard[4] == MSG_HASH_REQUEST && hash_request_parse(out, slice_of(t->heard + 5, t->heard_n - 5)) == ERR_OK;
    return found;
}

static void answer_leaves(struct ground *g, uint32_t i, const struct hash_request *r)
{
    uint8_t space[1024];
    struct buf b = {space, 0, sizeof space};
    struct wr w = wr_make(&b);
    const uint32_t uncles = hash_request_uncles(r);
    hash_answer_write(&w, r, r->length + uncles);
    for (uint32_t k = 0; k < r->length; k++)
        wr_bytes(&w, slice_of(tree[r->base][r->index + k], SHA256_LEN));
    uint32_t level = r->base + hash_tree_height(r->length), at = r->index >> hash_tree_height(r->length);
    for (uint32_t k = 0; k < uncles; k++, level++, at /= 2)
        wr_bytes(&w, slice_of(tree[level][at ^ 1], SHA256_LEN));
    assert_true(w.ok);
    say(g, i, b.p, b.n);
}

// One gives the first half of a piece and leaves; a liar gives the rest.
static uint32_t open_with_bad_piece(struct ground *g)
{
    struct peer_msg m;
    uint32_t piece = UINT32_MAX;
    open_v2(g);
    meet_seed(g, ONE);
    while (piece == UINT32_MAX && next_heard(&g->all[ONE], &m))
        if (m.id == MSG_REQUEST)
            piece = m.index;
    assert_true(piece != UINT32_MAX);
    for (uint32_t k = 0; k < 2; k++)
        give(g, ONE, piece, k * BLOCK_LEN, true);
    leave(g, ONE);
    meet_seed(g, LIAR);
    give(g, LIAR, piece, 2 * BLOCK_LEN, false);
    give(g, LIAR, piece, 3 * BLOCK_LEN, true);
    return piece;
}

// Without this an innocent peer that gave other blocks of the piece is banned, or the guilty one goes on until the piece is whole again.
static void leaves_tell_who_lied(void **state)
{
    (void)state;
    struct ground g;
    struct hash_request r;
    const uint32_t piece = open_with_bad_piece(&g);
    assert_int_equal(g.banned, 0);      // both have given to it: who is to blame is not known
    g.all[LIAR].heard_n = 0;
    meet_seed(&g, WITNESS);
    bool asked = false;
    for (uint32_t k = 0; k < 60 && !asked; k++) {       // the liar may be asked first, and does not answer
        pass(&g, 1);
        asked = asked_for_leaves(&g, WITNESS, &r);
    }
    assert_true(asked);
    assert_int_equal(r.base, 0);
    assert_int_equal(r.index, piece * BLOCKS);
    assert_int_equal(r.length, BLOCKS);
    answer_leaves(&g, WITNESS, &r);
    assert_int_equal(g.banned, 1);
    assert_null(g.all[LIAR].peer);
    assert_non_null(g.all[WITNESS].peer);
    meet_seed(&g, ONE);                 // and who gave the good half may come again
    assert_non_null(g.all[ONE].peer);
    ground_done(&g);
}

// Without this a liar frames the others by false leaves: their proof does not hold, and that is its own ban.
static void false_leaves_are_their_senders_ban(void **state)
{
    (void)state;
    struct ground g;
    struct hash_request r;
    const uint32_t piece = open_with_bad_piece(&g);
    pass(&g, 1);
    assert_true(asked_for_leaves(&g, LIAR, &r));
    tree[0][piece * BLOCKS][0] ^= 1;    // as if the first one's block had been bad
    answer_leaves(&g, LIAR, &r);
    assert_int_equal(g.banned, 1);
    assert_null(g.all[LIAR].peer);
    meet_seed(&g, ONE);
    assert_non_null(g.all[ONE].peer);
    ground_done(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(leaves_tell_who_lied), cmocka_unit_test(false_leaves_are_their_senders_ban)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
