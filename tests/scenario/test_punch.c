// Hole punching between whole nodes behind NAT boxes, with a public third one that both are connected to. BEP 55.
#include "lab.h"

static const uint64_t mb20[] = {20000000}, mb2[] = {2000000};

static const char *const classes[NAT_CLASSES] = {"EIM/EIF", "EIM/ADF", "EIM/APDF", "symmetric", "no UDP"};

// A home whose peers are over uTP alone, so that a connection is a punched one; without UDP only TCP is left to reach the relay.
static uint32_t home(struct lab *l, enum nat_class c, uint32_t torrent, const uint32_t *relay, enum want_kind kind)
{
    struct nat_config nat = nat_class_config(c);
    nat.port = NAT_RANDOM;              // the port that it listens at leads nowhere: only the relay knows the right one
    const struct host_config h = {.utp = true, .node = {.no_tcp = c != NAT_CLASS_BLOCKED}, .nat = world_nat(l->world, &nat),
                                  .up_bps = KBPS(50), .down_bps = KBPS(50), .arrive = NSEC_S, .friends = relay, .friends_n = 1};
    const uint32_t host = world_host(l->world, &h);
    world_want(l->world, host, torrent, kind);
    return host;
}

struct pair {
    uint32_t relay, one, other;
};

// Both know nobody but a public node, which has nothing of the file.
static struct pair open_pair(struct lab *l, const char *name, uint64_t seed, const enum nat_class classes_of[2], enum want_kind other)
{
    static uint32_t relay;
    const struct world_config cfg = {.seed = seed, .payload = PAYLOAD_BYTES, .latency = 20 * NSEC_MS, .latency_spread = 30 * NSEC_MS, .check = true};
    lab_open(l, name, &cfg);
    const struct stage_torrent t = {.v1 = true, .piece_len = 262144, .lens = other == WANT_LEECH ? mb20 : mb2, .files_n = 1};
    const uint32_t torrent = lab_torrent(l, &t);
    const struct host_config public = {.utp = true, .up_bps = KBPS(50), .down_bps = KBPS(50)};
    relay = world_host(l->world, &public);
    world_want(l->world, relay, torrent, WANT_LEECH);
    const uint32_t one = home(l, classes_of[0], torrent, &relay, WANT_SEED);
    return (struct pair){relay, one, home(l, classes_of[1], torrent, &relay, other)};
}

// True: they are connected to each other as well.
static bool meet(enum nat_class a, enum nat_class b, uint64_t seed)
{
    struct lab l;
    const struct pair p = open_pair(&l, __func__, seed, (enum nat_class[2]){a, b}, WANT_LEECH);
    world_run(l.world, 60 * NSEC_S);
    const uint32_t one = p.one, other = p.other;
    const struct node_torrent_stats s = lab_stats(&l, one, 0), o = lab_stats(&l, other, 0);
    lab_expect(&l, s.peers >= 1 && o.peers >= 1, "somebody has lost the relay");
    lab_expect(&l, s.peers == o.peers, "one side thinks that it is connected");
    (void)lab_close(&l);
    return s.peers == 2;
}

// All pairs of classes, both ways round: as theory says (simulation note, section 4), and nothing else.
static void pairs_meet_as_in_theory(void **state)
{
    UNUSED_STATE(state);
    uint32_t met = 0;
    for (uint32_t a = 0; a < NAT_CLASSES; a++)
        for (uint32_t b = 0; b < NAT_CLASSES; b++) {
            const bool works = nat_punchable((enum nat_class)a, (enum nat_class)b), did = meet((enum nat_class)a, (enum nat_class)b, 70 + a * 5 + b);
            if (works != did)
                fail_msg("%s and %s: theory says %d", classes[a], classes[b], works);
            met += did;
        }
    print_message("%u of %u pairs met\n", met, (uint32_t)NAT_CLASSES * NAT_CLASSES);
}

// The relay dies: the file comes all the same, whole, and to one that had only a magnet link and heard of the other one before it
// had the torrent.
static void a_file_goes_through_the_hole(void **state)
{
    UNUSED_STATE(state);
    static const enum nat_class pairs[][2] = {{NAT_CLASS_APDF, NAT_CLASS_APDF}, {NAT_CLASS_SYMMETRIC, NAT_CLASS_ADF}};
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct lab l;
        const struct pair p = open_pair(&l, __func__, 170 + i, pairs[i], WANT_MAGNET);
        const struct action dies = {.kind = ACTION_CRASH, .host = p.relay, .b = 1};
        world_plan(l.world, 35 * NSEC_S, &dies);
        world_run(l.world, 36 * NSEC_S);
        assert_false(l.world->hosts[p.other]->wants[0].done);
        world_run(l.world, 120 * NSEC_S);
        lab_expect(&l, l.world->hosts[p.other]->wants[0].done, "the file did not come");
        (void)lab_close(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_meet_as_in_theory),
        cmocka_unit_test(a_file_goes_through_the_hole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
