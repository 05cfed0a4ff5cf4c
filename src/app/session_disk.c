// What is said of the disk, each cause once and again at most once a minute, and when it is no use to wait for it. See session.h.
#include "app/session_int.h"

#include "base/units.h"

enum {
    SAY_AGAIN_S = 60,
    FILES_SAID_MAX = 5,                 // that are named one by one
    VANISHED_S = 60,                    // a volume that went away may come back so soon, without a --timeout
};

static const char *const again = "mend it and run the same command again: it goes on from there";

static const char *what_to_do(enum err e)
{
    if (e == ERR_ACCESS)
        return "allow writing it, or choose another directory with -o, and run the same command again: it goes on from there";
    if (e == ERR_LINK)
        return "take the link away, or choose another directory with -o, and run the same command again: it goes on from there";
    if (e == ERR_TOO_LONG)
        return "this file system takes no such name or size: choose another directory with -o";
    return "move away what is there, or choose another directory with -o, and run the same command again: it goes on from there";
}

// " (1.0 GiB are to be written, 3.0 MiB are free)": what is not verified yet; the files themselves are not looked at here.
static const char *room(const struct task *t, enum err e, char out[2 * UNITS_TEXT_MAX + 64])
{
    char need[UNITS_TEXT_MAX], avail[UNITS_TEXT_MAX];
    uint64_t is_free = 0;
    out[0] = 0;
    if (e == ERR_NOSPACE && space_free(t->cfg->root, &is_free))
        (void)snprintf(out, 2 * UNITS_TEXT_MAX + 64, " (%s are to be written, %s are free)",
            units_size(u64_sub_sat(t->last.wanted_bytes, t->last.done_bytes), need), units_size(is_free, avail));
    return out;
}

// On the worker: each file is looked at, and there may be 300,000.
static void look_for_room(void *ctx)
{
    struct task *t = ctx;
    t->space_known = space_of(t->meta, t->priorities, t->cfg->root, &t->space);
}

static void say_room(void *ctx)
{
    struct task *t = ctx;
    char need[UNITS_TEXT_MAX], avail[UNITS_TEXT_MAX], name[TALK_NAME_MAX + 2], dir[TALK_NAME_MAX];
    t->space_asked = false;
    if (t->space_known && t->space.need > t->space.avail)
        talk_warn(&t->s->a->talk, "%snot enough room in %s: %s are to be written, %s are free", task_tag(t, name),
            talk_clean(slice_str(t->cfg->root), dir), units_size(t->space.need, need), units_size(t->space.avail, avail));
}

void disk_start(struct task *t)
{
    if (t->cfg->share || t->cfg->plain || t->space_asked)
        return;
    t->space_asked = host_work(t->s->host, look_for_room, say_room, t) == ERR_OK;      // else it is not said: a help only
}

void disk_error(struct task *t, const struct node_event *e)
{
    char path[TALK_NAME_MAX], name[TALK_NAME_MAX + 2], more[2 * UNITS_TEXT_MAX + 64];
    struct talk *const talk = &t->s->a->talk;
    struct disk_said *const said = &t->said;
    const nsec now = host_now(t->s->host);
    ASSERT(e->err < ERR_N);
    if (err_is_of_file(e->err)) {
        if (said->broken < FILES_SAID_MAX)
            talk_warn(talk, "%scannot write %s: %s", task_tag(t, name), talk_clean(e->text, path), err_text(e->err));
        else if (said->broken == FILES_SAID_MAX)
            talk_warn(talk, "%sand more files cannot be written", task_tag(t, name));
        said->broken++;
        return;
    }
    if (t->error_at == 0)
        t->error_at = now;
    if (said->at[e->err] != 0 && now - said->at[e->err] < SAY_AGAIN_S * NSEC_S)
        return;
    said->at[e->err] = now;
    said->waiting = true;
    if (e->err == ERR_VANISHED)
        talk_warn(talk, "%s%s is gone: removed, or its volume is not mounted any more; waiting for it", task_tag(t, name),
            talk_clean(slice_str(t->cfg->root), path));
    else
        talk_warn(talk, "%s%s: %s%s; waiting, it goes on by itself when that is mended", task_tag(t, name), talk_clean(e->text, path),
            err_text(e->err), room(t, e->err, more));
}

