// The menu of actions and its text: see action.h. Ranges: what random scenarios draw from.
#include "sim/action.h"

#include "sim/disk.h"

#define PPM(percent) ((uint64_t)(percent) * 10000)
#define MINUS(n) ((uint64_t)-(int64_t)(n))
#define NONE {NULL, ARG_NONE, 0, 0}

enum { WORDS_MAX = 16, RANDOM_DAYS = 3650 };

static const struct action_info menu[ACTION_KINDS] = {
    [ACTION_START] = {"start", SCOPE_HOSTS, false, NONE, NONE},
    [ACTION_LEAVE] = {"leave", SCOPE_HOSTS, false, NONE, NONE},
    [ACTION_CRASH] = {"crash", SCOPE_HOSTS, false, {"disk", ARG_FATE, 0, 2}, {"silent", ARG_FLAG, 0, 1}},
    [ACTION_PAUSE] = {"pause", SCOPE_HOSTS, false, {"time", ARG_TIME, NSEC_S, 600 * NSEC_S}, NONE},
    [ACTION_SIDE] = {"side", SCOPE_HOSTS, true, {"n", ARG_COUNT, 1, 3}, NONE},
    [ACTION_SPACE] = {"space", SCOPE_HOSTS, true, {"bytes", ARG_BYTES, 100000, 100000000}, NONE},
    [ACTION_EIO] = {"eio", SCOPE_HOSTS, true, {"p", ARG_PPM, 1000, PPM(5)}, NONE},
    [ACTION_LOSS] = {"loss", SCOPE_PATHS, true, {"p", ARG_PPM, 1000, PPM(30)}, NONE},
    [ACTION_RATE] = {"rate", SCOPE_HOSTS, true, {"up", ARG_RATE, 10000, 10000000}, {"down", ARG_RATE, 10000, 10000000}},
    [ACTION_BURST] = {"burst", SCOPE_PATHS, true, {"begin", ARG_PPM, 1000, PPM(5)}, {"end", ARG_PPM, PPM(5), PPM(50)}},
    [ACTION_DUPLICATE] = {"duplicate", SCOPE_PATHS, true, {"p", ARG_PPM, 1000, PPM(10)}, NONE},
    [ACTION_REORDER] = {"reorder", SCOPE_PATHS, true, {"p", ARG_PPM, 1000, PPM(50)}, {"by", ARG_TIME, NSEC_MS, 500 * NSEC_MS}},
    [ACTION_REPLAY] = {"replay", SCOPE_PATHS, true, {"p", ARG_PPM, 1000, PPM(10)}, {"after", ARG_TIME, NSEC_S, 100 * NSEC_S}},
    [ACTION_FLIP] = {"flip", SCOPE_PATHS, true, {"p", ARG_PPM, 100, PPM(5)}, NONE},
    [ACTION_MTU] = {"mtu", SCOPE_PATHS, true, {"bytes", ARG_BYTES, 576, 1400}, NONE},
    [ACTION_MASK] = {"mask", SCOPE_HOSTS, false, {"bits", ARG_MASK, 0, UINT64_MAX}, NONE},
    [ACTION_CLOG] = {"clog", SCOPE_PATHS, true, NONE, NONE},
    [ACTION_SWIZZLE] = {"swizzle", SCOPE_HOSTS, true, NONE, NONE},
    [ACTION_HOLE] = {"hole", SCOPE_PATHS, true, NONE, NONE},
    [ACTION_SLOW] = {"slow", SCOPE_PATHS, true, {"factor", ARG_COUNT, 2000, 10000}, NONE},
    [ACTION_ROUTE] = {"route", SCOPE_PATHS, true, {"more", ARG_TIME, NSEC_MS, 300 * NSEC_MS}, NONE},
    [ACTION_THROTTLE] = {"throttle", SCOPE_HOSTS, true, {"up", ARG_PPM, PPM(5), PPM(90)}, {"down", ARG_PPM, PPM(5), PPM(90)}},
    [ACTION_SCAN] = {"scan", SCOPE_HOSTS, true, {"every", ARG_TIME, NSEC_S, 60 * NSEC_S}, {"away", ARG_TIME, 50 * NSEC_MS, 500 * NSEC_MS}},
    [ACTION_ISOLATE] = {"isolate", SCOPE_HOSTS, true, NONE, NONE},
    [ACTION_SPLIT] = {"split", SCOPE_HOSTS, true, {"p", ARG_PPM, PPM(5), PPM(50)}, NONE},
    [ACTION_BRIDGE] = {"bridge", SCOPE_HOSTS, true, NONE, NONE},
    [ACTION_NO_UDP] = {"no-udp", SCOPE_PATHS, true, NONE, NONE},
    [ACTION_NO_TCP] = {"no-tcp", SCOPE_PATHS, true, NONE, NONE},
    [ACTION_RESET] = {"reset", SCOPE_HOSTS, false, {"port", ARG_COUNT, 0, 0}, NONE},
    [ACTION_NOMEM] = {"nomem", SCOPE_HOSTS, true, {"after", ARG_COUNT, 0, 10000}, NONE},
    [ACTION_CPU] = {"cpu", SCOPE_HOSTS, true, {"cost", ARG_TIME, 10 * NSEC_US, 5 * NSEC_MS}, NONE},
    [ACTION_DESCRIPTORS] = {"descriptors", SCOPE_HOSTS, true, {"n", ARG_COUNT, 1, 64}, NONE},
    [ACTION_STORM] = {"storm", SCOPE_HOSTS, false, {"within", ARG_TIME, NSEC_S, 60 * NSEC_S}, NONE},
    [ACTION_SKEW] = {"skew", SCOPE_HOSTS, true, {"by", ARG_SIGNED_PPM, MINUS(200), 200}, NONE},
    [ACTION_JUMP] = {"jump", SCOPE_HOSTS, true,
                     {"by", ARG_SIGNED_TIME, MINUS(RANDOM_DAYS * 86400 * NSEC_S), RANDOM_DAYS * 86400 * NSEC_S}, NONE},
    [ACTION_NAT_REBOOT] = {"nat-reboot", SCOPE_HOSTS, false, NONE, NONE},
    [ACTION_NAT_ADDRESS] = {"nat-address", SCOPE_HOSTS, false, NONE, NONE},
    [ACTION_WEB] = {"web", SCOPE_HOSTS, true, {"is", ARG_WEB, 1, 5}, NONE},
    [ACTION_DNS] = {"dns-dead", SCOPE_WORLD, true, NONE, NONE},
    [ACTION_EIO_ONCE] = {"eio-once", SCOPE_HOSTS, false, NONE, NONE},
    [ACTION_ROT] = {"rot", SCOPE_HOSTS, false, {"n", ARG_COUNT, 1, 4}, NONE},
    [ACTION_MISDIRECT] = {"misdirect", SCOPE_HOSTS, false, NONE, NONE},
    [ACTION_SHORT] = {"short-write", SCOPE_HOSTS, false, NONE, NONE},
    [ACTION_DISK_SLOW] = {"disk-slow", SCOPE_HOSTS, true, {"seek", ARG_TIME, NSEC_MS, 50 * NSEC_MS}, {"rate", ARG_RATE, 100000, 50000000}},
    [ACTION_DISK_STALL] = {"disk-stall", SCOPE_HOSTS, false, {"time", ARG_TIME, NSEC_S, 20 * NSEC_S}, NONE},
};

