// Messages of ut_pex: see ut_pex.h. BEP 11.
#include "codec/ut_pex.h"

#include "codec/bencode.h"
#include "codec/peerwire.h"

enum { LEN4 = 6, LEN6 = 18 };

static struct slice text(struct slice raw, size_t unit)
{
    struct slice s = {0};
    if (!bencode_raw_str(raw, &s))
        return (struct slice){0};
    return slice_sub(s, 0, s.n - s.n % unit);
}

enum err ut_pex_parse(struct ut_pex *out, struct slice payload)
{
    enum { ADDED, FLAGS, ADDED6, FLAGS6, DROPPED, DROPPED6, N };
    struct bencode_field f[N] = {
        [ADDED] = {.key = "added"}, [FLAGS] = {.key = "added.f"}, [ADDED6] = {.key = "added6"}, [FLAGS6] = {.key = "added6.f"},
        [DROPPED] = {.key = "dropped"}, [DROPPED6] = {.key = "dropped6"},
    };
    if (!bencode_fields(payload, f, N))
        return ERR_PROTOCOL;
    *out = (struct ut_pex){
        .added = text(f[ADDED].raw, LEN4), .added_flags = text(f[FLAGS].raw, 1), .added6 = text(f[ADDED6].raw, LEN6),
        .added6_flags = text(f[FLAGS6].raw, 1), .dropped = text(f[DROPPED].raw, LEN4), .dropped6 = text(f[DROPPED6].raw, LEN6),
    };
    return ERR_OK;
}

static struct addr addr_at(struct slice list4, struct slice list6, uint32_t i)
{
    const uint32_t n4 = (uint32_t)(list4.n / LEN4);
    const bool v4 = i < n4;
    struct rd r = rd_make(v4 ? slice_sub(list4, (size_t)i * LEN4, LEN4) : slice_sub(list6, (size_t)(i - n4) * LEN6, LEN6));
    const struct slice ip = rd_bytes(&r, v4 ? 4 : 16);
    const uint16_t port = rd_be16(&r);
    ASSERT(r.ok);
    return v4 ? addr_ipv4(ip.p, port) : addr_ipv6(ip.p, port);
}

uint32_t ut_pex_added_n(const struct ut_pex *m) { return (uint32_t)(m->added.n / LEN4 + m->added6.n / LEN6); }

struct ut_pex_peer ut_pex_added(const struct ut_pex *m, uint32_t i)
{
    ASSERT(i < ut_pex_added_n(m));
    const uint32_t n4 = (uint32_t)(m->added.n / LEN4);
    const struct slice flags = i < n4 ? m->added_flags : m->added6_flags;
    const uint32_t k = i < n4 ? i : i - n4;
    return (struct ut_pex_peer){addr_at(m->added, m->added6, i), k < flags.n ? flags.p[k] : 0};
}

uint32_t ut_pex_dropped_n(const struct ut_pex *m) { return (uint32_t)(m->dropped.n / LEN4 + m->dropped6.n / LEN6); }

struct addr ut_pex_dropped(const struct ut_pex *m, uint32_t i)
{
    ASSERT(i < ut_pex_dropped_n(m));
    return addr_at(m->dropped, m->dropped6, i);
}

static void put_addrs(struct bencode_out *o, const char *key, const struct addr *a, uint32_t n)
{
    const size_t unit = n != 0 && a[0].family == ADDR_IPV6 ? LEN6 : LEN4;
    bencode_put_key(o, slice_str(key));
    bencode_put_str_head(o, n * unit);
    for (uint32_t i = 0; i < n; i++) {
        wr_bytes(o->w, addr_ip(&a[i]));
        wr_be16(o->w, a[i].port);
    }
}

// The addresses of one family, and their flags.
static uint32_t pick(const struct ut_pex_news *news, enum addr_family family, struct addr *out, uint8_t *flags)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < news->added_n; i++) {
        if (news->added[i].addr.family != family)
            continue;
        flags[n] = news->added[i].flags;
        out[n++] = news->added[i].addr;
    }
    return n;
}

static uint32_t pick_dropped(const struct ut_pex_news *news, enum addr_family family, struct addr *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < news->dropped_n; i++)
        if (news->dropped[i].family == family)
            out[n++] = news->dropped[i];
    return n;
}

static void write_dictionary(struct wr *w, const struct ut_pex_news *news)
{
    struct bencode_out o;
    struct addr list[UT_PEX_ADDED_MAX];
    uint8_t flags[UT_PEX_ADDED_MAX];
    bencode_out_init(&o, w);
    bencode_put_dict(&o);
    uint32_t n = pick(news, ADDR_IPV4, list, flags);
    put_addrs(&o, "added", list, n);
    bencode_put_key_str(&o, "added.f", slice_of(flags, n));
    n = pick(news, ADDR_IPV6, list, flags);
    put_addrs(&o, "added6", list, n);
    bencode_put_key_str(&o, "added6.f", slice_of(flags, n));
    n = pick_dropped(news, ADDR_IPV4, list);
    put_addrs(&o, "dropped", list, n);
    n = pick_dropped(news, ADDR_IPV6, list);
    put_addrs(&o, "dropped6", list, n);
    bencode_put_end(&o);
}

void ut_pex_write(struct wr *w, uint8_t id, const struct ut_pex_news *news)
{
    uint8_t space[UT_PEX_MESSAGE_MAX];
    struct buf b = {space, 0, sizeof space};
    struct wr dictionary = wr_make(&b);
    ASSERT(news->added_n <= UT_PEX_ADDED_MAX);
    ASSERT(news->dropped_n <= UT_PEX_ADDED_MAX);
    write_dictionary(&dictionary, news);
    ASSERT(dictionary.ok);
    peer_msg_write(w, &(struct peer_msg){.id = MSG_EXTENDED, .extended_id = id, .payload = buf_slice(&b)});
}
