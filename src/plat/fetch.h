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
    const char *device;                 // a device ("eth1") or an address of this machine to leave from; NULL: any
    size_t body_max;                    // bytes after decompression; more: ERR_TOO_LONG
    // body is lent for the call. status: of HTTP, 0 if there was none. May start other fetches.
    // ERR_UNREACHABLE: no such host or no route; ERR_REFUSED, ERR_TIMEOUT, ERR_TOO_LONG, ERR_CLOSED, ERR_PROTOCOL, ERR_IO.
    // A status of 400 and above is ERR_OK: the caller judges it.
    void (*done)(void *ctx, uint32_t id, enum err e, int status, struct slice body);
    void *ctx;
};

// Strings of cfg are copied. ERR_NOMEM; ERR_IO: libcurl cannot start.
MUST_USE enum err fetcher_new(struct fetcher **out, struct loop *l, const struct fetcher_config *cfg);
// Running fetches end without `done`.
void fetcher_free(struct fetcher *f);
// Over one address family, ADDR_NONE: any. Always answered by `done`, never from inside this call, if ERR_OK.
// ERR_SYNTAX: empty, too long, or a NUL; ERR_NOMEM.
MUST_USE enum err fetcher_get(struct fetcher *f, uint32_t id, struct slice url, enum addr_family family);
