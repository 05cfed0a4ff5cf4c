// The scenario language: what is read is what is printed, and what is wrong is said with its line. A person writes these files.
#include "test.h"

#include "lab/run.h"

static const char good[] =
    "# a comment\n"
    "seed 18446744073709551615\n"
    "world payload=bytes latency=30ms latency=planetlab spread=1.5ms loss=0.5% check=yes end=1h30m heal=5m\n"
    "content c0 size=100000,0,7MiB piece=32KiB form=hybrid\n"
    "content c1 size=1MB piece=16KiB tracker=no private=yes\n"
    "node t0 tracker=udp interval=90s\n"
    "node s0 up=4Mbit has=c0,c1 slots=9 choke=original\n"
    "nodes p 30 up=100kB down=1.5MB want=c0 from=2s arrive=poisson:250ms after=leave linger=5s order=random optimistic=no\n"
    "nodes q 3 arrive=flash:10s knows=p want=c1 check=yes space=5MB eio=300ppm # late\n"
    "nodes v 5 nat=EIM/ADF utp=yes sessions=debian online=2m away=20s arrive=sine:1d want=c0\n"
    "nodes u 2 nat=nat-2025 sessions=flatout arrive=debian:3s want=c0\n"
    "node bad hostile=poison corrupt=10% has=c0 dials=4\n"
    "at 10s fault crash node=p17 disk=dropped silent=yes for=5s\n"
    "at 11s fault loss p=30% for=1m\n"
    "at 12s fault rate node=s0 up=1kB down=2kB\n"
    "at 12s fault pause node=q for=7s\n"
    "at 13s fault clog node=s0-p3 to=q share=30% for=2s\n"
    "at 14s fault hole node=* to=q1 for=1m\n"
    "at 15s fault dns-dead for=3s\n"
    "at 16s fault jump node=p by=-262s\n"
    "at 17s fault skew node=p1 by=-200ppm for=1h30m\n"
    "at 18s fault mask node=s0 bits=0x8001\n"
    "at 19s fault web node=* is=garbage\n"
    "at 20s fault loss to=s0 p=1%\n"
    "at 21s fault heal\n"
    "gate own p.done >= 100%\n"
    "gate E03.bound p.mean\n";

static void parse(struct scenario *s, const char *text, size_t n)
{
    char why[SCENARIO_WHY_MAX];
    if (scenario_parse(s, &test_mem, "x.scn", slice_of(text, n), why) != ERR_OK)
        fail_msg("%s", why);
}

static char *print(const struct scenario *s, bool expand)
{
    static uint8_t space[2][1 << 16];
    static int turn;
    struct buf b = {space[++turn & 1], 0, sizeof space[0] - 1};
    struct wr w = wr_make(&b);
    scenario_print(s, expand, &w);
    assert_true(w.ok);
    b.p[b.n] = 0;
    return (char *)b.p;
}

