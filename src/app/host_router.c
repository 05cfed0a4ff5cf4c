// The router: requests of the node go to a worker of their own, because they take seconds.
#include <stdlib.h>

#include "app/host_parts.h"
#include "plat/mapper.h"

struct map_job {
    struct job job;
    struct host *h;
    struct mapper *mapper;
    struct map_request request;
    char from[ADDR_TEXT_MAX];
    struct map_answer answer;
    enum err err;
};

static void run(struct job *job, uint8_t *(*scratch)(void))
{
    struct map_job *j = CONTAINER(job, struct map_job, job);
    (void)scratch;
    j->err = mapper_map(j->mapper, &j->request, &j->answer);
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

static enum err start(struct host *h)
{
    enum err e = h->mapper != NULL ? ERR_OK : mapper_new(&h->mapper);
    if (e == ERR_OK && h->router == NULL)
        e = pool_new(&h->router, h->jobs, 1, "kith-router", POOL_LEAVES);
    return e;
}

void router_done(struct host *h)
{
    // Nobody waits for a router that is being looked for; then the mapper is left to the worker, and to the end of the process.
    const bool idle = h->router == NULL || pool_pending(h->router) == 0;
    pool_free(h->router);
    if (idle)
        mapper_free(h->mapper);
}

void router_ask(struct host *h, const struct node_map *m)
{
    const struct addr none = {0};
    struct map_job *j = start(h) == ERR_OK ? calloc(1, sizeof *j) : NULL;
    if (j == NULL) {
        node_mapped(h->node, loop_now(h->loop), m->udp, ERR_NOMEM, &none, 0);
        return;
    }
    *j = (struct map_job){.job = {.run = run, .done = on_done, .drop = on_drop}, .h = h, .mapper = h->mapper};
    j->request = (struct map_request){.udp = m->udp, .port = m->port, .external = m->external, .lifetime_s = m->lifetime_s};
    if (h->from.family == ADDR_IPV4 && !addr_is_any(&h->from))
        j->request.from = addr_format_ip(&h->from, j->from);
    pool_push(h->router, &j->job);
}
