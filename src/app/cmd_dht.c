// `kith dht`: a DHT node in the foreground, or one question to the DHT: peers, scrape, announce, get, put, publish.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app/cmd.h"
#include "app/dht_setup.h"
#include "app/fileio.h"
#include "app/host.h"
#include "app/interrupt.h"
#include "app/link.h"
#include "app/state.h"
#include "codec/bencode.h"
#include "codec/krpc.h"
#include "codec/magnet.h"
#include "engine/find/dht.h"

enum {
    DHT_PORT = 51413,                   // the same as for peers
    STATS_S = 10,
    PEERS_SHOWN_MAX = 4096,
    ASK_TIMEOUT_S = 60,
    LINK_TEXT_MAX = 256,                // of a key and a salt
    KEEP_RETRY_S = 60,                  // --keep: after a time without success
};

enum dht_verb { VERB_RUN, VERB_PEERS, VERB_SCRAPE, VERB_ANNOUNCE, VERB_GET, VERB_PUT, VERB_PUBLISH };

struct asking {
    struct app *a;
    struct host *host;
    struct state *state;
    struct dht_setup setup;
    enum dht_verb verb;
    struct dht_ask ask;
    uint32_t op;
    bool over, signing;                 // signing: the stored seq is being looked up, before a put
    int status;
    nsec next_stats, give_up;
    nsec again;                         // --keep: when it is told once more; 0: an answer is waited for
    bool kept;                          // --keep: it was told at least once
    bool missed;                        // --keep: not the last time
    uint8_t secret[SIGN_SECRET_LEN];
    uint8_t value[ITEM_VALUE_MAX + 8];
    uint8_t best[ITEM_VALUE_MAX];       // the newest item found
    size_t best_n;
    int64_t best_seq;
    struct addr seen[PEERS_SHOWN_MAX];
    uint32_t seen_n;
};

static void end(struct asking *s, int status)
{
    if (s->over)
        return;
    s->over = true;
    s->status = status;
    host_stop(s->host);
}

// ---- --keep

static bool is_put(const struct asking *s) { return s->verb == VERB_PUT || s->verb == VERB_PUBLISH; }

static nsec patience(const struct asking *s) { return s->a->options.timeout != 0 ? s->a->options.timeout : ASK_TIMEOUT_S * NSEC_S; }

// Items are forgotten after two hours, peers after half an hour or so.
static void tell_again(struct asking *s, nsec now)
{
    struct dht_ask ask = s->ask;
    ask.kind = s->verb == VERB_ANNOUNCE ? DHT_ANNOUNCE : DHT_PUT;
    if (ask.is_mutable)
        dht_item_sign(&ask.item, s->secret);
    s->again = 0;
    s->give_up = now + patience(s);
    const enum err e = node_dht_ask(host_node(s->host), now, &ask, &s->op);
    if (e != ERR_OK)
        s->again = now + KEEP_RETRY_S * NSEC_S;
}

// True: it goes on.
static bool keep(struct asking *s, bool told)
{
    const nsec every = s->a->options.keep;
    if (every == 0 || (!told && !s->kept))
        return false;
    if (!told && !s->missed)
        talk_warn(&s->a->talk, "the DHT did not take it this time; it is told again until it does");
    s->kept = true;
    s->missed = !told;
    s->again = host_now(s->host) + (told ? every : u64_min(every, KEEP_RETRY_S * NSEC_S));
    return true;
}

// ---- the figures of a running node