static void values_are_what_was_written(void **state)
{
    UNUSED_STATE(state);
    struct scenario s;
    parse(&s, good, sizeof good - 1);
    assert_int_equal(s.seed, UINT64_MAX);
    assert_int_equal(s.world.spread, 1500 * NSEC_US);
    assert_int_equal(s.world.loss, 5000);
    assert_int_equal(s.world.latency, 30 * NSEC_MS);
    assert_int_equal(s.world.model, LATENCY_PLANETLAB);
    assert_int_equal(s.contents_n, 2);
    assert_int_equal(s.contents[0].files_n, 3);
    assert_int_equal(s.contents[0].lens[2], 7 * MIB);
    assert_int_equal(s.nodes_n, 43);
    assert_int_equal(s.groups[4].sessions, 1);
    assert_int_equal(s.groups[4].online, 120 * NSEC_S);
    assert_int_equal(s.groups[4].arrive, ARRIVE_SINE);
    assert_int_equal(s.groups[1].up, 500000);
    assert_int_equal(s.groups[1].has, 3);
    assert_int_equal(s.groups[6].corrupt, 100000);
    const struct scenario_fault *f = s.faults;
    assert_int_equal(f[0].action.kind, ACTION_CRASH);
    assert_int_equal(f[0].action.host, 2 + 17);
    assert_int_equal(f[0].action.count, 1);
    assert_int_equal(f[0].action.a, CRASH_DROPPED);
    assert_int_equal(f[0].action.b, 1);
    assert_int_equal(f[0].action.lasts, 5 * NSEC_S);
    assert_int_equal(f[1].action.count, 0);             // of the world
    assert_int_equal(f[3].action.count, 3);
    assert_int_equal(f[3].action.a, 7 * NSEC_S);
    assert_int_equal(f[4].action.host, 1);
    assert_int_equal(f[4].action.count, 5);
    assert_int_equal(f[4].action.to, 1 + 32);
    assert_int_equal(f[4].action.to_count, 3);
    assert_int_equal(f[4].action.share_ppm, 300000);
    assert_int_equal(f[5].action.count, ACTION_EVERY);
    assert_int_equal(f[5].action.to, 1 + 33);
    assert_true((int64_t)f[7].action.a == -262 * (int64_t)NSEC_S);
    assert_true((int64_t)f[8].action.a == -200);
    assert_int_equal(f[9].action.a, 0x8001);
    assert_int_equal(f[10].action.a, WEB_GARBAGE);
    assert_int_equal(f[11].action.count, ACTION_EVERY);
    assert_int_equal(s.gates[0].value, 1000000);
    scenario_done(&s);
}

// Printed and read again it is the same; so is the expanded form, which names every node and time.
static void printing_is_reading_backwards(void **state)
{
    UNUSED_STATE(state);
    for (int expand = 0; expand < 2; expand++) {
        struct scenario a, b;
        parse(&a, good, sizeof good - 1);
        const char *text = print(&a, expand != 0);
        parse(&b, text, strlen(text));
        assert_int_equal(a.nodes_n, b.nodes_n);
        assert_string_equal(text, print(&b, expand != 0));
        scenario_done(&a);
        scenario_done(&b);
    }
}

// And it is the same run: expanding draws what the run would have drawn.
static void the_expanded_form_is_the_same_run(void **state)
{
    UNUSED_STATE(state);
    static const char text[] = "seed 7\nworld latency=20ms end=5m\ncontent c0 size=1MiB piece=64KiB\nnode t0 tracker=yes\n"
        "node s0 up=200kB has=c0\nnodes p 6 up=100kB want=c0 from=1s arrive=decay:5s sessions=redhat away=5s\nat 8s fault crash node=p2 for=4s\n";
    uint64_t hash[2];
    for (int expand = 0; expand < 2; expand++) {
        struct scenario a, b;
        struct result r;
        char why[STAGE_WHY_MAX];
        const struct run_options o = {0};
        parse(&a, text, sizeof text - 1);
        const char *again = print(&a, expand != 0);
        parse(&b, again, strlen(again));
        assert_int_equal(run_scenario(&b, &o, &r, why), ERR_OK);
        assert_string_equal(r.failure, "");
        hash[expand] = r.hash;
        assert_int_equal(r.groups[2].done + (expand != 0 ? 5 : 0), 6);
        result_done(&r);
        scenario_done(&a);
        scenario_done(&b);
    }
    assert_int_equal(hash[0], hash[1]);
}

