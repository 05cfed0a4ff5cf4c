// Segments turned into memory: order, shared buffers, queues that go while a job is under way. Without it an encrypted stream
// sends bytes out of order, or of a file that was being read for somebody else.
#include "test.h"

#include "engine/node/node_load.h"

#include <stdlib.h>

static size_t used;

static void *heap(void *ctx, void *p, size_t old_n, size_t new_n)
{
    (void)ctx;
    used += new_n - old_n;
    if (new_n != 0)
        return realloc(p, new_n);
    free(p);
    return NULL;
}

static const struct mem mem = {.resize = heap};
static const struct env env = {.mem = &mem, .payload = &mem};

// Byte `off` of file `file`.
static uint8_t byte_of(uint32_t file, uint64_t off) { return (uint8_t)(off * 7 + off / 251 + file * 31); }

static void carry_out(const struct io_job *j)
{
    assert_int_equal(j->kind, JOB_READ);
    uint8_t *to = j->spans[0].p;
    size_t n = 0;
    for (uint32_t i = 0; i < j->parts_n; i++)
        for (uint64_t k = 0; k < j->parts[i].len; k++)
            to[n++] = byte_of(j->parts[i].file, j->parts[i].off + k);
    assert_int_equal(n, j->spans[0].n);
}

static struct io_seg bytes(const char *text) { return (struct io_seg){.kind = SEG_BYTES, .bytes = slice_str(text)}; }

static struct io_seg range(uint32_t file, uint64_t off, uint64_t len)
{
    return (struct io_seg){.kind = SEG_FILE, .store = 1, .file = file, .off = off, .len = len};
}

// Takes all that is in memory, at most `max` bytes; appends it to out.
static size_t drain(struct loads *s, struct load *l, uint8_t *out, size_t max)
{
    struct span spans[8];
    size_t n = 0;
    for (uint32_t k = load_peek(l, spans, 8); k != 0 && n < max; k = load_peek(l, spans, 8)) {
        for (uint32_t i = 0; i < k && n < max; i++) {
            const size_t len = size_min(spans[i].n, max - n);
            memcpy(out + n, spans[i].p, len);
            n += len;
            if (len < spans[i].n)
                break;
        }
        load_take(s, l, n);
        out += n;
        max -= n;
        if (max == 0)
            return n;
        const size_t more = drain(s, l, out, max);
        return n + more;
    }
    return n;
}

static void bytes_and_files_keep_their_order(void **state)
{
    UNUSED_STATE(state);
    struct loads s;
    struct load l;
    struct io_job job;
    uint8_t got[65536];
    loads_init(&s, &env);
    load_init(&l, 7);
    const struct io_seg segs[] = {bytes("ab"), bytes("c"), range(0, 100, 5), bytes("de"), range(0, 105, 3), range(2, 0, 4), bytes("f")};
    assert_int_equal(load_push(&s, &l, segs, ARRAY_LEN(segs)), ERR_OK);
    assert_int_equal(l.left, 18);
    assert_int_equal(drain(&s, &l, got, sizeof got), 3);
    assert_memory_equal(got, "abc", 3);
    assert_true(loads_job(&s, &job));
    assert_int_equal(job.parts_n, 2);           // neighbours are one range
    assert_int_equal(job.parts[0].len, 8);
    struct io_job none;
    assert_false(loads_job(&s, &none));
    assert_int_equal(drain(&s, &l, got, sizeof got), 0);
    carry_out(&job);
    uint32_t conn = 0;
    loads_job_done(&s, job.id, ERR_OK, &conn);
    assert_int_equal(conn, 7);
    assert_int_equal(drain(&s, &l, got, 4), 4);
    assert_int_equal(got[3], byte_of(0, 103));
    assert_int_equal(drain(&s, &l, got, sizeof got), 11);
    assert_int_equal(got[0], byte_of(0, 104));
    assert_memory_equal(got + 1, "de", 2);
    assert_int_equal(got[3], byte_of(0, 105));
    assert_int_equal(got[6], byte_of(2, 0));
    assert_int_equal(got[10], 'f');
    assert_int_equal(l.left, 0);
    load_done(&s, &l);
    loads_done_all(&s);
    assert_int_equal(used, 0);
}

static void more_than_a_buffer_comes_in_turns(void **state)
{
    UNUSED_STATE(state);
    enum { LEN = 2 * LOAD_BUF_LEN + 1000 };
    struct loads s;
    struct load l;
    struct io_job job;
    uint8_t *got = malloc(LEN);
    loads_init(&s, &env);
    load_init(&l, 7);
    const struct io_seg segs[] = {range(3, 5, LEN / 2), range(3, 5 + LEN / 2, LEN - LEN / 2)};
    assert_int_equal(load_push(&s, &l, segs, 2), ERR_OK);
    size_t n = 0;
    uint32_t jobs = 0, conn;
    while (loads_job(&s, &job)) {
        carry_out(&job);
        loads_job_done(&s, job.id, ERR_OK, &conn);
        n += drain(&s, &l, got + n, LEN - n);
        jobs++;
    }
    assert_int_equal(n, LEN);
    assert_int_equal(jobs, 3);
    for (size_t i = 0; i < LEN; i++)
        assert_int_equal(got[i], byte_of(3, 5 + i));
    assert_int_equal(s.bufs_n, 1);
    load_done(&s, &l);
    loads_done_all(&s);
    free(got);
    assert_int_equal(used, 0);
}

// Every buffer is being read into; who goes leaves its job behind, and the buffer is not lent before the job ends.
static void who_waits_gets_a_buffer_in_turn(void **state)
{
    UNUSED_STATE(state);
    enum { N = LOAD_BUFS_MAX + 2 };
    struct loads s;
    struct load l[N];
    struct io_job jobs[LOAD_BUFS_MAX], job;
    loads_init(&s, &env);
    for (uint32_t i = 0; i < N; i++) {
        load_init(&l[i], 1 + i);
        const struct io_seg seg = range(i, 0, 1000);
        assert_int_equal(load_push(&s, &l[i], &seg, 1), ERR_OK);
    }
    for (uint32_t i = 0; i < LOAD_BUFS_MAX; i++)
        assert_true(loads_job(&s, &jobs[i]));
    assert_false(loads_job(&s, &job));
    load_done(&s, &l[0]);
    assert_false(loads_job(&s, &job));
    uint32_t conn = 99;
    loads_job_done(&s, jobs[0].id, ERR_OK, &conn);
    assert_int_equal(conn, 0);
    assert_true(loads_job(&s, &job));
    assert_int_equal(job.parts[0].file, LOAD_BUFS_MAX);
    loads_job_done(&s, jobs[1].id, ERR_IO, &conn);      // a failed read gives its buffer back, too
    assert_int_equal(conn, 2);
    load_done(&s, &l[1]);
    assert_true(loads_job(&s, &jobs[1]));
    assert_int_equal(jobs[1].parts[0].file, LOAD_BUFS_MAX + 1);
    loads_job_done(&s, job.id, ERR_OK, &conn);
    assert_int_equal(conn, LOAD_BUFS_MAX + 1);
    for (uint32_t i = 1; i < LOAD_BUFS_MAX; i++)
        loads_job_done(&s, jobs[i].id, ERR_OK, &conn);
    assert_int_equal(s.reading_n, 0);
    for (uint32_t i = 2; i < N; i++)
        load_done(&s, &l[i]);
    loads_done_all(&s);
    assert_int_equal(used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_and_files_keep_their_order),
        cmocka_unit_test(more_than_a_buffer_comes_in_turns),
        cmocka_unit_test(who_waits_gets_a_buffer_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
