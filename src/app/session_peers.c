// --peer HOST:PORT. See session.h.
#include "app/fileio.h"
#include "app/names.h"
#include "app/session.h"

enum { HOST_MAX = 256 };

static int append(struct app *a, struct peer_list *list, const struct addr *peer)
{
    void *items = list->items;
    const enum err e = mem_grow(&app_mem, &items, &list->cap, list->n + 1, SESSION_PEERS_MAX, sizeof *list->items);
    list->items = items;
    if (e == ERR_FULL)
        return talk_fail(&a->talk, FAIL_USAGE, NULL, "--peer: more than %d addresses", SESSION_PEERS_MAX);
    if (e != ERR_OK)
        return talk_fail(&a->talk, FAIL_INTERNAL, NULL, "out of memory");
    list->items[list->n++] = *peer;
    return 0;
}

static int resolve(struct app *a, const char *peer, struct peer_list *list)
{
    char host[HOST_MAX];
    uint64_t port = 0;
    const char *const colon = strrchr(peer, ':');
    ASSERT(colon != NULL);              // options_check
    const size_t n = (size_t)(colon - peer);
    if (n >= sizeof host || dec_parse(slice_str(colon + 1), UINT16_MAX, &port) != ERR_OK)
        return talk_fail(&a->talk, FAIL_USAGE, "give its address", "--peer %.100s...: the name is too long", peer);
    memcpy(host, peer, n);
    host[n] = 0;
    struct addr found[RESOLVE_ADDRS_MAX];
    uint32_t found_n = 0;
    const enum err e = names_resolve(a->options.interface, slice_str(host), found, &found_n);
    if (e != ERR_OK)
        return talk_fail(&a->talk, FAIL_DNS, "check the name", "--peer %s: %s", peer, e == ERR_NOT_FOUND ? "no such name" : err_text(e));
    int status = 0;
    for (uint32_t i = 0; i < found_n && status == 0; i++) {
        found[i].port = (uint16_t)port;
        status = append(a, list, &found[i]);
    }
    return status;
}

int session_peers(struct app *a, struct peer_list *out)
{
    int status = 0;
    for (uint32_t i = 0; i < a->options.peers.n && status == 0; i++) {
        const char *const text = a->options.peers.items[i];
        struct addr peer;
        if (addr_parse(slice_str(text), 0, &peer) == ERR_OK && peer.port != 0)
            status = append(a, out, &peer);
        else
            status = resolve(a, text, out);
    }
    return status;
}