static void say_stats(struct asking *s)
{
    struct dht_stats d = {0};
    char stamp[32] = "";
    const time_t now = time(NULL);
    struct tm tm;
    if (!node_dht_stats(host_node(s->host), &d))
        return;
    json_t *e = talk_event("progress");
    json_object_set_new(e, "task", json_string("dht"));
    json_object_set_new(e, "nodes_ipv4", talk_json_count(d.nodes[0]));
    json_object_set_new(e, "nodes_ipv6", talk_json_count(d.nodes[1]));
#define COUNT(field) json_object_set_new(e, #field, talk_json_count(d.field))
    COUNT(hashes);
    COUNT(peers);
    COUNT(items);
    COUNT(rx_queries);
    COUNT(rx_replies);
    COUNT(rx_bad);
    COUNT(rx_unasked);
    COUNT(tx_queries);
    COUNT(tx_replies);
    COUNT(timeouts);
    COUNT(limited);
    COUNT(refused);
    COUNT(tx_bytes);
    COUNT(rx_bytes);
#undef COUNT
    json_object_set_new(e, "estimate_ipv4", talk_json_count(d.estimate[0]));
    talk_emit(&s->a->talk, e);
    if (s->a->talk.json || s->a->options.progress == PROGRESS_NONE)
        return;
    if (gmtime_r(&now, &tm) != NULL)
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &tm);
    talk_note(&s->a->talk, "%s dht nodes=%u/%u hashes=%u peers=%u items=%u queries=%llu asked=%llu answers=%llu timeouts=%llu limited=%llu "
        "refused=%llu bad=%llu network=%llu", stamp, d.nodes[0], d.nodes[1], d.hashes, d.peers, d.items, (unsigned long long)d.rx_queries,
        (unsigned long long)d.tx_queries, (unsigned long long)d.rx_replies, (unsigned long long)d.timeouts, (unsigned long long)d.limited,
        (unsigned long long)d.refused, (unsigned long long)d.rx_bad, (unsigned long long)d.estimate[0]);
}

static void on_tick(void *ctx)
{
    struct asking *s = ctx;
    const nsec now = host_now(s->host);
    if (s->again != 0 && now >= s->again && !s->over)
        tell_again(s, now);
    if (s->verb != VERB_RUN && s->again == 0 && now >= s->give_up && !s->over && !keep(s, false))
        end(s, talk_fail(&s->a->talk, FAIL_NO_ANSWER, "check the network, or name a node by --dht-router HOST:PORT", "the DHT does not answer"));
    if (s->verb != VERB_RUN || now < s->next_stats)
        return;
    s->next_stats = now + STATS_S * NSEC_S;
    say_stats(s);
}

// ---- answers

static void show_peer(struct asking *s, const struct addr *peer)
{
    char text[ADDR_TEXT_MAX];
    for (uint32_t i = 0; i < s->seen_n; i++)
        if (addr_eq(&s->seen[i], peer))
            return;
    if (s->seen_n < PEERS_SHOWN_MAX)
        s->seen[s->seen_n++] = *peer;
    addr_format(peer, text);
    json_t *e = talk_event("peer");
    json_object_set_new(e, "addr", json_string(text));
    talk_emit(&s->a->talk, e);
    if (!s->a->talk.json)
        talk_data(&s->a->talk, "%s", text);
}

// For a terminal, which a stranger's bytes would steer. Lines stay lines.
static void show_clean(FILE *out, struct slice text)
{
    for (size_t at = 0; at <= text.n;) {
        const uint8_t *const end = at < text.n ? memchr(text.p + at, '\n', text.n - at) : NULL;
        const size_t n = end != NULL ? (size_t)(end - text.p) - at : text.n - at;
        json_t *line = talk_json_text(slice_sub(text, at, at + n));
        (void)fprintf(out, "%s\n", line != NULL ? json_string_value(line) : "");
        json_decref(line);
        at += n + 1;
    }
}

// The value as people want it: a string's bytes, else its bencoded form.
static void show_value(struct asking *s)
{
    const struct slice raw = slice_of(s->best, s->best_n);
    struct slice text = raw;
    const bool is_text = bencode_raw_str(raw, &text);
    json_t *e = talk_event("item");
    json_object_set_new(e, is_text ? "value" : "bencoded", talk_json_text(text));
    json_object_set_new(e, "hex", talk_json_hex(raw));
    if (s->ask.is_mutable)
        json_object_set_new(e, "seq", json_integer(s->best_seq));
    talk_emit(&s->a->talk, e);
    if (s->a->talk.json)
        return;
    if (isatty(fileno(s->a->talk.out)) == 1) {
        show_clean(s->a->talk.out, text);
        return;
    }
    fwrite(text.p, 1, text.n, s->a->talk.out);
    fputc('\n', s->a->talk.out);
}

