// The router: requests of the node go to a worker of their own, because they take seconds. PCP first, then what libraries speak:
// NAT-PMP and UPnP.
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "app/host_parts.h"
#include "engine/reach/pcp.h"
#include "plat/gateway.h"
#include "plat/mapper.h"

struct router {
    struct mapper *mapper;
    bool use_mapper;                    // it answered last
    uint8_t nonce[PCP_NONCE_LEN];       // of all our mappings
};

struct map_job {
    struct job job;
    struct host *h;
    struct router *router;
    struct map_request request;
    char from[ADDR_TEXT_MAX];
    struct map_answer answer;
    enum err err;
};

static void talk(struct pcp *p, int fd)
{
    uint8_t space[PCP_MAP_LEN] = {0}, heard[PCP_MESSAGE_MAX] = {0};
    for (;;) {
        struct buf tx = {space, 0, sizeof space}, rx = {heard, 0, sizeof heard};
        const nsec now = gateway_now();
        if (pcp_next(p, now, &tx) == PCP_OVER)
            return;
        const enum err e = gateway_ask(fd, buf_slice(&tx), u64_sub_sat(p->at, now), &rx);
        if (e == ERR_OK)
            pcp_input(p, buf_slice(&rx));
        if (e == ERR_REFUSED)
            return;                     // nobody listens there: no need to wait
    }
}

// ERR_…: it did not, whatever the cause; the mapper's turn.
static enum err by_pcp(const struct router *r, const struct map_request *q, struct map_answer *out)
{
    struct addr gateway;
    int fd = -1;
    struct pcp_map ask = {.udp = q->udp, .port = q->port, .lifetime_s = q->lifetime_s};
    enum err e = gateway_find(&gateway);
    gateway.port = PCP_PORT;
    if (e == ERR_OK)
        e = gateway_open(&gateway, q->from, &fd, &ask.client);
    if (e != ERR_OK)
        return e;
    memcpy(ask.nonce, r->nonce, sizeof ask.nonce);
    ask.external.port = q->lifetime_s == 0 ? 0 : q->external;
    struct pcp p;
    pcp_begin(&p, &ask, gateway_now());
    talk(&p, fd);
    (void)close(fd);
    if (!p.over)
        return ERR_REFUSED;
    if (p.err == ERR_OK)
        *out = (struct map_answer){.external = p.got.external, .lifetime_s = p.got.lifetime_s};
    return p.err;
}

// What answered last is asked first.
static void run(struct job *job, uint8_t *(*scratch)(void))
{
    struct map_job *j = CONTAINER(job, struct map_job, job);
    struct router *r = j->router;
    (void)scratch;
    j->err = ERR_UNREACHABLE;
    if (!r->use_mapper)
        j->err = by_pcp(r, &j->request, &j->answer);
    if (j->err == ERR_OK)
        return;
    j->err = mapper_map(r->mapper, &j->request, &j->answer);
    r->use_mapper = j->err == ERR_OK;
}

static void on_drop(struct job *job) { free(CONTAINER(job, struct map_job, job)); }

static void on_done(struct job *job)
{
    struct map_job *j = CONTAINER(job, struct map_job, job);
    struct host *h = j->h;
    node_mapped(h->node, loop_now(h->loop), j->request.udp, j->err, &j->answer.external, j->answer.lifetime_s);
    free(j);
    host_turn_node(h);
}

static void router_free(struct router *r)
{
    if (r == NULL)
        return;
    mapper_free(r->mapper);
    free(r);
}

static enum err router_new(struct router **out)
{
    struct router *r = calloc(1, sizeof *r);
    if (r == NULL)
        return ERR_NOMEM;
    (void)!getrandom(r->nonce, sizeof r->nonce, 0);     // never fails for so few bytes on a machine that is up
    const enum err e = mapper_new(&r->mapper);
    if (e != ERR_OK) {
        free(r);
        return e;
    }
    *out = r;
    return ERR_OK;
}

static enum err start(struct host *h)
{
    enum err e = h->router != NULL ? ERR_OK : router_new(&h->router);
    if (e == ERR_OK && h->router_worker == NULL)
        e = pool_new(&h->router_worker, h->jobs, 1, "kith-router", POOL_LEAVES);
    return e;
}

void router_done(struct host *h)
{
    // Nobody waits for a router that is being looked for; then all this is left to the worker, and to the end of the process.
    const bool idle = h->router_worker == NULL || pool_pending(h->router_worker) == 0;
    pool_free(h->router_worker);
    if (idle)
        router_free(h->router);
}

void router_ask(struct host *h, const struct node_map *m)
{
    const struct addr none = {0};
    struct map_job *j = start(h) == ERR_OK ? calloc(1, sizeof *j) : NULL;
    if (j == NULL) {
        node_mapped(h->node, loop_now(h->loop), m->udp, ERR_NOMEM, &none, 0);
        return;
    }
    *j = (struct map_job){.job = {.run = run, .done = on_done, .drop = on_drop}, .h = h, .router = h->router};
    j->request = (struct map_request){.udp = m->udp, .port = m->port, .external = m->external, .lifetime_s = m->lifetime_s};
    if (h->from.family == ADDR_IPV4 && !addr_is_any(&h->from))
        j->request.from = addr_format_ip(&h->from, j->from);
    pool_push(h->router_worker, &j->job);
}
