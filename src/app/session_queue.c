// Whose turn it is among a session's torrents, and which seeds have given enough. The decisions are engine/node/queue.h's.
#include "app/session_int.h"

#include "base/units.h"

static void say_goal(struct task *t, enum queue_end why)
{
    char time[UNITS_TEXT_MAX];
    const struct node_torrent_stats *st = &t->last;
    const uint64_t base = u64_max(1, u64_max(st->wanted_bytes, st->down_total));
    const uint64_t pm = st->up_total <= UINT64_MAX / 1000 ? st->up_total * 1000 / base : st->up_total / u64_max(1, base / 1000);
    json_t *e = task_event_json(t, "goal");
    switch (why) {
    case QUEUE_NO_END: break;
    case QUEUE_END_RATIO:
        json_object_set_new(e, "goal", json_string("ratio"));
        talk_note(&t->s->a->talk, "%s: ratio %u.%03u, that is enough", t->name, (unsigned)(pm / 1000), (unsigned)(pm % 1000));
        break;
    case QUEUE_END_TIME:
        json_object_set_new(e, "goal", json_string("seed_time"));
        talk_note(&t->s->a->talk, "%s: seeded for %s, that is enough", t->name, units_time(st->seeded / NSEC_S, time));
        break;
    case QUEUE_END_IDLE:
        json_object_set_new(e, "goal", json_string("seed_idle"));
        talk_note(&t->s->a->talk, "%s: nobody took anything for %s", t->name, units_time(t->s->goals.idle / NSEC_S, time));
        break;
    }
    talk_emit(&t->s->a->talk, e);
}

static void check_goal(struct task *t, nsec now)
{
    const struct node_torrent_stats *st = &t->last;
    if (t->state != TASK_RUNNING || t->ended || !t->done || st->state != TORRENT_SEEDING)
        return;
    if (st->up_bytes != t->last_up)
        t->sent_at = now;
    t->last_up = st->up_bytes;
    const struct queue_totals totals = {.size = st->wanted_bytes, .down_bytes = st->down_total, .up_bytes = st->up_total,
        .seeded = st->seeded, .idle = now - t->sent_at};
    const enum queue_end why = queue_goal(&t->s->goals, &totals);
    if (why == QUEUE_NO_END)
        return;
    say_goal(t, why);
    task_end(t, 0);
}

// What counts as moving. Hashing what is there is no lull.
static uint64_t moves(const struct task *t)
{
    const struct node_torrent_stats *st = &t->last;
    return st->state == TORRENT_CHECKING ? UINT64_MAX : t->done ? st->up_bps : st->down_bps;
}

void queue_work(struct session *s)
{
    const nsec now = host_now(s->host);
    const struct options *o = &s->a->options;
    for (uint32_t i = 0; i < s->tasks_n; i++)
        check_goal(&s->tasks[i], now);
    for (uint32_t i = 0; i < s->tasks_n; i++) {
        struct task *t = &s->tasks[i];
        struct queue_row *r = &t->row;
        r->seed = t->done || t->cfg->share;
        r->running = t->state == TASK_RUNNING;
        r->held = t->ended || t->state == TASK_OVER || t->state == TASK_LEAVING;
        queue_look(r, now, moves(t));
        s->rows[i] = *r;
    }
    if (s->stopping)
        return;
    queue_decide(s->rows, s->tasks_n, o->max_downloads != 0 ? o->max_downloads : QUEUE_DOWNLOADS,
        o->max_seeds != 0 ? o->max_seeds : QUEUE_SEEDS);
    for (uint32_t i = 0; i < s->tasks_n; i++)           // first those that make room
        if (s->tasks[i].state == TASK_RUNNING && !s->rows[i].run)
            task_leave(&s->tasks[i]);
    for (uint32_t i = 0; i < s->tasks_n; i++)
        if (s->tasks[i].state == TASK_WAITING && s->rows[i].run)
            task_start(&s->tasks[i]);
}
