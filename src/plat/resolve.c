// getaddrinfo: see resolve.h.
#include "plat/resolve.h"

#include <netdb.h>
#include <sys/socket.h>

#include "plat/net.h"

static enum err err_of_gai(int r)
{
    if (r == EAI_MEMORY)
        return ERR_NOMEM;
    return r == EAI_NONAME || r == EAI_NODATA || r == EAI_ADDRFAMILY ? ERR_NOT_FOUND : ERR_AGAIN;
}

enum err resolve_name(struct slice name, struct addr out[RESOLVE_ADDRS_MAX], uint32_t *out_n)
{
    char text[RESOLVE_NAME_MAX + 1];
    if (name.n == 0 || name.n > RESOLVE_NAME_MAX || memchr(name.p, 0, name.n) != NULL)
        return ERR_SYNTAX;
    memcpy(text, name.p, name.n);
    text[name.n] = 0;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *list = NULL;
    int r = getaddrinfo(text, NULL, &hints, &list);
    if (r != 0) {
        // AI_ADDRCONFIG hides everything on a machine that has only loopback.
        const struct addrinfo all = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
        r = getaddrinfo(text, NULL, &all, &list);
    }
    if (r != 0)
        return err_of_gai(r);
    uint32_t n = 0;
    for (const struct addrinfo *a = list; a != NULL && n < RESOLVE_ADDRS_MAX; a = a->ai_next) {
        struct sockaddr_storage s = {0};
        memcpy(&s, a->ai_addr, size_min(a->ai_addrlen, sizeof s));
        if (net_addr_of(&s, &out[n]) == ERR_OK)
            n++;
    }
    freeaddrinfo(list);
    *out_n = n;
    return n == 0 ? ERR_NOT_FOUND : ERR_OK;
}
