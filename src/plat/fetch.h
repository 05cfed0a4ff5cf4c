// GET over HTTP and HTTPS, on the loop: libcurl's multi interface.
#pragma once
#include "plat/loop.h"
#include "base/addr.h"

struct fetcher;

enum {
    FETCH_TIMEOUT_S = 60,
    FETCH_REDIRECTS_MAX = 10,
    FETCH_URL_MAX = 8192,
    FETCH_RUNNING_MAX = 64,             // more wait inside libcurl
    FETCH_PER_HOST_MAX = 4,
};

struct fetcher_config {
    const char *from;                   // an address of this machine to leave from; NULL: any
    const char *device;                 // a device ("eth1") to leave by; NULL: any. Then no name is resolved here: fetcher_get wants
                                        // the addresses, and a redirection goes back to the owner
    const char *proxy;                  // a URL for libcurl, socks5h://…; NULL: none. It resolves all names
    size_t body_max;                    // bytes after decompression; more: ERR_TOO_LONG
    // body is lent for the call. status: of HTTP, 0 if there was none. May start other fetches.
    // ERR_UNREACHABLE: no such host or no route; ERR_REFUSED, ERR_TIMEOUT, ERR_TOO_LONG, ERR_CLOSED, ERR_PROTOCOL, ERR_IO.
    // A status of 400 and above is ERR_OK: the caller judges it.
    void (*done)(void *ctx, uint32_t id, enum err e, int status, struct slice body);
    // Only with `device`: instead of done; the owner fetches `url` or gives up. hops: redirections so far, this one included.
    void (*redirected)(void *ctx, uint32_t id, struct slice url, enum addr_family family, uint32_t hops);
    void *ctx;
};

// Where a host is, found by the owner.
struct fetch_pin {
    struct slice host;
    uint16_t port;
    const struct addr *addrs;
    uint32_t addrs_n;
    uint32_t hops;
};

// Strings of cfg are copied. ERR_NOMEM; ERR_IO: libcurl cannot start.
MUST_USE enum err fetcher_new(struct fetcher **out, struct loop *l, const struct fetcher_config *cfg);
// Running fetches end without `done`.
void fetcher_free(struct fetcher *f);
// Over one address family, ADDR_NONE: any. Always answered by `done`, never from inside this call, if ERR_OK.
// ERR_SYNTAX: empty, too long, or a NUL; ERR_NOMEM.
// pin: NULL unless the fetcher has a device.
MUST_USE enum err fetcher_get(struct fetcher *f, uint32_t id, struct slice url, enum addr_family family, const struct fetch_pin *pin);
