// GET over HTTP and HTTPS (and FTP for ranges of files), on the loop: libcurl's multi interface.
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
    FETCH_SILENT_S = 30,                // a stream that brings nothing for so long, and is not paused, is over
    FETCH_HEAD_MAX = 16 * 1024,         // bytes of an answer's header lines; what is longer is cut
    FETCH_READ_BYTES = 256 * 1024,      // of a stream, in one system call
};

#define FETCH_TO_END UINT64_MAX

// Where a host is, found by the owner.
struct fetch_pin {
    struct slice host;
    uint16_t port;
    const struct addr *addrs;
    uint32_t addrs_n;
};

struct fetch_want {
    uint32_t id;                        // comes back; not 0, and of nothing else that runs
    struct slice url;
    enum addr_family family;            // over this family only; ADDR_NONE: any
    bool stream;                        // head and rx instead of a body that is kept; http, https, ftp, ftps
    bool ranged;                        // stream: only bytes off … off + len - 1
    uint64_t off, len;                  // len FETCH_TO_END: to the end
    bool probe;                         // FTP: only the size, no bytes
    uint32_t hops;                      // redirections that led here; 0 at first
    const struct fetch_pin *pin;        // NULL unless the fetcher has a device
};

struct fetcher_config {
    const char *from;                   // an address of this machine to leave from; NULL: any
    const char *device;                 // a device ("eth1") to leave by; NULL: any. Then no name is resolved here: fetcher_get wants
                                        // the addresses, and a redirection goes back to the owner
    const char *proxy;                  // a URL for libcurl, socks5h://…; NULL: none. It resolves all names
    size_t body_max;                    // bytes after decompression; more: ERR_TOO_LONG
    // body is lent for the call. status: of HTTP, 0 if there was none. May start other fetches.
    // ERR_UNREACHABLE: no such host or no route; ERR_PROXY: the proxy, not what is behind it;
    // ERR_REFUSED, ERR_TIMEOUT, ERR_TOO_LONG, ERR_CLOSED, ERR_PROTOCOL, ERR_IO.
    // A status of 400 and above is ERR_OK: the caller judges it.
    void (*done)(void *ctx, uint32_t id, enum err e, int status, struct slice body);
    // Only with `device`: instead of done; the owner fetches `next` (without a pin; borrowed for the call) or gives up.
    void (*redirected)(void *ctx, const struct fetch_want *next);
    // Streams. The header lines of the answer that counts, once, before its first byte. An FTP server's answer is put into
    // such words, status 206.
    void (*head)(void *ctx, uint32_t id, int status, struct slice lines);
    // Bytes of a body, lent for the call; returns how many were taken. Fewer than all: the stream rests until fetcher_resume.
    // Neither of the two may call the fetcher.
    size_t (*rx)(void *ctx, uint32_t id, struct slice data);
    void *ctx;
};

// Strings of cfg are copied. ERR_NOMEM; ERR_IO: libcurl cannot start.
MUST_USE enum err fetcher_new(struct fetcher **out, struct loop *l, const struct fetcher_config *cfg);
// Running fetches end without `done`.
void fetcher_free(struct fetcher *f);
// Always answered by `done`, never from inside this call, if ERR_OK. A stream's `done` has no body; a status of 400 and above
// ends it before its first byte, with ERR_OK. ERR_SYNTAX: empty, too long, or a NUL; ERR_PROTOCOL: too many redirections;
// ERR_NOMEM.
MUST_USE enum err fetcher_get(struct fetcher *f, const struct fetch_want *want);
// A stream that took less than it was offered takes again. May call rx. Harmless for an id that is not there, as is the next.
void fetcher_resume(struct fetcher *f, uint32_t id);
// Nothing is heard of it any more.
void fetcher_cancel(struct fetcher *f, uint32_t id);