void disk_recovered(struct task *t)
{
    char name[TALK_NAME_MAX + 2];
    t->error_at = 0;
    if (t->said.waiting)
        talk_note(&t->s->a->talk, "%sthe disk works again; going on", task_tag(t, name));
    t->said.waiting = false;
}

void disk_gone(struct task *t, const struct node_event *e)
{
    char path[TALK_NAME_MAX], name[TALK_NAME_MAX + 2];
    struct talk *const talk = &t->s->a->talk;
    const bool removed = e->err == ERR_NOT_FOUND;
    if (t->said.gone == FILES_SAID_MAX)
        talk_warn(talk, "%sand more files are not as they were", task_tag(t, name));
    if (t->said.gone++ >= FILES_SAID_MAX)
        return;
    if (t->cfg->share)
        talk_warn(talk, "%s%s %s", task_tag(t, name), talk_clean(e->text, path),
            removed ? "is gone: it is not offered any more" : "was changed or cannot be read: what is left of it is looked for");
    else
        talk_warn(talk, "%s%s was %s meanwhile; what is missing is fetched again", task_tag(t, name), talk_clean(e->text, path),
            removed ? "removed" : "changed");
}

void disk_checked(struct task *t)
{
    char name[TALK_NAME_MAX + 2];
    const uint32_t n = t->last.differ;
    if (n == 0 || t->cfg->share)
        return;
    talk_warn(&t->s->a->talk, "%s%u existing file%s differ%s and %s overwritten", task_tag(t, name), n, n == 1 ? "" : "s", n == 1 ? "s" : "",
        n == 1 ? "is" : "are");
}

static void end_broken(struct task *t)
{
    const struct node_torrent_stats *const st = &t->last;
    char name[TALK_NAME_MAX + 2], path[TALK_NAME_MAX], more[64] = "", share[UNITS_TEXT_MAX];
    if (st->broken > 1)
        (void)snprintf(more, sizeof more, ", and %u more files", st->broken - 1);
    task_end(t, talk_fail(&t->s->a->talk, fail_of_err(st->error), what_to_do(st->error), "%scannot write %s: %s%s; %s is complete",
        task_tag(t, name), talk_clean(slice_str(st->error_path), path), err_text(st->error), more,
        units_share(st->done_bytes, st->wanted_bytes, share)));
}

void disk_tick(struct task *t, nsec now)
{
    const struct node_torrent_stats *const st = &t->last;
    char name[TALK_NAME_MAX + 2], path[TALK_NAME_MAX], time[UNITS_TEXT_MAX], more[2 * UNITS_TEXT_MAX + 64];
    if (t->ended || st->state != TORRENT_ERROR)
        return;
    if (st->stuck) {
        end_broken(t);
        return;
    }
    nsec limit = t->s->a->options.timeout;
    if (limit == 0 && st->error == ERR_VANISHED)
        limit = VANISHED_S * NSEC_S;
    if (limit == 0 || t->error_at == 0 || now - t->error_at < limit)
        return;
    const bool vanished = st->error == ERR_VANISHED;
    const struct slice what = slice_str(vanished ? t->cfg->root : st->error_path);
    task_end(t, talk_fail(&t->s->a->talk, fail_of_err(st->error), again, "%s%s: %s%s for %s", task_tag(t, name), talk_clean(what, path),
        vanished ? "the directory is gone" : err_text(st->error), room(t, st->error, more), units_time(limit / NSEC_S, time)));
}

void task_banned(struct task *t, const struct addr *a)
{
    char addr[ADDR_TEXT_MAX], name[TALK_NAME_MAX + 2];
    struct disk_said *const said = &t->said;
    for (uint32_t i = 0; i < said->bans_n; i++)
        if (addr_same_ip(&said->bans[i], a))
            return;
    if (said->bans_n < BANS_SAID_MAX)
        said->bans[said->bans_n++] = *a;
    talk_note(&t->s->a->talk, "%sbanned %s: it sent bad data", task_tag(t, name), addr_format(a, addr));
}
