// The menu of actions and its text: see action.h. Ranges: what random scenarios draw from.
#include "sim/action.h"

#include "base/units.h"
#include "sim/disk.h"

#define PPM(percent) ((uint64_t)(percent) * 10000)
#define MINUS(n) ((uint64_t)-(int64_t)(n))
#define NONE {NULL, ARG_NONE, 0, 0, false}
#define YEARS_10 (315360000 * NSEC_S)

enum { WORD_MAX = 64, PPM_MAX = 1000000, SKEW_PPM_MAX = 499999, COUNT_MAX = 1000000000 };

static const struct action_info menu[ACTION_KINDS] = {
    [ACTION_START] = {"start", ACTION_GROUP_LIFE, SCOPE_HOSTS, false, NONE, NONE,
        "one that is down starts again"},
    [ACTION_LEAVE] = {"leave", ACTION_GROUP_LIFE, SCOPE_HOSTS, false, NONE, NONE,
        "stops in an orderly way and stays away"},
    [ACTION_CRASH] = {"crash", ACTION_GROUP_LIFE, SCOPE_HOSTS, true, {"disk", ARG_FATE, 0, 2, true}, {"silent", ARG_FLAG, 0, 1, true},
        "dies; pages of its disk that were not synced meet their fate. for=: then it starts again"},
    [ACTION_PAUSE] = {"pause", ACTION_GROUP_LIFE, SCOPE_HOSTS, false, {"for", ARG_TIME, NSEC_S, 600 * NSEC_S, false}, NONE,
        "the process sleeps"},
    [ACTION_HEAL] = {"heal", ACTION_GROUP_LIFE, SCOPE_WORLD, false, NONE, NONE,
        "ends all faults that last; who is down starts"},
    [ACTION_SIDE] = {"partition", ACTION_GROUP_PARTITION, SCOPE_HOSTS, true, {"side", ARG_COUNT, 1, 3, false}, NONE,
        "only those of the same side hear each other; all begin on side 0"},
    [ACTION_SPACE] = {"diskfull", ACTION_GROUP_DISK, SCOPE_HOSTS, true, {"space", ARG_BYTES, 10000, 3000000, false}, NONE,
        "no more than so many bytes fit on the disk"},
    [ACTION_EIO] = {"eio", ACTION_GROUP_DISK, SCOPE_HOSTS, true, {"p", ARG_PPM, 1000, PPM(50), false}, NONE,
        "disk operations fail by chance"},
    [ACTION_LOSS] = {"loss", ACTION_GROUP_PACKET, SCOPE_PATHS, true, {"p", ARG_PPM, 1000, PPM(30), false}, NONE,
        "packets are lost; without node= and to= everywhere, in place of the world's loss"},
    [ACTION_RATE] = {"rate", ACTION_GROUP_PATH, SCOPE_HOSTS, true,
        {"up", ARG_RATE, 2000, 1000000, true}, {"down", ARG_RATE, 2000, 1000000, true},
        "the line gets another speed; 0: no limit"},
    [ACTION_BURST] = {"burst", ACTION_GROUP_PACKET, SCOPE_PATHS, true,
        {"begin", ARG_PPM, 1000, PPM(5), false}, {"end", ARG_PPM, PPM(5), PPM(50), false},
        "Gilbert-Elliott: all packets are lost from a begin to an end"},
    [ACTION_DUPLICATE] = {"duplicate", ACTION_GROUP_PACKET, SCOPE_PATHS, true, {"p", ARG_PPM, 1000, PPM(10), false}, NONE,
        "datagrams come twice"},
    [ACTION_REORDER] = {"reorder", ACTION_GROUP_PACKET, SCOPE_PATHS, true,
        {"p", ARG_PPM, 1000, PPM(50), false}, {"by", ARG_TIME, NSEC_MS, 500 * NSEC_MS, false},
        "datagrams are late by up to so much"},
    [ACTION_REPLAY] = {"replay", ACTION_GROUP_PACKET, SCOPE_PATHS, true,
        {"p", ARG_PPM, 1000, PPM(10), false}, {"after", ARG_TIME, NSEC_S, 100 * NSEC_S, false},
        "datagrams come again, so much later"},
    [ACTION_FLIP] = {"flip", ACTION_GROUP_PACKET, SCOPE_PATHS, true, {"p", ARG_PPM, 100, PPM(5), false}, NONE,
        "one bit of a datagram turns over"},
    [ACTION_MTU] = {"mtu", ACTION_GROUP_PACKET, SCOPE_PATHS, true, {"bytes", ARG_BYTES, 576, 1400, false}, NONE,
        "longer datagrams (with IP and UDP headers) vanish"},
    [ACTION_MASK] = {"mask", ACTION_GROUP_PACKET, SCOPE_HOSTS, false, {"bits", ARG_MASK, 1, UINT64_MAX, false}, NONE,
        "of the next 64 datagrams those with a 1 bit are lost, the lowest bit first"},
    [ACTION_CLOG] = {"clog", ACTION_GROUP_PATH, SCOPE_PATHS, true, NONE, NONE,
        "nothing gets through until it ends; then all comes, in order"},
    [ACTION_SWIZZLE] = {"swizzle", ACTION_GROUP_PATH, SCOPE_HOSTS, true, NONE, NONE,
        "clogged one by one and freed in another order"},
    [ACTION_HOLE] = {"hole", ACTION_GROUP_PATH, SCOPE_PATHS, true, NONE, NONE,
        "one way: nothing arrives"},
    [ACTION_SLOW] = {"slow", ACTION_GROUP_PATH, SCOPE_PATHS, true, {"factor", ARG_COUNT, 2000, 10000, false}, NONE,
        "latency in thousandths: 10000 is ten times"},
    [ACTION_ROUTE] = {"route", ACTION_GROUP_PATH, SCOPE_PATHS, true, {"more", ARG_TIME, NSEC_MS, 300 * NSEC_MS, false}, NONE,
        "a longer way, by so much one way"},
    [ACTION_THROTTLE] = {"throttle", ACTION_GROUP_PATH, SCOPE_HOSTS, true,
        {"up", ARG_PPM, PPM(5), PPM(90), true}, {"down", ARG_PPM, PPM(5), PPM(90), true},
        "so much of the line is left"},
    [ACTION_SCAN] = {"scan", ACTION_GROUP_PATH, SCOPE_HOSTS, true,
        {"every", ARG_TIME, NSEC_S, 60 * NSEC_S, false}, {"away", ARG_TIME, 50 * NSEC_MS, 500 * NSEC_MS, false},
        "a Wi-Fi card that looks around: nothing gets through while it is away"},
    [ACTION_ISOLATE] = {"isolate", ACTION_GROUP_PARTITION, SCOPE_HOSTS, true, NONE, NONE,
        "each is alone"},
    [ACTION_SPLIT] = {"split", ACTION_GROUP_PARTITION, SCOPE_HOSTS, true, {"p", ARG_PPM, PPM(5), PPM(50), false}, NONE,
        "so many of them are on another side than the rest"},
    [ACTION_BRIDGE] = {"bridge", ACTION_GROUP_PARTITION, SCOPE_HOSTS, true, NONE, NONE,
        "hears all sides"},
    [ACTION_NO_UDP] = {"no-udp", ACTION_GROUP_PARTITION, SCOPE_PATHS, true, NONE, NONE,
        "datagrams are swallowed, out and in"},
    [ACTION_NO_TCP] = {"no-tcp", ACTION_GROUP_PARTITION, SCOPE_PATHS, true, NONE, NONE,
        "streams are swallowed, out and in"},
    [ACTION_RESET] = {"reset", ACTION_GROUP_PARTITION, SCOPE_HOSTS, false, {"port", ARG_COUNT, 0, 0, true}, NONE,
        "streams break now, all or those to or from a port"},
    [ACTION_NOMEM] = {"nomem", ACTION_GROUP_NODE, SCOPE_HOSTS, true, {"after", ARG_COUNT, 0, 10000, true}, NONE,
        "so many allocations still work, then none"},
    [ACTION_CPU] = {"cpu", ACTION_GROUP_NODE, SCOPE_HOSTS, true, {"cost", ARG_TIME, 10 * NSEC_US, 5 * NSEC_MS, false}, NONE,
        "each input costs so much time"},
    [ACTION_DESCRIPTORS] = {"descriptors", ACTION_GROUP_NODE, SCOPE_HOSTS, true, {"n", ARG_COUNT, 1, 64, false}, NONE,
        "streams at once"},
    [ACTION_STORM] = {"storm", ACTION_GROUP_NODE, SCOPE_HOSTS, false, {"within", ARG_TIME, NSEC_S, 60 * NSEC_S, false}, NONE,
        "crash, and back within so long, each at a time of its own"},
    [ACTION_SKEW] = {"skew", ACTION_GROUP_CLOCK, SCOPE_HOSTS, true, {"by", ARG_SIGNED_PPM, MINUS(200), 200, false}, NONE,
        "the clock goes wrong"},
    [ACTION_JUMP] = {"jump", ACTION_GROUP_CLOCK, SCOPE_HOSTS, true, {"by", ARG_SIGNED_TIME, MINUS(YEARS_10), YEARS_10, false}, NONE,
        "the wall clock jumps"},
    [ACTION_NAT_REBOOT] = {"nat-reboot", ACTION_GROUP_ADDRESS, SCOPE_HOSTS, false, NONE, NONE,
        "the NAT box in front forgets all mappings"},
    [ACTION_NAT_ADDRESS] = {"nat-address", ACTION_GROUP_ADDRESS, SCOPE_HOSTS, false, NONE, NONE,
        "and gets another public address"},
    [ACTION_WEB] = {"web", ACTION_GROUP_SERVICE, SCOPE_HOSTS, true, {"is", ARG_WEB, 1, 5, false}, NONE,
        "how fetches from it (a tracker's, say) end; node=*: all fetches"},
    [ACTION_DNS] = {"dns-dead", ACTION_GROUP_SERVICE, SCOPE_WORLD, true, NONE, NONE,
        "names do not resolve"},
    [ACTION_EIO_ONCE] = {"eio-once", ACTION_GROUP_DISK, SCOPE_HOSTS, false, NONE, NONE,
        "the next write, sync or read fails"},
    [ACTION_ROT] = {"rot", ACTION_GROUP_DISK, SCOPE_HOSTS, false, {"n", ARG_COUNT, 1, 4, false}, NONE,
        "so many places of what is stored change"},
    [ACTION_MISDIRECT] = {"misdirect", ACTION_GROUP_DISK, SCOPE_HOSTS, false, NONE, NONE,
        "the next write lands at another place, and says that all is well"},
    [ACTION_SHORT] = {"short-write", ACTION_GROUP_DISK, SCOPE_HOSTS, false, NONE, NONE,
        "the next write keeps only a part, and fails"},
    [ACTION_DISK_SLOW] = {"disk-slow", ACTION_GROUP_DISK, SCOPE_HOSTS, true,
        {"seek", ARG_TIME, NSEC_MS, 50 * NSEC_MS, false}, {"rate", ARG_RATE, 100000, 50000000, true},
        "each disk operation takes so long"},
    [ACTION_DISK_STALL] = {"disk-stall", ACTION_GROUP_DISK, SCOPE_HOSTS, false, {"for", ARG_TIME, NSEC_S, 20 * NSEC_S, false}, NONE,
        "nothing on the disk completes"},
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

const char *action_group_name(enum action_group g)
{
    static const char *const names[ACTION_GROUPS] = {"lives", "packets", "paths", "partitions", "nodes", "clocks", "addresses", "services", "disks"};
    ASSERT(g < ACTION_GROUPS);
    return names[g];
}

struct action action_make(enum action_kind kind)
{
    const bool everybody = action_info(kind)->scope == SCOPE_PATHS && kind != ACTION_LOSS;
    return (struct action){.kind = kind, .count = everybody ? ACTION_EVERY : 0};
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

static enum err number(enum action_arg kind, struct slice text, uint64_t *out)
{
    char copy[WORD_MAX];
    uint64_t v = 0;
    if (text.n == 0 || text.n >= sizeof copy || memchr(text.p, 0, text.n) != NULL)
        return ERR_SYNTAX;
    memcpy(copy, text.p, text.n);
    copy[text.n] = 0;
    enum err e = ERR_SYNTAX;
    if (kind == ARG_COUNT)
        e = dec_parse(text, COUNT_MAX, &v);
    else if (kind == ARG_PPM)
        e = units_parse_share(copy, &v);
    else if (kind == ARG_TIME)
        e = units_parse_time(copy, &v);
    else
        e = kind == ARG_BYTES ? units_parse_size(copy, &v) : units_parse_rate(copy, &v);
    if (e == ERR_OK && kind == ARG_PPM && v > PPM_MAX)
        return ERR_RANGE;
    if (e == ERR_OK)
        *out = v;
    return e;
}

static enum err signed_value(enum action_arg kind, uint64_t max, struct slice text, uint64_t *out)
{
    const bool minus = text.n > 0 && text.p[0] == '-';
    const bool sign = minus || (text.n > 0 && text.p[0] == '+');
    uint64_t v;
    const enum err e = number(kind, slice_sub(text, sign, text.n), &v);
    if (e != ERR_OK)
        return e;
    if (v > max)
        return ERR_RANGE;
    *out = minus ? MINUS(v) : v;
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
    case ARG_SIGNED_PPM: return signed_value(ARG_PPM, SKEW_PPM_MAX, text, out);
    case ARG_SIGNED_TIME: return signed_value(ARG_TIME, UINT64_MAX, text, out);
    case ARG_FATE: return word(fates, ARRAY_LEN(fates), text, out);
    case ARG_WEB: return word(webs, ARRAY_LEN(webs), text, out);
    case ARG_FLAG: return word(flags, ARRAY_LEN(flags), text, out);
    }
    return ERR_SYNTAX;
}

const char *action_expects(enum action_arg kind)
{
    switch (kind) {
    case ARG_NONE: break;
    case ARG_COUNT: return "a number up to 1000000000";
    case ARG_PPM: return "a share up to 100%, such as 3%, 0.25 or 400ppm";
    case ARG_TIME: return "a time such as 500ms, 30s, 5m or 1h30m";
    case ARG_BYTES: return "a size such as 1400, 64KiB or 3MB";
    case ARG_RATE: return "a rate such as 50kB, 2MiB or 400kbit";
    case ARG_MASK: return "up to 64 bits such as 0x8001";
    case ARG_SIGNED_PPM: return "a share below 50% with its sign, such as -200ppm";
    case ARG_SIGNED_TIME: return "a time up to 10 years with its sign, such as -262s";
    case ARG_FATE: return "one of mixed kept dropped";
    case ARG_WEB: return "one of fine dead slow garbage errors cut";
    case ARG_FLAG: return "yes or no";
    }
    return "nothing";
}

enum err action_key(const struct action *a, struct slice key, enum action_arg *out)
{
    const struct action_info *info = action_info(a->kind);
    enum action_arg kind = ARG_NONE;
    if (slice_eq_str(key, "share") && info->scope != SCOPE_WORLD)
        kind = ARG_PPM;
    else if (slice_eq_str(key, "for") && info->lasts)
        kind = ARG_TIME;
    else if (info->a.key != NULL && slice_eq_str(key, info->a.key))
        kind = info->a.kind;
    else if (info->b.key != NULL && slice_eq_str(key, info->b.key))
        kind = info->b.kind;
    if (kind == ARG_NONE)
        return ERR_NOT_FOUND;
    *out = kind;
    return ERR_OK;
}

enum err action_set(struct action *a, struct slice key, struct slice value)
{
    const struct action_info *info = action_info(a->kind);
    enum action_arg kind = ARG_NONE;
    uint64_t v = 0;
    enum err e = action_key(a, key, &kind);
    if (e == ERR_OK)
        e = action_value(kind, value, &v);
    if (e != ERR_OK)
        return e;
    if (info->a.key != NULL && slice_eq_str(key, info->a.key))
        a->a = v;
    else if (info->b.key != NULL && slice_eq_str(key, info->b.key))
        a->b = v;
    else if (slice_eq_str(key, "for"))
        a->lasts = v;
    else
        a->share_ppm = u32_of(v);
    return ERR_OK;
}

static void write_time(struct wr *w, uint64_t v)
{
    static const struct {
        const char *name;
        uint64_t unit;
    } units[] = {{"h", 3600 * NSEC_S}, {"m", 60 * NSEC_S}, {"s", NSEC_S}, {"ms", NSEC_MS}};
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (v % units[i].unit == 0 && v != 0) {
            wr_fmt(w, "%llu%s", (unsigned long long)(v / units[i].unit), units[i].name);
            return;
        }
    wr_fmt(w, "%llu.%06llums", (unsigned long long)(v / NSEC_MS), (unsigned long long)(v % NSEC_MS));
}

// In the greatest of two units that holds it whole.
static void write_scaled(struct wr *w, uint64_t v, uint64_t unit, const char *name, const char *rest)
{
    const bool whole = v != 0 && v % unit == 0;
    wr_fmt(w, "%llu%s", (unsigned long long)(whole ? v / unit : v), whole ? name : rest);
}

void action_value_write(struct wr *w, enum action_arg kind, uint64_t v)
{
    switch (kind) {
    case ARG_NONE: break;
    case ARG_COUNT: wr_dec(w, v); break;
    case ARG_BYTES:
        if (v != 0 && v % MIB == 0)
            write_scaled(w, v, MIB, "MiB", "");
        else
            write_scaled(w, v, KIB, "KiB", "");
        break;
    case ARG_RATE: write_scaled(w, v, 1000, "kB", ""); break;
    case ARG_PPM: write_scaled(w, v, 10000, "%", "ppm"); break;
    case ARG_TIME: write_time(w, v); break;
    case ARG_MASK: wr_fmt(w, "0x%llx", (unsigned long long)v); break;
    case ARG_SIGNED_PPM:
    case ARG_SIGNED_TIME:
        if ((int64_t)v < 0) {
            wr_str(w, "-");
            v = MINUS(v);
        }
        if (kind == ARG_SIGNED_TIME)
            write_time(w, v);
        else
            write_scaled(w, v, 10000, "%", "ppm");
        break;
    case ARG_FATE: wr_str(w, fates[v % ARRAY_LEN(fates)]); break;
    case ARG_WEB: wr_str(w, webs[v % ARRAY_LEN(webs)]); break;
    case ARG_FLAG: wr_str(w, flags[v % ARRAY_LEN(flags)]); break;
    }
}

static void write_param(struct wr *w, const struct action_param *p, uint64_t v)
{
    if (p->key == NULL || (p->optional && v == 0))
        return;
    wr_fmt(w, " %s=", p->key);
    action_value_write(w, p->kind, v);
}

void action_write(struct wr *w, const struct action *a)
{
    const struct action_info *info = action_info(a->kind);
    const struct action_param share = {"share", ARG_PPM, 0, 0, true}, lasts = {"for", ARG_TIME, 0, 0, true};
    write_param(w, &share, a->share_ppm);
    write_param(w, &info->a, a->a);
    write_param(w, &info->b, a->b);
    write_param(w, &lasts, a->lasts);
}