static void put_now(struct asking *s)
{
    struct dht_ask put = s->ask;
    put.kind = DHT_PUT;
    s->signing = false;
    if (put.is_mutable && s->a->options.item_seq == NULL && s->best_n != 0 && s->best_seq == INT64_MAX) {
        end(s, talk_fail(&s->a->talk, FAIL_USAGE, "use another --salt or another key", "the item of this key has the highest number there is"));
        return;
    }
    if (put.is_mutable) {
        if (s->a->options.item_seq == NULL)
            put.item.seq = s->best_n != 0 ? s->best_seq + 1 : 1;
        dht_item_sign(&put.item, s->secret);
    }
    s->ask.item.seq = put.item.seq;
    const enum err e = node_dht_ask(host_node(s->host), host_now(s->host), &put, &s->op);
    if (e != ERR_OK)
        end(s, talk_fail(&s->a->talk, FAIL_INTERNAL, NULL, "cannot ask: %s", err_text(e)));
}

// The link of what was published, BEP 46.
static void say_link(struct asking *s)
{
    char text[LINK_TEXT_MAX] = "";
    struct buf b = {(uint8_t *)text, 0, sizeof text - 1};
    struct wr w = wr_make(&b);
    wr_str(&w, "magnet:?xs=urn:btpk:");
    wr_hex(&w, slice_of(s->ask.item.key, SIGN_PUBLIC_LEN));
    if (s->ask.item.salt.n != 0) {
        wr_str(&w, "&s=");
        wr_hex(&w, s->ask.item.salt);
    }
    ASSERT(w.ok);
    if (!s->a->talk.json)
        talk_data(&s->a->talk, "%s", text);
}

static void say_put(struct asking *s, const struct dht_out *o)
{
    uint8_t target[NODE_ID_LEN];
    char hex[2 * SIGN_PUBLIC_LEN + 1] = "";
    struct buf b = {(uint8_t *)hex, 0, sizeof hex - 1};
    struct wr w = wr_make(&b);
    if (s->ask.is_mutable) {
        wr_hex(&w, slice_of(s->ask.item.key, SIGN_PUBLIC_LEN));
    } else {
        dht_item_immutable(s->ask.item.value, target);
        wr_hex(&w, slice_of(target, NODE_ID_LEN));
    }
    json_t *e = talk_event("stored");
    json_object_set_new(e, s->ask.is_mutable ? "key" : "target", json_string(hex));
    json_object_set_new(e, "nodes", talk_json_count(o->stored));
    if (s->ask.is_mutable)
        json_object_set_new(e, "seq", json_integer(s->ask.item.seq));
    talk_emit(&s->a->talk, e);
    if (!s->a->talk.json && s->verb == VERB_PUT)
        talk_data(&s->a->talk, "%s", hex);
    if (s->verb == VERB_PUBLISH)
        say_link(s);
    // A salt may hold anything, so it is not written as a word of a command.
    const char *const salted = s->ask.item.salt.n != 0 ? " with the same --salt" : "";
    const char *const how_long = s->a->options.keep != 0 ? "for as long as this runs" : "for two hours";
    if (s->verb == VERB_PUBLISH)
        talk_note(&s->a->talk, "stored at %u nodes %s; `kith get` follows the link", o->stored, how_long);
    else
        talk_note(&s->a->talk, "stored at %u nodes %s; `kith dht get %s`%s finds it", o->stored, how_long, hex, salted);
}

static void say_scrape(struct asking *s, const struct dht_out *o)
{
    json_t *e = talk_event("scrape");
    json_object_set_new(e, "seeds", talk_json_count(o->seeds));
    json_object_set_new(e, "leeches", talk_json_count(o->leeches));
    talk_emit(&s->a->talk, e);
    if (!s->a->talk.json)
        talk_data(&s->a->talk, "seeds %u leeches %u", o->seeds, o->leeches);
}

