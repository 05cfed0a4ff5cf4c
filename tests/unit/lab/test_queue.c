// The event queue against a list that is searched from end to end.
#include "test.h"

#include "base/rng.h"
#include "sim/queue.h"

enum { EVENTS_MAX = 3000, STEPS = 60000 };

struct model {
    struct ev items[EVENTS_MAX];
    uint32_t n, seq;
};

static uint32_t model_first(const struct model *m)
{
    uint32_t first = 0;
    for (uint32_t i = 1; i < m->n; i++)
        if (m->items[i].t < m->items[first].t || (m->items[i].t == m->items[first].t && m->items[i].seq < m->items[first].seq))
            first = i;
    return first;
}

static void both_push(struct queue *q, struct model *m, nsec t)
{
    m->items[m->n++] = (struct ev){.t = t, .seq = m->seq, .kind = 1, .a = m->seq, .b = 7};
    queue_push(q, t, 1, m->seq++, 7);
}

// Returns the time of what was popped.
static nsec both_pop(struct queue *q, struct model *m)
{
    const uint32_t first = model_first(m);
    const struct ev want = m->items[first];
    m->items[first] = m->items[--m->n];
    assert_int_equal(queue_next(q), want.t);
    for (uint32_t i = 1; queue_soon(q, i) != NULL; i++)
        assert_true(queue_soon(q, i - 1)->t <= queue_soon(q, i)->t);
    assert_int_equal(queue_soon(q, 0)->a, want.a);
    const struct ev got = queue_pop(q);
    assert_int_equal(got.t, want.t);
    assert_int_equal(got.a, want.a);
    assert_int_equal(got.b, 7);
    return got.t;
}

// How far ahead: at once, in the bucket, in the calendar, behind it, and days off.
static nsec draw(struct rng *r)
{
    static const nsec most[] = {1, 1000, NSEC_MS, 100 * NSEC_MS, 2 * NSEC_S, 3600 * NSEC_S, 400000 * NSEC_S};
    return rng_below(r, most[rng_below(r, ARRAY_LEN(most))]);
}

static void events_come_in_order(void **state)
{
    UNUSED_STATE(state);
    static struct model m;
    for (uint64_t seed = 1; seed < 6; seed++) {
        struct queue q;
        queue_init(&q, &test_mem);
        m.n = m.seq = 0;
        struct rng r = rng_make(seed, 0);
        nsec now = rng_below(&r, 5000 * NSEC_S);
        assert_int_equal(queue_next(&q), NSEC_NEVER);
        for (uint32_t i = 0; i < STEPS; i++) {
            const bool fills = i / 1000 % 2 == 0;       // it is emptied again and again
            if (m.n < EVENTS_MAX / 10 && (m.n == 0 || rng_chance(&r, fills ? 2 : 1, 3)))
                both_push(&q, &m, now + draw(&r));
            else
                now = both_pop(&q, &m);
        }
        while (m.n != 0)
            both_pop(&q, &m);
        assert_int_equal(queue_next(&q), NSEC_NEVER);
        assert_int_equal(q.popped, q.pushed);
        queue_done(&q);
    }
}

// One event is hours off and few are near: what comes meanwhile is not sorted into one long list, which would never be emptied.
static void what_is_far_off_waits(void **state)
{
    UNUSED_STATE(state);
    struct queue q;
    queue_init(&q, &test_mem);
    struct rng r = rng_make(1, 0);
    queue_push(&q, 7200 * NSEC_S, 2, 0, 0);
    for (uint32_t i = 0; i < 3; i++)
        queue_push(&q, i, 1, 0, 0);
    for (uint32_t i = 0; i < STEPS; i++) {
        const struct ev ev = queue_pop(&q);
        queue_push(&q, ev.t + rng_below(&r, 50 * NSEC_MS), 1, 0, 0);
        assert_true(q.soon.cap <= 64);
    }
    queue_done(&q);
}

// A crowd at one time, in the order of its pushing, and just before it.
static void a_crowd_is_sorted(void **state)
{
    UNUSED_STATE(state);
    static struct model m;
    struct queue q;
    queue_init(&q, &test_mem);
    m.n = m.seq = 0;
    struct rng r = rng_make(9, 0);
    for (uint32_t i = 0; i < EVENTS_MAX; i++)
        both_push(&q, &m, 5 * NSEC_S + (rng_chance(&r, 1, 2) ? 0 : rng_below(&r, NSEC_MS)));
    while (m.n != 0)
        both_pop(&q, &m);
    queue_done(&q);
}

static nsec every_other_later(void *ctx, const struct ev *ev)
{
    return ev->a % 2 == 0 ? ev->t : ev->t + *(const nsec *)ctx;
}

// Half of the events are put off; what is pushed afterwards comes between them as ever.
static void events_are_put_off(void **state)
{
    UNUSED_STATE(state);
    static struct model m;
    struct queue q;
    queue_init(&q, &test_mem);
    m.n = m.seq = 0;
    struct rng r = rng_make(11, 0);
    nsec now = 0, more = 700 * NSEC_MS;
    for (uint32_t i = 0; i < EVENTS_MAX / 2; i++)
        both_push(&q, &m, draw(&r));
    for (uint32_t i = 0; i < EVENTS_MAX / 4; i++)
        now = both_pop(&q, &m);
    queue_retime(&q, now, every_other_later, &more);
    for (uint32_t i = 0; i < m.n; i++)
        m.items[i].t = every_other_later(&more, &m.items[i]);
    for (uint32_t i = 0; i < EVENTS_MAX / 2; i++)
        both_push(&q, &m, now + draw(&r));
    while (m.n != 0)
        now = both_pop(&q, &m);
    queue_done(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(events_come_in_order), cmocka_unit_test(a_crowd_is_sorted),
        cmocka_unit_test(what_is_far_off_waits), cmocka_unit_test(events_are_put_off)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
