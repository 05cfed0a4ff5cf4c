// See follow.h.
#include "app/follow.h"

#include <stdlib.h>

#include "app/dht_setup.h"
#include "app/host.h"
#include "app/interrupt.h"
#include "app/state.h"
#include "codec/bencode.h"
#include "engine/find/dht.h"

enum { FOLLOW_KEY_MAX = 64, FOLLOW_BLOB_MAX = 64, ASK_TIMEOUT_S = 60 };

struct following {
    struct app *a;
    struct magnet *link;
    struct host *host;
    struct state *state;
    struct dht_setup setup;
    uint32_t op;
    nsec give_up;
    bool over, found, silent;           // silent: the DHT did not answer at all
    int64_t seq;
    uint8_t hash[SHA1_LEN];
};

static void end(struct following *f, bool silent)
{
    if (f->over)
        return;
    f->over = true;
    f->silent = silent;
    host_stop(f->host);
}

static void on_tick(void *ctx)
{
    struct following *f = ctx;
    if (host_now(f->host) >= f->give_up)
        end(f, true);
}

static void on_event(void *ctx, const struct node_event *e)
{
    struct following *f = ctx;
    uint8_t hash[SHA1_LEN];
    if (e->kind != NODE_EVENT_DHT || f->over || e->dht->op != f->op)
        return;
    if (e->dht_kind == DHT_ITEM && (!f->found || e->dht->item.seq >= f->seq) && dht_item_torrent(e->dht->item.value, hash)) {
        f->found = true;
        f->seq = e->dht->item.seq;
        memcpy(f->hash, hash, sizeof hash);
    }
    if (e->dht_kind == DHT_DONE)
        end(f, e->dht->err == ERR_UNREACHABLE);
}

static void on_log(void *ctx, enum log_level level, const char *text)
{
    struct following *f = ctx;
    talk_log(&f->a->talk, level, text);
}

// On a worker.
static enum err on_save(void *ctx, struct slice key, struct slice blob)
{
    struct following *f = ctx;
    return f->state == NULL ? ERR_OK : state_save(f->state, key, blob);
}

// ---- what an earlier run has seen: d 2:ih 20:… 3:seq i…e e

static struct slice state_key(const struct following *f, uint8_t space[FOLLOW_KEY_MAX])
{
    uint8_t target[NODE_ID_LEN];
    struct buf b = {space, 0, FOLLOW_KEY_MAX};
    struct wr w = wr_make(&b);
    dht_item_mutable(f->link->key, f->link->salt, target);
    wr_str(&w, "follow/");
    wr_hex(&w, slice_of(target, sizeof target));
    ASSERT(w.ok);
    return buf_slice(&b);
}

static void load(struct following *f)
{
    struct bencode_field fields[] = {{"seq", {0}}};
    uint8_t space[FOLLOW_KEY_MAX], hash[SHA1_LEN];
    struct buf blob = {0};
    int64_t seq;
    if (f->state == NULL || state_load(f->state, state_key(f, space), &blob) != ERR_OK)
        return;
    if (dht_item_torrent(buf_slice(&blob), hash) && bencode_fields(buf_slice(&blob), fields, 1) && bencode_raw_int(fields[0].raw, &seq)) {
        f->found = true;
        f->seq = seq;
        memcpy(f->hash, hash, sizeof hash);
    }
    free(blob.p);
}

static void save(struct following *f)
{
    uint8_t space[FOLLOW_KEY_MAX], bytes[FOLLOW_BLOB_MAX];
    struct buf b = {bytes, 0, sizeof bytes};
    struct wr w = wr_make(&b);
    struct bencode_out o;
    bencode_out_init(&o, &w);
    bencode_put_dict(&o);
    bencode_put_key_str(&o, "ih", slice_of(f->hash, sizeof f->hash));
    bencode_put_key_int(&o, "seq", f->seq);
    bencode_put_end(&o);
    ASSERT(w.ok);
    const enum err e = f->state == NULL ? ERR_OK : state_save(f->state, state_key(f, space), buf_slice(&b));
    if (e != ERR_OK)
        talk_warn(&f->a->talk, "cannot keep which version was seen: %s", err_text(e));
}

// ---- asking