const struct action_info *action_info(enum action_kind kind)
{
    ASSERT(kind < ACTION_KINDS);
    return &menu[kind];
}

enum err action_find(struct slice name, enum action_kind *out)
{
    for (uint32_t i = 0; i < ACTION_KINDS; i++)
        if (slice_eq_str(name, menu[i].name)) {
            *out = (enum action_kind)i;
            return ERR_OK;
        }
    return ERR_NOT_FOUND;
}

// What may stand behind a number, and how much of the base unit it is.
struct unit {
    enum action_arg kind;
    const char *name;
    uint64_t num, den;
};

static const struct unit units[] = {
    {ARG_COUNT, "", 1, 1},
    {ARG_PPM, "%", 10000, 1}, {ARG_PPM, "ppm", 1, 1},
    {ARG_TIME, "ns", 1, 1}, {ARG_TIME, "us", NSEC_US, 1}, {ARG_TIME, "ms", NSEC_MS, 1}, {ARG_TIME, "s", NSEC_S, 1},
    {ARG_TIME, "m", 60 * NSEC_S, 1}, {ARG_TIME, "h", 3600 * NSEC_S, 1}, {ARG_TIME, "d", 86400 * NSEC_S, 1},
    {ARG_BYTES, "", 1, 1}, {ARG_BYTES, "B", 1, 1}, {ARG_BYTES, "kB", 1000, 1}, {ARG_BYTES, "KiB", KIB, 1}, {ARG_BYTES, "MB", 1000000, 1},
    {ARG_BYTES, "MiB", MIB, 1}, {ARG_BYTES, "GB", 1000000000, 1}, {ARG_BYTES, "GiB", GIB, 1},
    {ARG_RATE, "kbit", 1000, 8}, {ARG_RATE, "Mbit", 1000000, 8}, {ARG_RATE, "Gbit", 1000000000, 8},
    {ARG_RATE, "", 1, 1}, {ARG_RATE, "B", 1, 1}, {ARG_RATE, "kB", 1000, 1}, {ARG_RATE, "MB", 1000000, 1},
};

