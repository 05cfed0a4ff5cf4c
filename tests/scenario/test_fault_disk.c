// Faults of disks do what they say.
#include "probe.h"

static const struct host_config plain;

enum { LAST_BLOCK = PROBE_FILE_LEN / BLOCK_LEN * BLOCK_LEN };

static struct host *host(const struct probe *p, uint32_t i) { return p->w->hosts[i]; }
static const struct want *want(const struct probe *p, uint32_t i) { return &host(p, i)->wants[0]; }
static struct disk_file *file(const struct probe *p, uint32_t i) { return disk_file(&host(p, i)->disk, 0, 0, 1, PROBE_FILE_LEN); }

// The len bytes of the file at off are there.
static bool holds(const struct probe *p, uint32_t i, uint64_t off, uint64_t len)
{
    const struct extent e = {.len = len, .off = off, .content = p->w->torrents[0].content};
    return disk_holds(&host(p, i)->disk, file(p, i), off, &e, false);
}

// Bytes of the file that are as they should be, by 512.
static uint64_t intact(const struct probe *p, uint32_t i)
{
    uint64_t n = 0;
    for (uint64_t off = 0; off < PROBE_FILE_LEN; off += 512)
        n += holds(p, i, off, u64_min(512, PROBE_FILE_LEN - off)) ? 512 : 0;
    return n;
}

// No more than so many bytes until something is freed; then again.
static void a_disk_is_full_until_freed(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    probe_copying(&p, __func__, 2, &plain);
    probe_fault(&p, "diskfull node=h1 space=500kB for=10s");
    probe_run(&p, 5 * NSEC_S);
    assert_int_equal(want(&p, 1)->error, ERR_NOSPACE);
    struct disk *d = &host(&p, 1)->disk;
    assert_in_range(d->used, 500000 - BLOCK_LEN, 500000);
    const struct frag block = {.x = {.len = BLOCK_LEN, .off = LAST_BLOCK - BLOCK_LEN, .content = p.w->torrents[0].content}};
    assert_int_equal(disk_write(d, file(&p, 1), block.x.off, &block, 1), ERR_NOSPACE);
    assert_int_equal(disk_write(d, file(&p, 1), 0, &block, 1), ERR_OK);         // over what is there already
    probe_run(&p, 5 * NSEC_S);
    assert_int_equal(disk_write(d, file(&p, 1), block.x.off, &block, 1), ERR_OK);
    probe_close(&p);
}

static void disks_fail_by_chance_and_once(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    probe_copying(&p, __func__, 3, &plain);
    struct disk *d = &host(&p, 1)->disk;
    probe_fault(&p, "eio node=h1 p=20% for=10s");
    uint32_t failed = 0;
    for (int i = 0; i < 1000; i++)
        failed += disk_fails(d);
    assert_in_range(failed, 150, 250);
    probe_run(&p, 5 * NSEC_S);
    assert_int_equal(want(&p, 1)->error, ERR_IO);
    assert_true(want(&p, 2)->done);
    probe_run(&p, 5 * NSEC_S);
    for (int i = 0; i < 100; i++)
        assert_false(disk_fails(d));
    probe_fault(&p, "eio-once node=h1");
    assert_true(disk_fails(d));
    assert_false(disk_fails(d));
    probe_close(&p);
}

static void what_is_stored_rots(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    probe_copying(&p, __func__, 1, &plain);
    probe_run(&p, NSEC_MS);
    assert_true(holds(&p, 0, 0, PROBE_FILE_LEN));
    probe_fault(&p, "rot node=h0 n=3");
    const uint64_t left = intact(&p, 0), all = (PROBE_FILE_LEN + 511) / 512 * 512;
    assert_in_range(all - left, 512, 6 * 512);          // a place may lie across two of ours
    assert_true(host(&p, 0)->disk.spoiled);
    probe_close(&p);
}

// The copier believes that all is written, and one block lies where another should.
static void a_write_goes_astray(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    probe_copying(&p, __func__, 2, &plain);
    probe_run(&p, 30 * NSEC_MS);
    probe_fault(&p, "misdirect node=h1");
    probe_run(&p, 20 * NSEC_S);
    assert_true(want(&p, 1)->done);
    assert_int_equal(want(&p, 1)->errors, 0);
    assert_false(holds(&p, 1, 0, PROBE_FILE_LEN));
    const uint64_t left = intact(&p, 1);
    assert_in_range(left, PROBE_FILE_LEN - 3 * BLOCK_LEN, PROBE_FILE_LEN - 512);
    probe_close(&p);
}

static void a_write_stays_short(void **state)
{
    UNUSED_STATE(state);
    struct probe p;
    probe_copying(&p, __func__, 2, &plain);
    probe_run(&p, 30 * NSEC_MS);
    probe_fault(&p, "short-write node=h1");
    probe_run(&p, 20 * NSEC_S);
    assert_int_equal(want(&p, 1)->errors, 1);
    assert_int_equal(want(&p, 1)->error, ERR_IO);
    const uint64_t n = host(&p, 1)->disk.used;
    assert_true(n % BLOCK_LEN != 0);
    assert_true(holds(&p, 1, 0, n));
    probe_close(&p);
}

// 62 blocks, one after the other.
static void disks_become_slow_and_stall(void **state)
{
    UNUSED_STATE(state);
    static const struct {
        const char *line;
        nsec low, high;
    } cases[] = {
        {"eio node=h1 p=0%", 0, 2 * NSEC_S},
        {"disk-slow node=h1 seek=500ms", 31 * NSEC_S, 38 * NSEC_S},
        {"disk-slow node=h1 seek=1ms rate=100kB", 10 * NSEC_S, 12 * NSEC_S},
        {"disk-slow node=h1 seek=500ms for=10s", 10 * NSEC_S, 12 * NSEC_S},
        {"disk-stall node=h1 for=7s", 7 * NSEC_S, 9 * NSEC_S},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct probe p;
        probe_copying(&p, __func__, 2, &plain);
        probe_fault(&p, cases[i].line);
        probe_run(&p, 60 * NSEC_S);
        assert_true(want(&p, 1)->done);
        if (want(&p, 1)->done_at < cases[i].low || want(&p, 1)->done_at > cases[i].high)
            fail_msg("%s: done at %llu ms", cases[i].line, (unsigned long long)(want(&p, 1)->done_at / NSEC_MS));
        probe_close(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disk_is_full_until_freed), cmocka_unit_test(disks_fail_by_chance_and_once), cmocka_unit_test(what_is_stored_rots),
        cmocka_unit_test(a_write_goes_astray), cmocka_unit_test(a_write_stays_short), cmocka_unit_test(disks_become_slow_and_stall),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