static void errors_name_the_line_and_the_reason(void **state)
{
    UNUSED_STATE(state);
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "x.scn:1: no node at all"},
        {"seed 1\nwrld loss=1%\n", "x.scn:2: no line that begins with wrld (did you mean world?)"},
        {"world los=1%\n", "x.scn:1: no option los (did you mean loss?)"},
        {"world loss=2\n", "x.scn:1: loss=2: write at most 50%"},
        {"world latency=5min\n", "x.scn:1: latency=5min: write a time such as 500ms, 30s, 5m or 1h30m"},
        {"world latency=planetlap\n", "x.scn:1: latency=planetlap: write one of flat planetlab planet (did you mean planetlab?)"},
        {"world payload=byte\n", "x.scn:1: payload=byte: write one of ref bytes (did you mean bytes?)"},
        {"world loss\n", "x.scn:1: loss: an option is written name=value"},
        {"seed x\n", "x.scn:1: write `seed NUMBER`"},
        {"content c0 piece=16KiB\n", "x.scn:1: content c0 has no bytes: size= is missing"},
        {"content c0 size=1MB piece=100\n", "x.scn:1: piece= is a power of two from 16KiB to 16MiB"},
        {"content c0 size=1MB\nnode a want=c1\n", "x.scn:2: no content c1 (did you mean c0?)"},
        {"content c0 size=1MB\nnode a want=c0 has=c0\n", "x.scn:2: a has what it wants"},
        {"node a\nnode a\n", "x.scn:2: node a is there already, in line 1"},
        {"nodes a 9\nnode a3\n", "x.scn:2: node a3 is there already, in line 1"},
        {"node a\nnode b tracker=yes\n", "x.scn:2: the tracker is the first node of all, because its address is in the torrents"},
        {"node a\nnode b knows=b\n", "x.scn:2: b: write a node of a line above"},
        {"nodes a 30000\n", "x.scn:1: 30000: write how many nodes, from 1 to 20000"},
        {"node a\nat 5s fault crash node=b\n", "x.scn:2: no node b (did you mean a?)"},
        {"nodes p 3\nat 5s fault crash node=p3\n", "x.scn:2: p3: p has nodes p0 to p2"},
        {"node a\nat 5s fault crash\n", "x.scn:2: fault crash: node= is missing: a node, a line of nodes, FIRST-LAST or *"},
        {"node a\nat 5s fault pause node=a\n", "x.scn:2: fault pause: for= is missing: a time such as 500ms, 30s, 5m or 1h30m"},
        {"node a\nat 5s fault leave node=a for=3s\n", "x.scn:2: fault leave has no option for; write node= share="},
        {"node a\nat 5s fault eio node=a q=3%\n", "x.scn:2: fault eio has no option q (did you mean p?)"},
        {"node a\nat 5s fault eio node=a p=3\n", "x.scn:2: p=3: write a share up to 100%, such as 3%, 0.25 or 400ppm"},
        {"node a\nat 5s fault eio node=a\n", "x.scn:2: fault eio: p= is missing: a share up to 100%, such as 3%, 0.25 or 400ppm"},
        {"node a\nat 5s fault explode node=a\n", "x.scn:2: no fault explode; `kith lab list` lists them"},
        {"node a\nat 5s fault clgo node=a\n", "x.scn:2: no fault clgo (did you mean clog?)"},
        {"node a\nat 5s fault dns-dead node=a\n", "x.scn:2: fault dns-dead has no option node; write for="},
        {"node a\nat 5s fault crash node=a to=a\n", "x.scn:2: fault crash has no option to; write disk= silent= for= node= share="},
        {"node a\nat 5s fault crash node=a disk=x\n", "x.scn:2: disk=x: write one of mixed kept dropped"},
        {"node a\nnode b\nat 5s fault clog node=b-a\n", "x.scn:3: b-a: the first node stands behind the last"},
        {"node a\nat 5s fault skew node=a by=90%\n", "x.scn:2: by=90%: write a share below 50% with its sign, such as -200ppm"},
        {"node a\nat 5s fault mask node=a bits=0x12345678123456781\n",
            "x.scn:2: bits=0x12345678123456781: write up to 64 bits such as 0x8001"},
        {"node a utp=yes\n", "x.scn:1: utp=yes needs `world payload=bytes`: a datagram carries real bytes"},
        {"node a nat=cone\n", "x.scn:1: nat=cone: write one of none nat-2025 nat-2010 nat-2005 EIM/EIF EIM/ADF EIM/APDF symmetric no-udp (did you mean none?)"},
        {"node a tracker=udp nat=EIM/EIF\n", "x.scn:1: the tracker is behind no box: everybody must reach it"},
        {"node a\nat 5s fault heal now\n", "x.scn:2: now: an option is written name=value"},
        {"node a\ngate own a.mean < 3s\n", "x.scn:2: <: write <= or >="},
        {"node a\ngate own a.men <= 3s\n", "x.scn:2: no metric men (did you mean mean?)"},
        {"node a\ngate E03.bound a.mean <= 3s\n", "x.scn:2: a gate of our own (`gate own …`) has a value, one of a published row has none"},
        {"node a\x01\n", "x.scn:1: a byte that is no printable ASCII (0x01)"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct scenario s;
        char why[SCENARIO_WHY_MAX];
        assert_int_equal(scenario_parse(&s, &test_mem, "x.scn", slice_str(cases[i].text), why), ERR_SYNTAX);
        assert_string_equal(why, cases[i].why);
        scenario_done(&s);
    }
}