static int open_host(struct following *f)
{
    const struct options *o = &f->a->options;
    char why[HOST_WHY_MAX] = "";
    struct host_config cfg = {
        .listen = o->listen, .device = o->interface, .proxy = o->proxy, .log_level = f->a->talk.verbose > 1 ? LOG_DEBUG : LOG_INFO,
        .event = on_event, .tick = on_tick, .save = on_save, .log = on_log, .ctx = f,
    };
    dht_setup(&f->setup, o, f->state, &cfg.node.dht);
    cfg.node.dht.read_only = true;
    const enum err e = host_new(&f->host, &cfg, why);
    if (e == ERR_OK)
        return 0;
    f->host = NULL;
    return talk_fail(&f->a->talk, e == ERR_SYNTAX ? FAIL_USAGE : e == ERR_ACCESS ? FAIL_PERMISSION : FAIL_NETWORK, NULL, "%s",
        why[0] != 0 ? why : err_text(e));
}

static int ask(struct following *f)
{
    struct dht_ask q = {.kind = DHT_GET, .is_mutable = true, .item = {.salt = f->link->salt}};
    memcpy(q.item.key, f->link->key, sizeof q.item.key);
    const nsec now = host_now(f->host);
    f->give_up = now + (f->a->options.timeout != 0 ? f->a->options.timeout : ASK_TIMEOUT_S * NSEC_S);
    const enum err e = node_dht_ask(host_node(f->host), now, &q, &f->op);
    if (e != ERR_OK)
        return talk_fail(&f->a->talk, FAIL_INTERNAL, NULL, "cannot ask the DHT: %s", err_text(e));
    talk_note(&f->a->talk, "asking the DHT which torrent the key means now");
    interrupt_watch();
    host_drain(f->host);
    const enum err ran = host_run(f->host);
    if (f->over)
        return 0;
    return ran == ERR_CANCELLED ? 128 + interrupt_last() : fail_status(FAIL_INTERRUPTED);
}

static int take(struct following *f)
{
    struct talk *t = &f->a->talk;
    char hex[2 * SHA1_LEN + 1] = "";
    struct buf b = {(uint8_t *)hex, 0, sizeof hex - 1};
    struct wr w = wr_make(&b);
    if (!f->found && (f->link->has_v1 || f->link->has_v2)) {
        talk_warn(t, "the DHT knows no torrent of the key: it is the one that the link names");
        return 0;
    }
    if (!f->found && f->silent)
        return talk_fail(t, FAIL_NO_ANSWER, "check the network, or name a node by --dht-router HOST:PORT", "the DHT does not answer");
    if (!f->found)
        return talk_fail(t, FAIL_NOT_FOUND, "items are forgotten two hours after they were stored; its owner has to keep it there",
            "the DHT knows no torrent of this key");
    wr_hex(&w, slice_of(f->hash, sizeof f->hash));
    json_t *e = talk_event("followed");
    json_object_set_new(e, "hash_v1", json_string(hex));
    json_object_set_new(e, "seq", json_integer(f->seq));
    talk_emit(t, e);
    talk_note(t, "%sversion %lld: torrent %s", f->silent ? "the DHT does not answer; what was seen last is " : "", (long long)f->seq, hex);
    f->link->has_v1 = true;
    f->link->has_v2 = false;            // of another version, if the link has one
    memcpy(f->link->hash_v1, f->hash, sizeof f->hash);
    save(f);
    return 0;
}

int follow_link(struct app *a, struct link *l)
{
    struct following f = {.a = a, .link = &l->magnet};
    char why[STATE_WHY_MAX] = "";
    if (!l->magnet.has_key)
        return 0;
    if (a->options.no_dht && (l->magnet.has_v1 || l->magnet.has_v2))
        return 0;
    if (a->options.no_dht)
        return talk_fail(&a->talk, FAIL_USAGE, "leave --no-dht away", "only the DHT knows which torrent the key means");
    if (state_open(&f.state, a->options.state, why) != ERR_OK)
        f.state = NULL;
    load(&f);
    int status = open_host(&f);
    if (status == 0)
        status = ask(&f);
    if (status == 0)
        status = take(&f);
    host_free(f.host);
    state_close(f.state);
    dht_setup_done(&f.setup);
    return status;
}
