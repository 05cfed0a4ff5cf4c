// Port mapping with libnatpmp and libminiupnpc: see mapper.h.
#include "plat/mapper.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>

#ifdef KITH_NATPMP
#include <natpmp.h>
#endif
#ifdef KITH_MINIUPNPC
#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <miniupnpc/upnperrors.h>
#endif

struct mapper {
    bool use_upnp;                      // answered last
#ifdef KITH_MINIUPNPC
    bool found;                         // the next three are valid
    struct UPNPUrls urls;
    struct IGDdatas data;
    char own[64];
#endif
};

enum err mapper_new(struct mapper **out)
{
    struct mapper *m = calloc(1, sizeof *m);
    if (m == NULL)
        return ERR_NOMEM;
    *out = m;
    return ERR_OK;
}

#ifdef KITH_NATPMP
// The answer to what was sent, with the repeats of RFC 6886 section 3.1 as far as MAPPER_NATPMP_MS goes.
static enum err natpmp_answer(natpmp_t *p, natpmpresp_t *out)
{
    struct timeval start, now, wait;
    (void)gettimeofday(&start, NULL);
    for (;;) {
        fd_set fds;
        FD_ZERO(&fds);
        FD_SET(p->s, &fds);
        if (getnatpmprequesttimeout(p, &wait) < 0)
            return ERR_UNREACHABLE;
        (void)select(p->s + 1, &fds, NULL, NULL, &wait);
        const int got = readnatpmpresponseorretry(p, out);
        if (got >= 0)
            return ERR_OK;
        if (got != NATPMP_TRYAGAIN)
            return got <= NATPMP_ERR_NOTAUTHORIZED && got > NATPMP_TRYAGAIN ? ERR_REFUSED : ERR_UNREACHABLE;
        (void)gettimeofday(&now, NULL);
        if ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_usec - start.tv_usec) / 1000 > MAPPER_NATPMP_MS)
            return ERR_UNREACHABLE;
    }
}

static enum err by_natpmp(const struct map_request *r, struct map_answer *out)
{
    natpmp_t p;
    natpmpresp_t resp = {0}, pub = {0};
    if (initnatpmp(&p, 0, 0) < 0)
        return ERR_UNREACHABLE;
    enum err e = ERR_UNREACHABLE;
    if (sendnewportmappingrequest(&p, r->udp ? NATPMP_PROTOCOL_UDP : NATPMP_PROTOCOL_TCP, r->port, r->lifetime_s != 0 ? r->external : 0,
            r->lifetime_s) >= 0)
        e = natpmp_answer(&p, &resp);
    struct map_answer a = {.external = {.family = ADDR_IPV4}};
    if (e == ERR_OK && r->lifetime_s != 0 && sendpublicaddressrequest(&p) >= 0 && natpmp_answer(&p, &pub) == ERR_OK)
        memcpy(a.external.ip, &pub.pnu.publicaddress.addr, 4);
    (void)closenatpmp(&p);
    if (e != ERR_OK)
        return e;
    a.external.port = resp.pnu.newportmapping.mappedpublicport;
    a.lifetime_s = resp.pnu.newportmapping.lifetime;
    *out = a;
    return ERR_OK;
}
#else
static enum err by_natpmp(const struct map_request *r, struct map_answer *out)
{
    (void)r;
    (void)out;
    return ERR_UNSUPPORTED;
}
#endif

#ifdef KITH_MINIUPNPC
static void forget(struct mapper *m)
{
    if (m->found)
        FreeUPNPUrls(&m->urls);
    m->found = false;
}

static bool find(struct mapper *m, const char *from)
{
    int error = 0;
    struct UPNPDev *const all = upnpDiscover(MAPPER_DISCOVER_MS, from, NULL, UPNP_LOCAL_PORT_ANY, 0, 2, &error);
    if (all == NULL)
        return false;
    const int kind = UPNP_GetValidIGD(all, &m->urls, &m->data, m->own, sizeof m->own);
    freeUPNPDevlist(all);
    m->found = kind == 1 || kind == 2;
    if (kind != 0 && !m->found)
        FreeUPNPUrls(&m->urls);
    return m->found;
}

// One request for one external port; UPnP's number of an error, 0: done.
static int add(const struct mapper *m, const struct map_request *r, uint16_t external, uint32_t lifetime_s)
{
    char ext[8], own[8], lease[12];
    (void)snprintf(ext, sizeof ext, "%u", external);
    (void)snprintf(own, sizeof own, "%u", r->port);
    (void)snprintf(lease, sizeof lease, "%u", lifetime_s);
    return UPNP_AddPortMapping(m->urls.controlURL, m->data.first.servicetype, ext, own, m->own, "kith", r->udp ? "UDP" : "TCP", NULL, lease);
}

static enum err by_upnp(struct mapper *m, const struct map_request *r, struct map_answer *out)
{
    enum { CONFLICT = 718, ONLY_PERMANENT = 725 };
    if (!m->found && !find(m, r->from))
        return ERR_UNREACHABLE;
    struct map_answer a = {.external = {.family = ADDR_IPV4, .port = r->external}, .lifetime_s = r->lifetime_s};
    if (r->lifetime_s == 0) {
        char ext[8];
        (void)snprintf(ext, sizeof ext, "%u", r->external);
        (void)UPNP_DeletePortMapping(m->urls.controlURL, m->data.first.servicetype, ext, r->udp ? "UDP" : "TCP", NULL);
        *out = a;
        return ERR_OK;
    }
    int code = CONFLICT;
    uint32_t lifetime_s = r->lifetime_s;
    for (uint32_t i = 0; i < MAPPER_TRIES && code != 0; i++) {
        a.external.port = (uint16_t)(r->external + i < UINT16_MAX ? r->external + i : r->external - i);
        code = add(m, r, a.external.port, lifetime_s);
        if (code == ONLY_PERMANENT && lifetime_s != 0) {
            lifetime_s = 0;             // renewed all the same: the router may start anew
            code = add(m, r, a.external.port, 0);
        }
        if (code != 0 && code != CONFLICT)
            break;
    }
    if (code != 0) {
        forget(m);                      // it may be another one next time
        return code > 0 ? ERR_REFUSED : ERR_UNREACHABLE;
    }
    char ip[40] = "";
    if (UPNP_GetExternalIPAddress(m->urls.controlURL, m->data.first.servicetype, ip) == 0)
        (void)inet_pton(AF_INET, ip, a.external.ip);
    *out = a;
    return ERR_OK;
}
#else
static void forget(struct mapper *m) { (void)m; }

static enum err by_upnp(struct mapper *m, const struct map_request *r, struct map_answer *out)
{
    (void)m;
    (void)r;
    (void)out;
    return ERR_UNSUPPORTED;
}
#endif

void mapper_free(struct mapper *m)
{
    if (m == NULL)
        return;
    forget(m);
    free(m);
}

enum err mapper_map(struct mapper *m, const struct map_request *r, struct map_answer *out)
{
    ASSERT(r->port != 0);
    enum err e = ERR_UNREACHABLE;
    if (!m->use_upnp)
        e = by_natpmp(r, out);
    if (e == ERR_OK)
        return e;
    e = by_upnp(m, r, out);
    // What answered is asked first; what went silent is not asked for ever.
    m->use_upnp = e == ERR_OK;
    return e;
}
