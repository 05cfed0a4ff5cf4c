// One torrent of a session: it starts, says what happens to it, is given up or complete, and leaves. See session.h.
#include "app/session_int.h"

#include <stdlib.h>

#include "base/units.h"

void task_name(struct task *t)
{
    torrent_id(t->meta, t->id);
    talk_clean(t->meta->name.n != 0 ? t->meta->name : slice_str(t->id), t->name);
}

void task_init(struct task *t, struct session *s, const struct session_config *cfg)
{
    *t = (struct task){.s = s, .cfg = cfg, .meta = cfg->meta, .priorities = cfg->priorities};
    task_name(t);
}

const char *task_tag(const struct task *t, char out[TALK_NAME_MAX + 2])
{
    (void)snprintf(out, TALK_NAME_MAX + 2, "%s%s", session_is_one(t->s) ? "" : t->name, session_is_one(t->s) ? "" : ": ");
    return out;
}

// ---- life

void task_stats(struct task *t)
{
    if (t->state == TASK_RUNNING || t->state == TASK_LEAVING)
        node_torrent_stats(host_node(t->s->host), t->torrent, &t->last);
}

json_t *task_event_json(struct task *t, const char *type)
{
    json_t *e = talk_event(type);
    json_object_set_new(e, "id", json_string(t->id));
    json_object_set_new(e, "name", talk_json_text(t->meta->name));
    return e;
}

struct node_add task_how(const struct task *t, const struct buf *resume)
{
    const struct options *o = &t->s->a->options;
    const bool fresh = !t->started_once;        // its content was hashed or looked at only before that
    return (struct node_add){.meta = t->meta, .root = slice_str(t->cfg->root), .resume = buf_slice(resume), .trust = t->cfg->trust && fresh,
        .check = o->check && fresh, .sequential = o->sequential, .reserve = o->preallocate, .priorities = t->priorities,
        .super_seed = t->cfg->share && o->super_seed, .keep = t->cfg->share, .up_bps = o->up_each_bps, .down_bps = o->down_each_bps};
}

int task_cannot_start(struct task *t, enum err e)
{
    if (e == ERR_EXISTS)
        return talk_fail(&t->s->a->talk, FAIL_DUPLICATE, NULL, "%s is the same torrent as another one", t->name);
    return talk_fail(&t->s->a->talk, FAIL_INTERNAL, NULL, "cannot start %s: %s", t->name, err_text(e));
}

static void add_peers(struct task *t)
{
    struct node *n = host_node(t->s->host);
    const struct peer_list *peers = &t->s->peers;
    const nsec now = host_now(t->s->host);
    for (uint32_t i = 0; i < t->cfg->peers_n; i++)
        if (node_peer_add(n, now, t->torrent, &t->cfg->peers[i]) != ERR_OK)
            break;
    for (uint32_t i = 0; i < peers->n; i++) {
        char text[ADDR_TEXT_MAX];
        const enum err refused = node_peer_add(n, now, t->torrent, &peers->items[i]);
        if (refused != ERR_OK)
            talk_debug(&t->s->a->talk, "peer %s: %s", addr_format(&peers->items[i], text), err_text(refused));
    }
}

void task_start(struct task *t)
{
    struct session *s = t->s;
    struct buf resume = {0};
    const bool known = t->cfg->link == NULL || t->meta == &t->fetched;
    if (known)
        session_load_resume(t, &resume);
    const struct node_add add = task_how(t, &resume);
    struct node *n = host_node(s->host);
    const nsec now = host_now(s->host);
    // What fails here leaves nothing under way.
    const enum err e = known ? node_torrent_add(n, now, &add, &t->torrent) : node_magnet_add(n, now, &t->cfg->link->magnet, &t->torrent);
    free(resume.p);
    if (e != ERR_OK) {
        s->a->talk.about = t->id;
        task_end(t, task_cannot_start(t, e));
        s->a->talk.about = NULL;
        return;
    }
    t->state = TASK_RUNNING;
    t->alive_at = t->sent_at = now;
    t->down_before += t->last.down_bytes;       // those of the node begin at 0 again
    t->up_before += t->last.up_bytes;
    t->last_bytes = t->last_up = 0;
    t->last_steps = 0;
    t->error_at = 0;
    t->said.waiting = false;
    if (!t->started_once)
        t->started = now;
    if (!t->told) {
        json_t *added = task_event_json(t, "added");
        if (t->cfg->link == NULL)
            torrent_describe(t->meta, added);
        talk_emit(&s->a->talk, added);
        t->told = true;
    }
    t->started_once |= known;
    add_peers(t);
    task_stats(t);
    if (known)
        disk_start(t);
}