static bool is_overtaken(const struct dht_out *o) { return o->code == KRPC_CAS_MISMATCH || o->code == KRPC_SEQ_TOO_OLD; }

static int failure(struct asking *s, const struct dht_out *o)
{
    char text[TALK_NAME_MAX];
    struct talk *t = &s->a->talk;
    if (o->err == ERR_UNREACHABLE)
        return talk_fail(t, FAIL_NO_ANSWER, "check the network, or name a node by --dht-router HOST:PORT", "no node of the DHT answers");
    if (o->err == ERR_REFUSED)
        return talk_fail(t, FAIL_NETWORK, !is_overtaken(o) ? NULL :
            s->a->options.item_seq != NULL ? "a newer item is there: leave --item-seq away" : "somebody else with this key was quicker: try again",
            "no node stored it%s%s", o->text.n != 0 ? ": " : "", talk_clean(o->text, text));
    if (s->verb == VERB_GET)
        return talk_fail(t, FAIL_NOT_FOUND, "items are forgotten two hours after they were stored", "no such item");
    return talk_fail(t, FAIL_NO_PEERS, NULL, "no peers (%u nodes asked)", o->asked);
}

static void on_done(struct asking *s, const struct dht_out *o)
{
    if (s->signing) {
        put_now(s);
        return;
    }
    if (o->err != ERR_OK) {
        if (is_overtaken(o) || !keep(s, false))
            end(s, failure(s, o));
        return;
    }
    switch (s->verb) {
    case VERB_PEERS:
        talk_note(&s->a->talk, "%u peers; %u nodes asked, %u hops, %llu ms", s->seen_n, o->asked, o->hops, (unsigned long long)(o->took / NSEC_MS));
        break;
    case VERB_SCRAPE: say_scrape(s, o); break;
    case VERB_ANNOUNCE: talk_note(&s->a->talk, "told %u nodes", o->stored); break;
    case VERB_GET: show_value(s); break;
    case VERB_PUT: case VERB_PUBLISH: say_put(s, o); break;
    case VERB_RUN: break;
    }
    if (!keep(s, true))
        end(s, 0);
}

static void on_event(void *ctx, const struct node_event *e)
{
    struct asking *s = ctx;
    if (e->kind != NODE_EVENT_DHT || s->over || e->dht->op != s->op)
        return;
    if (e->dht_kind == DHT_PEERS && s->verb == VERB_PEERS)
        for (uint32_t i = 0; i < e->dht->peers_n; i++)
            show_peer(s, &e->dht->peers[i]);
    if (e->dht_kind == DHT_ITEM) {
        s->best_n = e->dht->item.value.n;
        s->best_seq = e->dht->item.seq;
        memcpy(s->best, e->dht->item.value.p, s->best_n);
    }
    if (e->dht_kind == DHT_DONE)
        on_done(s, e->dht);
}

static void on_log(void *ctx, enum log_level level, const char *text)
{
    struct asking *s = ctx;
    talk_log(&s->a->talk, level, text);
}

// On a worker.
static enum err on_save(void *ctx, struct slice key, struct slice blob)
{
    struct asking *s = ctx;
    return s->state == NULL ? ERR_OK : state_save(s->state, key, blob);
}

// ---- what is asked

// An info-hash as it is written: 40 digits, 64 for v2, or a magnet link.
static bool parse_hash(const char *text, uint8_t out[NODE_ID_LEN])
{
    const size_t n = strlen(text);
    if ((n == 2 * SHA1_LEN || n == 2 * SHA256_LEN) && hex_parse(slice_of(text, 2 * SHA1_LEN), out, SHA1_LEN) == ERR_OK)
        return true;
    struct magnet *m = calloc(1, sizeof *m);
    struct buf scratch = {.p = malloc(n + 1), .cap = n + 1};
    bool good = m != NULL && scratch.p != NULL && magnet_parse(m, slice_str(text), &scratch) == ERR_OK;
    good = good && (m->has_v1 || m->has_v2);
    if (good)
        memcpy(out, m->has_v1 ? m->hash_v1 : m->hash_v2, NODE_ID_LEN);
    free(scratch.p);
    free(m);
    return good;
}