enum { FRACTION_MAX = 6 };

// Digits with an optional fraction, then a unit.
static enum err number(enum action_arg kind, struct slice text, uint64_t *out)
{
    size_t whole_n = 0;
    while (whole_n < text.n && text.p[whole_n] >= '0' && text.p[whole_n] <= '9')
        whole_n++;
    uint64_t whole, fraction = 0, scale = 1;
    if (dec_parse(slice_sub(text, 0, whole_n), INT64_MAX, &whole) != ERR_OK)
        return whole_n == 0 ? ERR_SYNTAX : ERR_RANGE;
    struct slice rest = slice_sub(text, whole_n, text.n);
    if (rest.n > 1 && rest.p[0] == '.') {
        size_t n = 0;
        while (n + 1 < rest.n && rest.p[n + 1] >= '0' && rest.p[n + 1] <= '9')
            n++;
        if (n == 0 || n > FRACTION_MAX || dec_parse(slice_sub(rest, 1, n), UINT64_MAX, &fraction) != ERR_OK)
            return ERR_SYNTAX;
        for (size_t i = 0; i < n; i++)
            scale *= 10;
        rest = slice_sub(rest, n + 1, rest.n);
    }
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        const struct unit *u = &units[i];
        if (u->kind != kind || !slice_eq_str(rest, u->name))
            continue;
        if (whole > (uint64_t)INT64_MAX / u->num - 1)
            return ERR_RANGE;
        const uint64_t part = u->num > NSEC_S ? u->num / scale * fraction : u->num * fraction / scale;
        *out = (whole * u->num + part) / u->den;
        return ERR_OK;
    }
    if (slice_eq_str(text, "0")) {
        *out = 0;                       // nothing needs no unit
        return ERR_OK;
    }
    return ERR_SYNTAX;
}

static enum err signed_number(enum action_arg kind, struct slice text, uint64_t *out)
{
    const bool minus = text.n > 0 && text.p[0] == '-';
    const bool sign = minus || (text.n > 0 && text.p[0] == '+');
    uint64_t v;
    const enum err e = number(kind, slice_sub(text, sign, text.n), &v);
    if (e == ERR_OK)
        *out = minus ? MINUS(v) : v;
    return e;
}

static const char *const fates[] = {"mixed", "kept", "dropped"};
static const char *const webs[] = {"fine", "dead", "slow", "garbage", "errors", "cut"};
static const char *const flags[] = {"no", "yes"};

static enum err word(const char *const *names, size_t n, struct slice text, uint64_t *out)
{
    for (size_t i = 0; i < n; i++)
        if (slice_eq_str(text, names[i])) {
            *out = i;
            return ERR_OK;
        }
    return ERR_SYNTAX;
}