void task_leave(struct task *t)
{
    ASSERT(t->state == TASK_RUNNING);
    task_stats(t);
    if (node_torrent_remove(host_node(t->s->host), host_now(t->s->host), t->torrent) != ERR_OK)
        return;                         // all of them stop
    t->state = TASK_LEAVING;
    if (!t->ended)
        talk_debug(&t->s->a->talk, "%s waits for its turn", t->name);
}

static bool all_ended(const struct session *s)
{
    for (uint32_t i = 0; i < s->tasks_n; i++)
        if (!s->tasks[i].ended)
            return false;
    return true;
}

void task_end(struct task *t, int status)
{
    struct session *s = t->s;
    if (t->ended)
        return;
    t->ended = true;
    t->status = status;
    if (s->status == 0)
        s->status = status;
    if (all_ended(s)) {
        s->stopping = true;
        host_stop(s->host);             // what runs leaves with the node
    } else if (t->state == TASK_RUNNING) {
        task_leave(t);
    } else if (t->state == TASK_WAITING) {
        t->state = TASK_OVER;
    }
}

// ---- progress

struct progress_view task_view(const struct task *t)
{
    const struct node_torrent_stats *st = &t->last;
    const struct session *s = t->s;
    struct progress_view v = {.verb = t->done && t->cfg->stay ? "seed" : t->cfg->share ? "share" : "get", .id = t->id, .name = t->name,
        .done = st->done_bytes, .size = st->wanted_bytes, .down_bps = st->down_bps, .up_bps = st->up_bps,
        .up_bytes = t->up_before + st->up_bytes, .peers = st->peers, .seeds = st->seeds, .known = st->known, .web = st->web_conns,
        .net = !t->cfg->plain};
    if (st->state == TORRENT_METADATA) {
        v.verb = "metadata";
        v.size = st->metadata_size;
        v.done = u64_min((uint64_t)st->metadata_here * UT_METADATA_PART, u64_sub_sat(v.size, 1));
        v.unsized = v.size == 0;
    }
    v.waits = st->state == TORRENT_ERROR;
    if (st->state == TORRENT_DOWNLOADING || st->state == TORRENT_ERROR)
        v.down_bps = meter_bps(&t->meter);
    if (st->state != TORRENT_CHECKING)
        return v;
    v.verb = "check";
    v.net = false;
    const struct metainfo *m = t->meta;
    const uint64_t checked = (uint64_t)st->pieces_checked * m->piece_len;
    v.size = m->len;
    // whoever reads along takes "all of it" for the end
    v.done = u64_min(checked, u64_sub_sat(v.size, 1));
    v.down_bps = units_per_second(v.done, host_now(s->host) - t->started);
    return v;
}

static void show_at_once(struct task *t)
{
    task_stats(t);
    const struct progress_view v = task_view(t);
    if (session_is_one(t->s) || t->s->a->talk.json || t->s->progress.mode == PROGRESS_LINES)
        progress_show(&t->s->progress, host_now(t->s->host), &v, 1, true);
}

// ---- the end of it

// Bytes of the files that were chosen; the pieces that they lie in may be more.
static uint64_t wanted_bytes(const struct task *t)
{
    return t->priorities != NULL ? torrent_chosen_bytes(t->meta, t->priorities) : t->last.wanted_bytes;
}

// "631.0 MiB in 15.2 s (41.5 MiB/s)"; after a resume "631.0 MiB, of which 31.0 MiB in 1.1 s (28.2 MiB/s)".
static void say_done(struct task *t)
{
    char size[UNITS_TEXT_MAX], took[UNITS_TEXT_MAX], rate[UNITS_TEXT_MAX], got[UNITS_TEXT_MAX], name[TALK_NAME_MAX + 2];
    const struct node_torrent_stats *st = &t->last;
    const struct app *a = t->s->a;
    const nsec time = t->done_at - t->started;
    if (a->talk.json || t->cfg->share)
        return;
    const char *const mark = a->talk.utf8 ? "✓ " : "";
    const uint64_t down = t->down_before + st->down_bytes, all = wanted_bytes(t);
    if (down == 0)
        talk_note(&t->s->a->talk, "%s%s%s were there already", mark, task_tag(t, name), units_size(all, size));
    else if (t->had_bytes != 0)
        talk_note(&t->s->a->talk, "%s%s%s, of which %s in %s (%s)", mark, task_tag(t, name), units_size(all, size),
            units_size(u64_min(down, all), got), units_elapsed(time, took), units_rate(units_per_second(down, time), rate));
    else
        talk_note(&t->s->a->talk, "%s%s%s in %s (%s)", mark, task_tag(t, name), units_size(all, size), units_elapsed(time, took),
            units_rate(units_per_second(down, time), rate));
}