static int read_hash(struct asking *s)
{
    const char *const text = s->a->options.args.items[1];
    s->ask.kind = s->verb == VERB_ANNOUNCE ? DHT_ANNOUNCE : DHT_GET_PEERS;
    s->ask.scrape = s->verb == VERB_SCRAPE;
    if (!parse_hash(text, s->ask.target))
        return talk_fail(&s->a->talk, FAIL_USAGE, "write 40 or 64 hex digits, or a magnet link", "%s: no info-hash", text);
    if (s->verb == VERB_ANNOUNCE && s->a->options.port == 0)
        return talk_fail(&s->a->talk, FAIL_USAGE, "add --port N", "at which port does the peer listen?");
    s->ask.port = (uint16_t)s->a->options.port;
    return 0;
}

static int read_name(struct asking *s)
{
    const char *const text = s->a->options.args.items[1];
    s->ask.kind = DHT_GET;
    s->ask.is_mutable = hex_parse(slice_str(text), s->ask.item.key, SIGN_PUBLIC_LEN) == ERR_OK;
    if (!s->ask.is_mutable && hex_parse(slice_str(text), s->ask.target, NODE_ID_LEN) != ERR_OK)
        return talk_fail(&s->a->talk, FAIL_USAGE, "write the 40 digits that `kith dht put` printed, or the 64 of a key",
            "%s: no name of an item", text);
    return 0;
}

// The secret seed in a file of 64 hex digits; made if it is not there.
static int read_key(struct asking *s)
{
    const char *const path = s->a->options.key;
    struct buf b = {0};
    uint8_t seed[SIGN_SEED_LEN];
    char name[TALK_NAME_MAX], hex[2 * SIGN_SEED_LEN + 2] = "";
    talk_clean(slice_str(path), name);
    int e = fileio_read(path, 4096, &b);
    bool is_key = e != EFBIG;
    if (e == ENOENT && getrandom(seed, sizeof seed, 0) == (ssize_t)sizeof seed) {
        struct buf text = {(uint8_t *)hex, 0, sizeof hex};
        struct wr w = wr_make(&text);
        wr_hex(&w, slice_of(seed, sizeof seed));
        wr_str(&w, "\n");
        const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        e = fd < 0 || write(fd, text.p, text.n) != (ssize_t)text.n ? errno : 0;
        if (fd >= 0 && close(fd) != 0 && e == 0)
            e = errno;
        if (e == 0)
            talk_note(&s->a->talk, "made a new key in %s: keep it, whoever has it can change your items", name);
        sign_wipe(hex, sizeof hex);
    } else if (e == 0) {
        size_t n = b.n;
        while (n > 0 && (b.p[n - 1] == '\n' || b.p[n - 1] == ' '))
            n--;
        is_key = hex_parse(slice_of(b.p, n), seed, SIGN_SEED_LEN) == ERR_OK;
    }
    free(b.p);
    if (e != 0 || !is_key)
        return talk_fail(&s->a->talk, is_key ? fail_of_errno(e) : FAIL_USAGE, "it holds 64 hex digits; a new one is made where there is no file",
            "cannot use %s: %s", name, is_key ? strerror(e) : "it is no secret key");
    sign_key(seed, s->ask.item.key, s->secret);
    sign_wipe(seed, sizeof seed);
    s->ask.is_mutable = true;
    return 0;
}

static int read_seq(struct asking *s)
{
    const struct options *o = &s->a->options;
    if (o->item_seq != NULL && (o->key == NULL || dec_parse(slice_str(o->item_seq), INT64_MAX, (uint64_t *)&s->ask.item.seq) != ERR_OK))
        return talk_fail(&s->a->talk, FAIL_USAGE, NULL, o->key == NULL ? "--item-seq goes with --key" :
            "--item-seq: not a number from 0 to 9223372036854775807");
    return 0;
}