static uint64_t drawn(struct rng *r, const struct action_param *p)
{
    if (p->key == NULL)
        return 0;
    return p->high - p->low == UINT64_MAX ? rng_u64(r) : p->low + rng_below(r, p->high - p->low + 1);
}

// Every entry of the menu goes out as a line and comes back the same: shrinking depends on it.
static void every_action_survives_its_text(void **state)
{
    UNUSED_STATE(state);
    struct rng r = rng_make(5, 5);
    struct scenario a, b;
    static const char nodes[] = "node a\nnodes p 50\n";
    parse(&a, nodes, sizeof nodes - 1);
    for (uint32_t i = 0; i < ACTION_KINDS * 40; i++) {
        const struct action_info *info = action_info((enum action_kind)(i % ACTION_KINDS));
        struct scenario_fault *f;
        assert_non_null(info->name);
        assert_non_null(info->help);
        assert_int_equal(scenario_add_fault(&a, &f), ERR_OK);
        struct action *x = &f->action;
        *x = action_make((enum action_kind)(i % ACTION_KINDS));
        if (info->scope != SCOPE_WORLD && (info->scope == SCOPE_HOSTS || rng_chance(&r, 1, 2))) {
            x->host = (uint32_t)rng_below(&r, 40);
            x->count = 1 + (uint32_t)rng_below(&r, 5);
            x->share_ppm = (uint32_t)rng_below(&r, 1000000);
            x->to = info->scope == SCOPE_PATHS ? (uint32_t)rng_below(&r, 40) : 0;
            x->to_count = x->to == 0 ? 0 : 1 + (uint32_t)rng_below(&r, 5);
        }
        x->lasts = info->lasts ? rng_below(&r, 100 * NSEC_S) : 0;
        x->a = drawn(&r, &info->a);
        x->b = drawn(&r, &info->b);
        for (int expand = 0; expand < 2; expand++) {
            const char *text = print(&a, expand != 0);
            parse(&b, text, strlen(text));
            assert_int_equal(b.faults_n, 1);
            if (memcmp(x, &b.faults[0].action, sizeof *x) != 0)
                fail_msg("comes back as another action: %s", text);
            scenario_done(&b);
        }
        a.faults_n = 0;
    }
    scenario_done(&a);
}

// No line, however cut or spoiled, does more than be refused.
static void spoiled_lines_are_refused(void **state)
{
    UNUSED_STATE(state);
    static const char head[] = "nodes n 9\n", line[] = "at 5s fault burst node=n3-n5 to=n7 share=12.5% begin=1% end=30% for=20s";
    struct rng r = rng_make(6, 6);
    char text[sizeof head + sizeof line];
    memcpy(text, head, sizeof head - 1);
    for (size_t n = 0; n <= sizeof line - 1; n++)
        for (int round = 0; round < 20; round++) {
            memcpy(text + sizeof head - 1, line, n);
            if (n > 0 && round > 0)
                text[sizeof head - 1 + rng_below(&r, n)] = (char)rng_u64(&r);
            struct scenario s;
            char why[SCENARIO_WHY_MAX];
            (void)!scenario_parse(&s, &test_mem, "x.scn", slice_of(text, sizeof head - 1 + n), why);
            scenario_done(&s);
        }
}

static void count_lives(void *ctx, const struct trace_record *r)
{
    uint32_t *lives = ctx;
    lives[0] += r->type == TRACE_START;
    lives[1] += r->type == TRACE_END;
}

