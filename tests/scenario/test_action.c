// The text of actions: what a scenario file says is what happens, and what it says wrongly is named.
#include "test.h"

#include "sim/action.h"
#include "sim/disk.h"

static struct action parse(const char *line)
{
    struct action a = {0};
    struct slice bad = {0};
    const enum err e = action_parse(slice_str(line), &a, &bad);
    if (e != ERR_OK)
        fail_msg("%s: %s at %.*s", line, err_text(e), (int)bad.n, (const char *)bad.p);
    return a;
}

static void expect_bad(const char *line, enum err want, const char *word)
{
    struct action a = {.host = 77};
    struct slice bad = {0};
    assert_int_equal(action_parse(slice_str(line), &a, &bad), want);
    assert_true(slice_eq_str(bad, word));
    assert_int_equal(a.host, 77);
}

// Without this a fault in a file would be another than the one that its author meant.
static void lines_mean_what_they_say(void **state)
{
    UNUSED_STATE(state);
    struct action a = parse("clog host=n3 to=n7-n9 for=5s");
    assert_int_equal(a.kind, ACTION_CLOG);
    assert_int_equal(a.host, 3);
    assert_int_equal(a.count, 0);
    assert_int_equal(a.to, 8);
    assert_int_equal(a.to_count, 3);
    assert_int_equal(a.lasts, 5 * NSEC_S);
    a = parse("loss host=* p=0.25%");
    assert_int_equal(a.count, ACTION_EVERY);
    assert_int_equal(a.a, 2500);
    assert_int_equal(a.to, 0);
    a = parse("  crash\thost=17 disk=dropped silent=yes");
    assert_int_equal(a.a, CRASH_DROPPED);
    assert_int_equal(a.b, 1);
    a = parse("rate host=n1-n2 up=1.5Mbit down=400kbit");
    assert_int_equal(a.count, 2);
    assert_int_equal(a.a, 187500);
    assert_int_equal(a.b, 50000);
    a = parse("jump host=n1 by=-262s");
    assert_true((int64_t)a.a == -262 * (int64_t)NSEC_S);
    a = parse("skew host=n1 by=-200ppm for=1.5h");
    assert_true((int64_t)a.a == -200);
    assert_int_equal(a.lasts, 5400 * NSEC_S);
    a = parse("mask host=n1 bits=0x8001");
    assert_int_equal(a.a, 0x8001);
    a = parse("web host=n0 is=garbage share=30%");
    assert_int_equal(a.a, WEB_GARBAGE);
    assert_int_equal(a.share_ppm, 300000);
    a = parse("space host=n0 bytes=3MiB");
    assert_int_equal(a.a, 3 * MIB);
}

static void mistakes_are_named(void **state)
{
    UNUSED_STATE(state);
    expect_bad("explode host=n1", ERR_NOT_FOUND, "explode");
    expect_bad("", ERR_NOT_FOUND, "");
    expect_bad("clog host", ERR_SYNTAX, "host");
    expect_bad("clog host=n5-n3", ERR_SYNTAX, "host=n5-n3");
    expect_bad("clog host=n5 hosts=n3", ERR_NOT_FOUND, "hosts=n3");
    expect_bad("crash host=n5 for=3s", ERR_NOT_FOUND, "for=3s");
    expect_bad("crash host=n5 to=n3", ERR_NOT_FOUND, "to=n3");
    expect_bad("dns-dead host=n5", ERR_NOT_FOUND, "host=n5");
    expect_bad("loss p=3", ERR_SYNTAX, "p=3");
    expect_bad("loss p=3.%", ERR_SYNTAX, "p=3.%");
    expect_bad("loss share=101%", ERR_RANGE, "share=101%");
    expect_bad("pause time=99999999999999999999s", ERR_RANGE, "time=99999999999999999999s");
    expect_bad("mask bits=0x", ERR_SYNTAX, "bits=0x");
    expect_bad("mask bits=0x12345678123456781", ERR_SYNTAX, "bits=0x12345678123456781");
    expect_bad("web is=odd", ERR_SYNTAX, "is=odd");
}

// Every entry of the menu goes out as a line and comes back the same: shrinking depends on it.
static void every_action_survives_its_text(void **state)
{
    UNUSED_STATE(state);
    struct rng r = rng_make(5, 5);
    for (uint32_t kind = 0; kind < ACTION_KINDS; kind++)
        for (int round = 0; round < 50; round++) {
            const struct action_info *info = action_info((enum action_kind)kind);
            struct action a = {.kind = (enum action_kind)kind};
            assert_non_null(info->name);
            if (info->scope != SCOPE_WORLD) {
                a.host = (uint32_t)rng_below(&r, 100);
                a.count = round % 3 == 0 ? 0 : 2 + (uint32_t)rng_below(&r, 5);
                a.share_ppm = round % 4 == 0 ? 1 + (uint32_t)rng_below(&r, 1000000) : 0;
            }
            if (info->scope == SCOPE_PATHS && round % 2 == 0)
                a.to = 1 + (uint32_t)rng_below(&r, 100);
            if (info->lasts)
                a.lasts = rng_below(&r, 100 * NSEC_S);
            const struct action_param *params[] = {&info->a, &info->b};
            for (int i = 0; i < 2; i++) {
                const struct action_param *p = params[i];
                const uint64_t v = p->key == NULL ? 0 : p->high - p->low == UINT64_MAX ? rng_u64(&r) : p->low + rng_below(&r, p->high - p->low + 1);
                *(i == 0 ? &a.a : &a.b) = v;
            }
            char line[300];
            struct buf b = {(uint8_t *)line, 0, sizeof line};
            struct wr w = wr_make(&b);
            action_write(&w, &a);
            assert_true(w.ok);
            struct action back = {0};
            struct slice bad = {0};
            if (action_parse(buf_slice(&b), &back, &bad) != ERR_OK)
                fail_msg("%.*s is not read back: %.*s", (int)b.n, line, (int)bad.n, (const char *)bad.p);
            if (memcmp(&a, &back, sizeof a) != 0)
                fail_msg("%.*s comes back as another action", (int)b.n, line);
        }
}

// No line, however cut or spoiled, does more than be refused.
static void spoiled_lines_are_refused(void **state)
{
    UNUSED_STATE(state);
    static const char line[] = "burst host=n3-n5 to=n7 share=12.5% begin=1% end=30% for=20s";
    struct rng r = rng_make(6, 6);
    for (size_t n = 0; n <= sizeof line - 1; n++)
        for (int round = 0; round < 20; round++) {
            char copy[sizeof line];
            memcpy(copy, line, n);
            if (n > 0 && round > 0)
                copy[rng_below(&r, n)] = (char)rng_u64(&r);
            struct action a;
            struct slice bad;
            (void)!action_parse(slice_of(copy, n), &a, &bad);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_mean_what_they_say),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(every_action_survives_its_text),
        cmocka_unit_test(spoiled_lines_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