// The torrent that a key is to mean from now on: by its file, its link or its v1 hash.
static int read_torrent(struct asking *s)
{
    const char *const text = s->a->options.args.items[1];
    uint8_t hash[SHA1_LEN];
    struct metainfo m = {0};
    struct buf b = {s->value, 0, sizeof s->value};
    struct wr w = wr_make(&b);
    if (s->a->options.key == NULL)
        return talk_fail(&s->a->talk, FAIL_USAGE, "add --key FILE", "with which key?");
    bool good = strlen(text) == 2 * SHA1_LEN && parse_hash(text, hash);
    if (!good && link_is(text)) {
        struct link l;
        const int status = link_read(s->a, text, &l);
        if (status != 0)
            return status;
        good = l.magnet.has_v1;
        memcpy(hash, l.magnet.hash_v1, sizeof hash);
        link_done(&l);
    } else if (!good) {
        const int status = torrent_load(s->a, text, &m);
        if (status != 0)
            return status;
        good = m.has_v1;
        memcpy(hash, m.hash_v1, sizeof hash);
        metainfo_free(&m);
    }
    if (!good)
        return talk_fail(&s->a->talk, FAIL_USAGE, "make a v1 or hybrid one", "%s: only torrents with a v1 hash can be published (BEP 46)", text);
    dht_item_torrent_write(&w, hash);
    ASSERT(w.ok);
    s->ask.kind = DHT_PUT;
    s->ask.item.value = buf_slice(&b);
    const int status = read_seq(s);
    return status != 0 ? status : read_key(s);
}

static int read_value(struct asking *s)
{
    const struct options *o = &s->a->options;
    const struct slice text = slice_str(o->args.items[1]);
    struct buf b = {s->value, 0, sizeof s->value};
    struct wr w = wr_make(&b);
    wr_dec(&w, text.n);
    wr_str(&w, ":");
    wr_bytes(&w, text);
    if (!w.ok || b.n > ITEM_VALUE_MAX)
        return talk_fail(&s->a->talk, FAIL_USAGE, "an item holds 996 bytes", "the value is too long");
    s->ask.kind = DHT_PUT;
    s->ask.item.value = buf_slice(&b);
    const int status = read_seq(s);
    if (status != 0)
        return status;
    if (o->key == NULL)
        return o->salt == NULL ? 0 : talk_fail(&s->a->talk, FAIL_USAGE, NULL, "--salt goes with --key");
    return read_key(s);
}

static int read_question(struct asking *s)
{
    static const char *const verbs[] = {[VERB_RUN] = "", [VERB_PEERS] = "peers", [VERB_SCRAPE] = "scrape", [VERB_ANNOUNCE] = "announce",
        [VERB_GET] = "get", [VERB_PUT] = "put", [VERB_PUBLISH] = "publish"};
    const struct texts *args = &s->a->options.args;
    if (args->n == 0)
        return 0;
    for (uint32_t i = VERB_PEERS; i <= VERB_PUBLISH; i++)
        if (strcmp(args->items[0], verbs[i]) == 0)
            s->verb = (enum dht_verb)i;
    if (s->verb == VERB_RUN || args->n != 2)
        return talk_fail(&s->a->talk, FAIL_USAGE,
            "kith dht, or kith dht peers HASH | scrape HASH | announce HASH | get NAME | put VALUE | publish TORRENT",
            s->verb == VERB_RUN ? "%s: no such question" : "%s wants one word after it", args->items[0]);
    const char *const salt = s->a->options.salt;
    if (salt != NULL && strlen(salt) > ITEM_SALT_MAX)
        return talk_fail(&s->a->talk, FAIL_USAGE, "64 bytes at most", "the salt is too long");
    s->ask.item.salt = salt != NULL ? slice_str(salt) : (struct slice){0};
    if (s->a->options.keep != 0 && !is_put(s) && s->verb != VERB_ANNOUNCE)
        return talk_fail(&s->a->talk, FAIL_USAGE, NULL, "--keep goes with announce, put and publish");
    switch (s->verb) {
    case VERB_PEERS: case VERB_SCRAPE: case VERB_ANNOUNCE: return read_hash(s);
    case VERB_GET: return read_name(s);
    case VERB_PUT: return read_value(s);
    case VERB_PUBLISH: return read_torrent(s);
    case VERB_RUN: break;
    }
    return 0;
}

