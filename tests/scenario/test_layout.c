// Torrents of every shape: v1, v2, hybrid; many files, empty files, pads, odd lengths, a last short piece; both kinds of payload.
#include "lab.h"

static const uint64_t many[] = {0, 1, 16384, 70000, 0, 65536, 131073, 5, 300001}, one[] = {123457}, tiny[] = {1}, exact[] = {131072};

static uint64_t share(const char *name, const struct stage_torrent *t, enum payload_mode mode)
{
    const struct lab_swarm s = {.name = name, .world = {.seed = 21, .payload = mode, .latency = 15 * NSEC_MS, .check = true},
        .torrent = *t, .seed = {.up_bps = KBPS(300)}, .leech = {.up_bps = KBPS(100), .dials = 4}, .seeds = 1, .leeches = 4};
    struct lab l;
    lab_swarm(&l, &s);
    lab_complete(&l, 200 * NSEC_S);
    world_run(l.world, l.world->now + 30 * NSEC_S);     // and they live on as seeds
    return lab_close(&l);
}

static void every_shape_is_shared(void **state)
{
    UNUSED_STATE(state);
    static const struct {
        const uint64_t *lens;
        uint32_t n;
        const char *name;
    } shapes[] = {{many, ARRAY_LEN(many), "many"}, {one, 1, "one"}, {tiny, 1, "tiny"}, {exact, 1, "exact"}};
    static const char *const versions[] = {"", "v1", "v2", "hybrid"};
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
        for (int v = 1; v <= 3; v++) {
            char name[40];
            snprintf(name, sizeof name, "%s %s", versions[v], shapes[i].name);
            const struct stage_torrent t = {.v1 = (v & 1) != 0, .v2 = (v & 2) != 0, .piece_len = 32768, .lens = shapes[i].lens, .files_n = shapes[i].n};
            const uint64_t ref = share(name, &t, PAYLOAD_REF), bytes = share(name, &t, PAYLOAD_BYTES);
            assert_int_equal(ref, bytes);
        }
}

// v1 pieces may have any length, and need not be whole blocks.
static void an_odd_piece_length_is_shared(void **state)
{
    UNUSED_STATE(state);
    const struct stage_torrent t = {.v1 = true, .piece_len = 50000, .lens = many, .files_n = ARRAY_LEN(many)};
    share("odd piece length", &t, PAYLOAD_REF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_is_shared),
        cmocka_unit_test(an_odd_piece_length_is_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