static void emit_totals(struct task *t, const char *type)
{
    const struct node_torrent_stats *st = &t->last;
    json_t *e = task_event_json(t, type);
    json_object_set_new(e, "size", talk_json_count(st->wanted_bytes));
    json_object_set_new(e, "done", talk_json_count(st->done_bytes));
    json_object_set_new(e, "down_bytes", talk_json_count(t->down_before + st->down_bytes));
    json_object_set_new(e, "down_seed_bytes", talk_json_count(st->down_seed_bytes));
    json_object_set_new(e, "web_bytes", talk_json_count(st->web_bytes));
    json_object_set_new(e, "up_bytes", talk_json_count(t->up_before + st->up_bytes));
    json_object_set_new(e, "waste_bytes", talk_json_count(st->waste_bytes));
    json_object_set_new(e, "down_total", talk_json_count(st->down_total));
    json_object_set_new(e, "up_total", talk_json_count(st->up_total));
    json_object_set_new(e, "ms", talk_json_count(((t->done ? t->done_at : host_now(t->s->host)) - t->started) / NSEC_MS));
    talk_emit(&t->s->a->talk, e);
}

static void on_done(struct task *t)
{
    struct session *s = t->s;
    char name[TALK_NAME_MAX + 2];
    if (t->done)
        return;
    t->done = true;
    t->done_at = t->sent_at = host_now(s->host);
    show_at_once(t);
    emit_totals(t, "done");
    if (!t->cfg->stay) {
        if (!session_is_one(s))
            say_done(t);                // else when all is over
        task_end(t, 0);
        return;
    }
    progress_end(&s->progress);
    say_done(t);
    talk_emit(&s->a->talk, task_event_json(t, "seeding"));
    talk_note(&s->a->talk, "%sseeding on port %u; Ctrl-C ends it", task_tag(t, name), host_port(s->host));
}

// The check of a share has ended without all of the content.
static void on_checked(struct task *t)
{
    task_stats(t);
    const struct node_torrent_stats *st = &t->last;
    char bad[UNITS_TEXT_MAX], all[UNITS_TEXT_MAX];
    disk_checked(t);
    if (t->down_before == 0)
        t->had_bytes = st->done_bytes;
    if (!t->cfg->share || st->done_bytes >= st->wanted_bytes || st->state == TORRENT_ERROR)
        return;
    const int status = talk_fail(&t->s->a->talk, FAIL_HASH_MISMATCH, "`kith verify` says what is wrong, `kith get` fetches it",
        "%s of %s in %s are not as the torrent says", units_size(st->wanted_bytes - st->done_bytes, bad),
        units_size(st->wanted_bytes, all), t->name);
    task_end(t, status);
}

int task_finish(struct task *t)
{
    char share[UNITS_TEXT_MAX], name[TALK_NAME_MAX + 2];
    struct talk *const talk = &t->s->a->talk;
    if (t->ended && t->status != 0)
        return t->status;
    talk->about = t->id;
    if (!t->done && t->told && t->last.state == TORRENT_METADATA)
        return talk_fail(talk, FAIL_INTERRUPTED, NULL, "%sstopped before any peer gave the metadata", task_tag(t, name));
    if (!t->done && !t->told)
        return talk_fail(talk, FAIL_INTERRUPTED, NULL, "%sstopped before its turn came", task_tag(t, name));
    if (!t->done)
        return talk_fail(talk, FAIL_INTERRUPTED, "run the same command again: it goes on from there", "%sstopped at %u%% (%s)", task_tag(t, name),
            units_percent(t->last.done_bytes, t->last.wanted_bytes), units_share(t->last.done_bytes, t->last.wanted_bytes, share));
    if (!t->cfg->stay && session_is_one(t->s))
        say_done(t);
    emit_totals(t, "result");
    if (t->cfg->done != NULL)
        t->cfg->done(t->s->a, t->meta, t->cfg->root, t->priorities);
    return 0;
}

// ---- events of the node

static void on_file_done(struct task *t, uint32_t file)
{
    const struct metainfo *m = t->meta;
    if (file >= m->files_n || !t->s->a->talk.json)
        return;
    json_t *e = task_event_json(t, "file_done");
    json_object_set_new(e, "path", talk_json_text(m->files[file].path));
    json_object_set_new(e, "size", talk_json_count(m->files[file].len));
    talk_emit(&t->s->a->talk, e);
}