static enum err mask(struct slice text, uint64_t *out)
{
    uint8_t bytes[8];
    char digits[16];
    const size_t n = text.n - 2;
    if (text.n < 3 || text.n > 2 + sizeof digits || !slice_starts(text, "0x"))
        return ERR_SYNTAX;
    memset(digits, '0', sizeof digits);
    memcpy(digits + sizeof digits - n, text.p + 2, n);
    if (hex_parse(slice_of(digits, sizeof digits), bytes, sizeof bytes) != ERR_OK)
        return ERR_SYNTAX;
    struct rd r = rd_make(slice_of(bytes, sizeof bytes));
    *out = rd_be64(&r);
    return ERR_OK;
}

enum err action_value(enum action_arg kind, struct slice text, uint64_t *out)
{
    switch (kind) {
    case ARG_NONE: break;
    case ARG_COUNT:
    case ARG_PPM:
    case ARG_TIME:
    case ARG_BYTES:
    case ARG_RATE: return number(kind, text, out);
    case ARG_MASK: return mask(text, out);
    case ARG_SIGNED_PPM: return signed_number(ARG_PPM, text, out);
    case ARG_SIGNED_TIME: return signed_number(ARG_TIME, text, out);
    case ARG_FATE: return word(fates, ARRAY_LEN(fates), text, out);
    case ARG_WEB: return word(webs, ARRAY_LEN(webs), text, out);
    case ARG_FLAG: return word(flags, ARRAY_LEN(flags), text, out);
    }
    return ERR_SYNTAX;
}

static enum err one_host(struct slice text, uint64_t *out)
{
    if (slice_starts(text, "n"))
        text = slice_sub(text, 1, text.n);
    return dec_parse(text, UINT32_MAX - 2, out) == ERR_OK ? ERR_OK : ERR_SYNTAX;
}

enum err action_hosts(struct slice text, uint32_t *out_first, uint32_t *out_count)
{
    if (slice_eq_str(text, "*")) {
        *out_first = 0;
        *out_count = ACTION_EVERY;
        return ERR_OK;
    }
    const uint8_t *dash = text.n == 0 ? NULL : memchr(text.p, '-', text.n);
    uint64_t first, last;
    const size_t at = dash == NULL ? text.n : (size_t)(dash - text.p);
    if (one_host(slice_sub(text, 0, at), &first) != ERR_OK)
        return ERR_SYNTAX;
    last = first;
    if (dash != NULL && (one_host(slice_sub(text, at + 1, text.n), &last) != ERR_OK || last < first))
        return ERR_SYNTAX;
    *out_first = u32_of(first);
    *out_count = dash == NULL ? 0 : u32_of(last - first + 1);
    return ERR_OK;
}

enum err action_set(struct action *a, struct slice key, struct slice value)
{
    const struct action_info *info = action_info(a->kind);
    uint64_t v;
    if (slice_eq_str(key, "host") && info->scope != SCOPE_WORLD)
        return action_hosts(value, &a->host, &a->count);
    if (slice_eq_str(key, "to") && info->scope == SCOPE_PATHS) {
        uint32_t first;
        const enum err e = action_hosts(value, &first, &a->to_count);
        if (e == ERR_OK)
            a->to = a->to_count == ACTION_EVERY ? 0 : first + 1;
        return e;
    }
    if (slice_eq_str(key, "share") && info->scope != SCOPE_WORLD) {
        const enum err e = action_value(ARG_PPM, value, &v);
        if (e != ERR_OK || v > 1000000)
            return e != ERR_OK ? e : ERR_RANGE;
        a->share_ppm = u32_of(v);
        return ERR_OK;
    }
    if (slice_eq_str(key, "for") && info->lasts)
        return action_value(ARG_TIME, value, &a->lasts);
    if (info->a.key != NULL && slice_eq_str(key, info->a.key))
        return action_value(info->a.kind, value, &a->a);
    if (info->b.key != NULL && slice_eq_str(key, info->b.key))
        return action_value(info->b.kind, value, &a->b);
    return ERR_NOT_FOUND;
}