// People come and go for as long as the world is not healed; without away= they go for good.
static void sessions_begin_and_end(void **state)
{
    UNUSED_STATE(state);
    for (int back = 0; back < 3; back++) {
        char text[300], why[STAGE_WHY_MAX];
        struct scenario s;
        struct result r;
        uint32_t lives[2] = {0};
        const struct run_options o = {.record = count_lives, .ctx = lives};
        const int n = snprintf(text, sizeof text, "world end=30h heal=20h\nnode t0 tracker=yes\n"
            "nodes p 40 sessions=flatout away=%s\n", back == 2 ? "5m online=32m" : back ? "5m" : "0s");
        parse(&s, text, (size_t)n);
        assert_int_equal(run_scenario(&s, &o, &r, why), ERR_OK);
        assert_string_equal(r.failure, "");
        // A mean of 64 minutes, or 32, and one of five: 17 lives each in 20 hours, or 32.
        const uint32_t each = back == 2 ? 32 : 17;
        assert_in_range(lives[0], back ? 40 * (each - 5) : 41, back ? 40 * (each + 6) : 41);
        assert_int_equal(lives[1], back ? lives[0] - 41 : 40);
        result_done(&r);
        scenario_done(&s);
    }
}

// A run ends when the honest are complete. Who compares them with free riders waits for those: their times would be too short else.
static void free_riders_are_waited_for(void **state)
{
    UNUSED_STATE(state);
    static const char text[] = "world latency=20ms end=1h\ncontent c0 size=2MB piece=64KiB\nnode t0 tracker=yes\nnode s0 up=50kB has=c0\n"
        "nodes p 4 up=200kB want=c0 after=leave\nnode r hostile=freerider dials=4 down=20kB want=c0\n";
    for (int waits = 0; waits < 2; waits++) {
        struct scenario s;
        struct result r;
        char why[STAGE_WHY_MAX];
        const struct run_options o = {.riders = waits != 0};
        parse(&s, text, sizeof text - 1);
        assert_int_equal(run_scenario(&s, &o, &r, why), ERR_OK);
        assert_int_equal(r.groups[2].done, 4);
        assert_int_equal(r.groups[3].wants, 1);
        assert_int_equal(r.groups[3].done, waits);
        result_done(&r);
        scenario_done(&s);
    }
}

// Cut anywhere it is a scenario or an error with a line, never a crash.
static void truncation_at_every_length(void **state)
{
    UNUSED_STATE(state);
    for (size_t n = 0; n < sizeof good - 1; n++) {
        struct scenario s;
        char why[SCENARIO_WHY_MAX];
        if (scenario_parse(&s, &test_mem, "x.scn", slice_of(good, n), why) != ERR_OK)
            assert_memory_equal(why, "x.scn:", 6);
        scenario_done(&s);
    }
}

// A run that cannot complete says so, and an unreachable gate is missed: both can fail.
static void what_does_not_complete_is_stuck(void **state)
{
    UNUSED_STATE(state);
    static const char *const texts[] = {
        "world end=2m heal=20s\ncontent c0 size=1MB piece=64KiB tracker=no\nnode s0 has=c0\nnode p0 want=c0\n",
        "world end=2m heal=20s\ncontent c0 size=1MB piece=64KiB\nnode t0 tracker=yes\nnode p0 want=c0\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct scenario s;
        struct result r;
        char why[STAGE_WHY_MAX];
        const struct run_options o = {0};
        parse(&s, texts[i], strlen(texts[i]));
        assert_int_equal(run_scenario(&s, &o, &r, why), ERR_OK);
        assert_int_equal(r.stuck, i == 0);              // without anybody who has it, nobody is to blame
        assert_int_equal(r.groups[1].metrics[METRIC_DONE], 0);
        result_done(&r);
        scenario_done(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_what_was_written), cmocka_unit_test(printing_is_reading_backwards),
        cmocka_unit_test(the_expanded_form_is_the_same_run), cmocka_unit_test(errors_name_the_line_and_the_reason),
        cmocka_unit_test(every_action_survives_its_text), cmocka_unit_test(spoiled_lines_are_refused), cmocka_unit_test(sessions_begin_and_end),
        cmocka_unit_test(free_riders_are_waited_for),
        cmocka_unit_test(truncation_at_every_length), cmocka_unit_test(what_does_not_complete_is_stuck),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