void task_event(struct task *t, const struct node_event *e)
{
    char text[TALK_NAME_MAX], name[TALK_NAME_MAX + 2];
    struct talk *const talk = &t->s->a->talk;
    switch (e->kind) {
    case NODE_EVENT_METADATA: task_metadata(t, e->text); break;
    case NODE_EVENT_LAYERS: task_layers(t); break;
    case NODE_EVENT_CHECKED: on_checked(t); break;
    case NODE_EVENT_DONE: on_done(t); break;
    case NODE_EVENT_FILE_DONE: on_file_done(t, e->file); break;
    case NODE_EVENT_ERROR: disk_error(t, e); break;
    case NODE_EVENT_RECOVERED: disk_recovered(t); break;
    case NODE_EVENT_TRACKER:
        t->tracker_failed = true;
        talk_warn(talk, "%stracker: %s", task_tag(t, name), talk_clean(e->text, text));
        break;
    case NODE_EVENT_BANNED: task_banned(t, &e->addr); break;
    case NODE_EVENT_WEB_SEED: talk_warn(talk, "%sweb seed %s", task_tag(t, name), talk_clean(e->text, text)); break;
    case NODE_EVENT_REMOVED:
        t->state = t->ended ? TASK_OVER : TASK_WAITING;
        t->torrent = 0;
        break;
    case NODE_EVENT_GONE: disk_gone(t, e); break;
    case NODE_EVENT_EXTERNAL:
    case NODE_EVENT_DHT:
    case NODE_EVENT_STOPPED: break;
    }
}

// Why nobody came, as far as it is known.
static const char *why_alone(const struct task *t)
{
    if (t->last.known != 0)
        return "addresses of peers are known, but none of them could be reached; run the same command again: it goes on from there";
    if (t->meta->trackers_n == 0)
        return "there is no tracker: name a peer with --peer or a tracker with --tracker; run the same command again: it goes on from there";
    return t->tracker_failed ? "no tracker gave an answer of use; run the same command again: it goes on from there" :
        "the tracker knows of nobody else; run the same command again: it goes on from there";
}

// Gives up what has stood still for --timeout.
static void check_timeout(struct task *t, nsec now)
{
    const struct node_torrent_stats *st = &t->last;
    struct talk *const talk = &t->s->a->talk;
    const nsec limit = t->s->a->options.timeout;
    char time[UNITS_TEXT_MAX], name[TALK_NAME_MAX + 2];
    // what counts as life: bytes, pieces checked, and anything that is not waiting for peers
    const uint32_t steps = st->pieces_checked + st->metadata_here;
    const bool waits = st->state == TORRENT_DOWNLOADING || st->state == TORRENT_METADATA;
    if (st->down_bytes != t->last_bytes || steps != t->last_steps || !waits)
        t->alive_at = now;
    t->last_bytes = st->down_bytes;
    t->last_steps = steps;
    if (limit == 0 || t->ended)
        return;
    if (t->done || now - t->alive_at < limit)
        return;
    if (t->cfg->plain) {
        task_end(t, talk_fail(talk, FAIL_TIMEOUT, "run the same command again: it goes on from there",
            "no data from any server for %s", units_time(limit / NSEC_S, time)));
        return;
    }
    const bool alone = st->peers == 0;
    if (alone && st->banned != 0) {
        task_end(t, talk_fail(talk, FAIL_NO_PEERS, "look for other peers, or ask who made the torrent: the content may have changed since",
            "%sno peer left: %u sent bad data and %s banned", task_tag(t, name), st->banned, st->banned == 1 ? "was" : "were"));
        return;
    }
    task_end(t, talk_fail(talk, alone ? FAIL_NO_PEERS : FAIL_NO_ANSWER, alone ? why_alone(t) : "run the same command again: it goes on from there",
        alone ? "%sno peer for %s" : st->state == TORRENT_METADATA ? "%sno peer gave the metadata for %s" : "%sno data from any peer for %s",
        task_tag(t, name), units_time(limit / NSEC_S, time)));
}

void task_tick(struct task *t, nsec now)
{
    if (t->state != TASK_RUNNING)
        return;
    task_stats(t);
    meter_mark(&t->meter, now, t->down_before + t->last.down_bytes);
    if (t->last.done && !t->done)
        on_done(t);
    if (t->cfg->plain && t->last.web_seeds == 0 && t->last.state == TORRENT_DOWNLOADING && !t->ended)
        task_end(t, t->meta->has_v1 ?
            talk_fail(&t->s->a->talk, FAIL_HASH_MISMATCH, "what is right is kept; try other mirrors", "all servers send bad data") :
            talk_fail(&t->s->a->talk, FAIL_NETWORK, NULL, "no server gives the file as it was any more"));
    if (t->state == TASK_RUNNING)
        disk_tick(t, now);
    if (t->state == TASK_RUNNING)
        check_timeout(t, now);
}