// ---- starting

static int open_all(struct asking *s)
{
    const struct options *o = &s->a->options;
    const bool run = s->verb == VERB_RUN;
    char why[STATE_WHY_MAX] = "";
    if (state_open(&s->state, o->state, why) != ERR_OK)
        s->state = NULL;
    if (why[0] != 0)
        talk_warn(&s->a->talk, "%s", why);
    struct host_config cfg = {
        .listen = o->listen, .device = o->interface,
        .port = (uint16_t)(!run ? 0 : o->port != 0 ? o->port : DHT_PORT),
        .port_last = (uint16_t)(run && o->port == 0 ? DHT_PORT + 20 : 0), .log_level = s->a->talk.verbose > 1 ? LOG_DEBUG : LOG_INFO,
        .event = on_event, .tick = on_tick, .save = on_save, .log = on_log, .ctx = s,
    };
    dht_setup(&s->setup, o, s->state, &cfg.node.dht);
    cfg.node.dht.on = true;
    cfg.node.dht.read_only = !run;
    char text[HOST_WHY_MAX] = "";
    const enum err e = host_new(&s->host, &cfg, text);
    if (e == ERR_OK)
        return 0;
    s->host = NULL;
    return talk_fail(&s->a->talk, e == ERR_SYNTAX ? FAIL_USAGE : e == ERR_ACCESS ? FAIL_PERMISSION : FAIL_NETWORK,
        e == ERR_EXISTS ? "choose another --port" : NULL, "%s", text[0] != 0 ? text : err_text(e));
}

static int begin(struct asking *s)
{
    const nsec now = host_now(s->host);
    s->next_stats = now + STATS_S * NSEC_S;
    s->give_up = now + patience(s);
    if (s->verb == VERB_RUN) {
        json_t *e = talk_event("added");
        json_object_set_new(e, "task", json_string("dht"));
        json_object_set_new(e, "port", talk_json_count(host_port(s->host)));
        talk_emit(&s->a->talk, e);
        talk_note(&s->a->talk, "DHT node on UDP port %u; Ctrl-C ends it", host_port(s->host));
        return 0;
    }
    struct dht_ask ask = s->ask;
    s->signing = is_put(s) && ask.is_mutable && s->a->options.item_seq == NULL;
    if (s->signing)
        ask.kind = DHT_GET;
    else if (is_put(s) && ask.is_mutable)
        dht_item_sign(&ask.item, s->secret);
    const enum err e = node_dht_ask(host_node(s->host), now, &ask, &s->op);
    return e == ERR_OK ? 0 : talk_fail(&s->a->talk, FAIL_INTERNAL, NULL, "cannot ask: %s", err_text(e));
}

int cmd_dht(struct app *a)
{
    struct asking *s = calloc(1, sizeof *s);
    if (s == NULL)
        return talk_fail(&a->talk, FAIL_INTERNAL, NULL, "out of memory");
    s->a = a;
    int status = read_question(s);
    if (status == 0)
        status = open_all(s);
    if (status == 0)
        status = begin(s);
    if (status == 0) {
        interrupt_watch();
        host_drain(s->host);
        const enum err ran = host_run(s->host);
        const bool done = s->verb == VERB_RUN || (s->kept && !s->missed);       // who keeps telling has told
        status = s->over ? s->status : ran == ERR_CANCELLED ? 128 + interrupt_last() : done ? 0 : fail_status(FAIL_INTERRUPTED);
    }
    host_free(s->host);
    state_close(s->state);
    dht_setup_done(&s->setup);
    sign_wipe(s->secret, sizeof s->secret);
    free(s);
    return status;
}
