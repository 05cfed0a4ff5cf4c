// --peer HOST:PORT. See session.h.
#include "app/fileio.h"
#include "app/names.h"
#include "app/session.h"
#include "base/ranges.h"

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
        return talk_fail(&a->talk, FAIL_DNS, "check the name and the network", "--peer %s: %s", peer, names_why(e));
    int status = 0;
    for (uint32_t i = 0; i < found_n && status == 0; i++) {
        found[i].port = (uint16_t)port;
        status = append(a, list, &found[i]);
    }
    return status;
}

// They stay in the list: the node leaves out whoever is blocked, from wherever it hears of him.
static void say_blocked(struct app *a, const struct ranges *blocked, const struct peer_list *list, uint32_t first, const char *text)
{
    for (uint32_t i = first; i < list->n && blocked != NULL; i++) {
        char addr[ADDR_TEXT_MAX], as[ADDR_TEXT_MAX + 8] = "";
        if (!ranges_has(blocked, &list->items[i]))
            continue;
        if (strcmp(addr_format(&list->items[i], addr), text) != 0)
            (void)snprintf(as, sizeof as, " (%s)", addr);
        talk_warn(&a->talk, "--peer %s%s is in the blocklist: it is left out", text, as);
    }
}

int session_peers(struct app *a, const struct ranges *blocked, struct peer_list *out)
{
    int status = 0;
    for (uint32_t i = 0; i < a->options.peers.n && status == 0; i++) {
        const char *const text = a->options.peers.items[i];
        struct addr peer;
        const uint32_t before = out->n;
        if (addr_parse(slice_str(text), 0, &peer) == ERR_OK && peer.port != 0)
            status = append(a, out, &peer);
        else
            status = resolve(a, text, out);
        say_blocked(a, blocked, out, before, text);
    }
    return status;
}
