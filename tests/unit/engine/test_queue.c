// Which torrents run. Each table is a letter a torrent, in order: D download, S seed; small: it runs already; then marks: ~ slow,
// ! held. The answer is one of '1' and '0' for each.
#include "engine/node/queue.h"

#include "test.h"

enum { ROWS_MAX = 600 };

static uint32_t read_table(const char *table, struct queue_row *rows)
{
    uint32_t n = 0;
    for (const char *c = table; *c != 0; c++) {
        if (*c == '~')
            rows[n - 1].slow = true;
        else if (*c == '!')
            rows[n - 1].held = true;
        else
            rows[n++] = (struct queue_row){.seed = *c == 'S' || *c == 's', .running = *c == 'd' || *c == 's'};
    }
    return n;
}

static void expect(const char *table, uint32_t downloads, uint32_t seeds, const char *answer)
{
    struct queue_row rows[32];
    const uint32_t n = read_table(table, rows);
    char got[33] = "";
    queue_decide(rows, n, downloads, seeds);
    for (uint32_t i = 0; i < n; i++)
        got[i] = rows[i].run ? '1' : '0';
    assert_string_equal(got, answer);
}

// Order decides, downloads and seeds have places of their own, what is held takes none.
static void the_first_ones_run(void **state)
{
    UNUSED_STATE(state);
    expect("", 5, 50, "");
    expect("DDDDDDD", 5, 50, "1111100");
    expect("DDD", 0, 0, "111");
    expect("DSDSDS", 2, 1, "111000");
    expect("SSDD", 1, 1, "1010");
    expect("D!DD", 1, 1, "010");
    expect("d!DD", 1, 1, "010");
    expect("S!S!S", 1, 1, "001");
    // a place that falls free is the next one's; who runs and came in later waits for it as all do
    expect("DddD", 2, 1, "1100");
    expect("ddDD", 2, 1, "1100");
    expect("d!dDD", 2, 1, "0110");
    // complete: from the one queue into the other
    expect("sddD", 2, 1, "1110");
    expect("sssD", 1, 2, "1101");
}

// A torrent without peers shall not keep others from starting; when it wakes up, the last one over the limit makes room.
static void slow_ones_do_not_count(void **state)
{
    UNUSED_STATE(state);
    expect("d~dD", 1, 1, "110");
    expect("d~d~d~DD", 1, 1, "11110");
    expect("d~D", 1, 1, "11");
    expect("ddD", 1, 1, "100");             // the first is fast again: it was "d~d" before
    expect("s~s~S", 5, 1, "111");
    expect("d~!D", 1, 1, "01");
    struct queue_row rows[ROWS_MAX] = {{0}};
    for (uint32_t i = 0; i < ROWS_MAX; i++)
        rows[i] = (struct queue_row){.running = i < 499, .slow = i < 499};
    queue_decide(rows, ROWS_MAX, 5, 5);
    uint32_t running = 0;
    for (uint32_t i = 0; i < ROWS_MAX; i++)
        running += rows[i].run;
    assert_int_equal(running, QUEUE_RUNNING_MAX);
    assert_true(rows[499].run);
    assert_false(rows[500].run);
}

// A minute below the rate, and a minute over it to come back: bursts and lulls change nothing.
static void a_minute_decides(void **state)
{
    UNUSED_STATE(state);
    struct queue_row r = {.running = true};
    nsec now = 5 * NSEC_S;
    for (uint32_t i = 0; i < 59; i++, now += NSEC_S)
        queue_look(&r, now, 2047);
    assert_false(r.slow);
    queue_look(&r, now, 2048);              // at the last moment
    for (uint32_t i = 0; i < 60; i++) {
        now += NSEC_S;
        queue_look(&r, now, 0);
        assert_false(r.slow);
    }
    now += NSEC_S;
    queue_look(&r, now, 0);
    assert_true(r.slow);
    for (uint32_t i = 0; i < 60; i++) {
        now += NSEC_S;
        queue_look(&r, now, 1000000);
        assert_true(r.slow);
    }
    queue_look(&r, now + NSEC_S, 2048);
    assert_false(r.slow);
    r.slow = true;
    r.running = false;                      // it starts anew
    queue_look(&r, now, 0);
    assert_false(r.slow);
}

static void goals(void **state)
{
    UNUSED_STATE(state);
    static const struct {
        struct queue_goals goals;
        struct queue_totals totals;
        enum queue_end end;
    } rows[] = {
        {{0}, {1000, 1000, 999999, NSEC_S, NSEC_S}, QUEUE_NO_END},
        {{.ratio_pm = 1500}, {.size = 1000, .down_bytes = 1000, .up_bytes = 1499}, QUEUE_NO_END},
        {{.ratio_pm = 1500}, {.size = 1000, .down_bytes = 1000, .up_bytes = 1500}, QUEUE_END_RATIO},
        {{.ratio_pm = 1000}, {.size = 1000, .down_bytes = 10, .up_bytes = 999}, QUEUE_NO_END},     // the rest was there before
        {{.ratio_pm = 1000}, {.size = 1000, .down_bytes = 1300, .up_bytes = 1299}, QUEUE_NO_END},  // some came twice
        {{.ratio_pm = 1000}, {.size = 1000, .down_bytes = 0, .up_bytes = 1000}, QUEUE_END_RATIO},
        {{.ratio_pm = 1}, {.size = 3000000000000, .up_bytes = 2999999999}, QUEUE_NO_END},
        {{.ratio_pm = 1}, {.size = 3000000000000, .up_bytes = 3000000000}, QUEUE_END_RATIO},
        {{.ratio_pm = QUEUE_RATIO_PM_MAX}, {.size = UINT64_MAX, .up_bytes = 1 << 30}, QUEUE_NO_END},
        {{.seed_time = 60 * NSEC_S}, {.size = 1, .seeded = 60 * NSEC_S - 1}, QUEUE_NO_END},
        {{.seed_time = 60 * NSEC_S}, {.size = 1, .seeded = 60 * NSEC_S}, QUEUE_END_TIME},
        {{.idle = 60 * NSEC_S}, {.size = 1, .idle = 59 * NSEC_S}, QUEUE_NO_END},
        {{.idle = 60 * NSEC_S}, {.size = 1, .idle = 61 * NSEC_S}, QUEUE_END_IDLE},
        {{.ratio_pm = 2000, .seed_time = 60 * NSEC_S}, {.size = 10, .up_bytes = 5, .seeded = 70 * NSEC_S}, QUEUE_END_TIME},
        {{.ratio_pm = 2000, .seed_time = 60 * NSEC_S}, {.size = 10, .up_bytes = 20, .seeded = 70 * NSEC_S}, QUEUE_END_RATIO},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(queue_goal(&rows[i].goals, &rows[i].totals), rows[i].end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_ones_run), cmocka_unit_test(slow_ones_do_not_count), cmocka_unit_test(a_minute_decides),
        cmocka_unit_test(goals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