static struct slice next_word(struct slice *line)
{
    while (line->n > 0 && (line->p[0] == ' ' || line->p[0] == '\t'))
        *line = slice_sub(*line, 1, line->n);
    size_t n = 0;
    while (n < line->n && line->p[n] != ' ' && line->p[n] != '\t')
        n++;
    const struct slice w = slice_sub(*line, 0, n);
    *line = slice_sub(*line, n, line->n);
    return w;
}

enum err action_parse(struct slice line, struct action *out, struct slice *out_bad)
{
    struct action a = {0};
    struct slice w = next_word(&line);
    enum err e = action_find(w, &a.kind);
    for (uint32_t words = 0; e == ERR_OK; words++) {
        w = next_word(&line);
        if (w.n == 0) {
            *out = a;
            return ERR_OK;
        }
        const uint8_t *equals = memchr(w.p, '=', w.n);
        if (equals == NULL || words == WORDS_MAX) {
            e = ERR_SYNTAX;
            break;
        }
        const size_t at = (size_t)(equals - w.p);
        e = action_set(&a, slice_sub(w, 0, at), slice_sub(w, at + 1, w.n));
    }
    *out_bad = w;
    return e;
}

static void write_value(struct wr *w, enum action_arg kind, uint64_t v)
{
    switch (kind) {
    case ARG_NONE: break;
    case ARG_COUNT:
    case ARG_BYTES:
    case ARG_RATE: wr_dec(w, v); break;
    case ARG_PPM:
        wr_dec(w, v);
        wr_str(w, "ppm");
        break;
    case ARG_TIME:
        wr_dec(w, v % NSEC_S == 0 ? v / NSEC_S : v % NSEC_MS == 0 ? v / NSEC_MS : v);
        wr_str(w, v % NSEC_S == 0 ? "s" : v % NSEC_MS == 0 ? "ms" : "ns");
        break;
    case ARG_MASK: wr_fmt(w, "0x%llx", (unsigned long long)v); break;
    case ARG_SIGNED_PPM:
    case ARG_SIGNED_TIME:
        if ((int64_t)v < 0)
            wr_str(w, "-");
        write_value(w, kind == ARG_SIGNED_PPM ? ARG_PPM : ARG_TIME, (int64_t)v < 0 ? MINUS(v) : v);
        break;
    case ARG_FATE: wr_str(w, fates[v % ARRAY_LEN(fates)]); break;
    case ARG_WEB: wr_str(w, webs[v % ARRAY_LEN(webs)]); break;
    case ARG_FLAG: wr_str(w, flags[v % ARRAY_LEN(flags)]); break;
    }
}

static void write_hosts(struct wr *w, const char *key, uint32_t first, uint32_t count)
{
    wr_fmt(w, " %s=", key);
    if (count == ACTION_EVERY)
        wr_str(w, "*");
    else if (count <= 1)
        wr_fmt(w, "n%u", first);
    else
        wr_fmt(w, "n%u-n%u", first, first + count - 1);
}

static void write_param(struct wr *w, const struct action_param *p, uint64_t v)
{
    if (p->key == NULL)
        return;
    wr_fmt(w, " %s=", p->key);
    write_value(w, p->kind, v);
}

void action_write(struct wr *w, const struct action *a)
{
    const struct action_info *info = action_info(a->kind);
    wr_str(w, info->name);
    if (info->scope != SCOPE_WORLD)
        write_hosts(w, "host", a->host, a->count);
    if (info->scope == SCOPE_PATHS && a->to != 0)
        write_hosts(w, "to", a->to - 1, a->to_count);
    if (a->share_ppm != 0) {
        wr_str(w, " share=");
        write_value(w, ARG_PPM, a->share_ppm);
    }
    write_param(w, &info->a, a->a);
    write_param(w, &info->b, a->b);
    if (info->lasts && a->lasts != 0) {
        wr_str(w, " for=");
        write_value(w, ARG_TIME, a->lasts);
    }
}
