// The resolver that stays on its device: see names.h.
#include "app/names.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "codec/dns.h"
#include "plat/net.h"

enum { DNS_PORT = 53, LINE_LEN = 512, QUESTIONS = 2 };

static const uint16_t TYPES[QUESTIONS] = {DNS_A, DNS_AAAA};

struct asking {
    struct slice name;
    int fd;
    uint16_t ids[QUESTIONS];
    bool answered[QUESTIONS], no_name;
    struct addr *out;
    uint32_t n;
};

static uint32_t read_servers(struct addr servers[NAMES_SERVERS_MAX])
{
    FILE *f = fopen("/etc/resolv.conf", "re");
    char line[LINE_LEN], address[ADDR_TEXT_MAX];
    uint32_t n = 0;
    while (f != NULL && n < NAMES_SERVERS_MAX && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, " nameserver %45s", address) == 1 && addr_parse(slice_str(address), DNS_PORT, &servers[n]) == ERR_OK)
            n++;
    if (f != NULL)
        (void)fclose(f);
    return n;
}

static enum err ask(struct asking *q, const struct addr *server)
{
    struct sockaddr_storage to;
    const socklen_t to_n = net_sockaddr(server, &to);
    // Connected: what others send does not reach us.
    if (connect(q->fd, (const struct sockaddr *)&to, to_n) != 0)
        return ERR_UNREACHABLE;
    for (size_t i = 0; i < QUESTIONS; i++) {
        uint8_t space[DNS_MESSAGE_MAX];
        struct buf b = {space, 0, sizeof space};
        struct wr w = wr_make(&b);
        if (q->answered[i])
            continue;
        if (getrandom(&q->ids[i], sizeof q->ids[i], 0) < 0)
            return ERR_IO;
        const enum err e = dns_question_write(&w, q->ids[i], q->name, TYPES[i]);
        if (e != ERR_OK)
            return e;
        if (send(q->fd, b.p, b.n, MSG_NOSIGNAL) < 0)
            return ERR_UNREACHABLE;
    }
    return ERR_OK;
}

static bool complete(const struct asking *q) { return q->answered[0] && q->answered[1]; }

static void take(struct asking *q, struct slice message)
{
    for (size_t i = 0; i < QUESTIONS; i++) {
        struct dns_answer a;
        if (q->answered[i] || dns_answer_parse(message, q->ids[i], q->name, TYPES[i], &a) != ERR_OK)
            continue;
        if (a.rcode != 0 && a.rcode != DNS_NAME_ERROR)
            return;                     // this server cannot: the next one may
        q->answered[i] = true;
        q->no_name = a.rcode == DNS_NAME_ERROR;
        for (uint32_t k = 0; k < a.n && q->n < RESOLVE_ADDRS_MAX; k++)
            q->out[q->n++] = a.addrs[k];
        return;
    }
}

static void wait_for(struct asking *q)
{
    struct pollfd p = {.fd = q->fd, .events = POLLIN};
    uint8_t space[DNS_MESSAGE_MAX];
    for (int i = 0; i < 8 && !complete(q) && poll(&p, 1, NAMES_WAIT_MS) == 1; i++) {
        const ssize_t got = recv(q->fd, space, sizeof space, MSG_DONTWAIT);
        if (got < 0)
            return;                     // refused: nobody listens there
        take(q, slice_of(space, (size_t)got));
    }
}

enum err names_resolve(const char *device, struct slice name, struct addr out[RESOLVE_ADDRS_MAX], uint32_t *out_n)
{
    if (device == NULL)
        return resolve_name(name, out, out_n);
    if (addr_parse(name, 0, &out[0]) == ERR_OK) {
        *out_n = 1;
        return ERR_OK;
    }
    struct addr servers[NAMES_SERVERS_MAX];
    const uint32_t servers_n = read_servers(servers);
    struct asking q = {.name = name, .out = out};
    enum err e = ERR_UNREACHABLE;
    for (uint32_t i = 0; i < NAMES_TRIES * servers_n && !complete(&q) && e != ERR_SYNTAX; i++) {
        const struct addr any = {.family = servers[i % servers_n].family};
        struct addr bound;
        e = net_udp(&any, device, &q.fd, &bound);
        if (e != ERR_OK)
            return e == ERR_NOT_FOUND ? ERR_UNREACHABLE : e;
        e = ask(&q, &servers[i % servers_n]);
        if (e == ERR_OK)
            wait_for(&q);
        (void)close(q.fd);
    }
    *out_n = q.n;
    if (q.n != 0)
        return ERR_OK;
    return complete(&q) || q.no_name ? ERR_NOT_FOUND : e == ERR_OK ? ERR_AGAIN : e;
}

const char *names_why(enum err e)
{
    if (e == ERR_NOT_FOUND)
        return "no such name";
    return e == ERR_AGAIN || e == ERR_UNREACHABLE ? "no name server answers" : err_text(e);
}
