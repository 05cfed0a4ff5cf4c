// libcurl on the loop: see fetch.h.
#include "plat/fetch.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/list.h"

struct fetcher {
    struct loop *l;
    CURLM *multi;
    struct timer *timer;
    struct fetcher_config cfg;
    char *from, *device, *proxy;
    struct list running;                // of fetch.link
};

struct fetch {
    struct fetcher *f;
    struct list link;
    uint32_t id;
    CURL *easy;
    struct curl_slist *pin;
    struct fetch_want want;             // url and pin are gone
    bool too_long, ftp, head_told, paused, moved;   // moved: the owner follows
    size_t taken;                       // of the chunk that libcurl keeps for us while paused
    struct buf body;
    struct buf head;
};

// A socket that libcurl wants watched.
struct fetch_socket {
    struct fetcher *f;
    struct watch *w;
    curl_socket_t fd;
};

static enum err err_of_curl(CURLcode c)
{
    static const struct {
        CURLcode code;
        enum err err;
    } TABLE[] = {
        {CURLE_OK, ERR_OK},
        {CURLE_COULDNT_RESOLVE_HOST, ERR_UNREACHABLE},
        {CURLE_COULDNT_RESOLVE_PROXY, ERR_UNREACHABLE},
        {CURLE_INTERFACE_FAILED, ERR_UNREACHABLE},
        {CURLE_ABORTED_BY_CALLBACK, ERR_UNREACHABLE},   // bind_device
        {CURLE_COULDNT_CONNECT, ERR_REFUSED},
        {CURLE_OPERATION_TIMEDOUT, ERR_TIMEOUT},
        {CURLE_FILESIZE_EXCEEDED, ERR_TOO_LONG},
        {CURLE_WRITE_ERROR, ERR_TOO_LONG},
        {CURLE_OUT_OF_MEMORY, ERR_NOMEM},
        {CURLE_GOT_NOTHING, ERR_CLOSED},
        {CURLE_PARTIAL_FILE, ERR_CLOSED},
        {CURLE_RECV_ERROR, ERR_CLOSED},
        {CURLE_SEND_ERROR, ERR_CLOSED},
        {CURLE_UNSUPPORTED_PROTOCOL, ERR_UNSUPPORTED},
        {CURLE_URL_MALFORMAT, ERR_SYNTAX},
        {CURLE_PEER_FAILED_VERIFICATION, ERR_ACCESS},
        {CURLE_TOO_MANY_REDIRECTS, ERR_PROTOCOL},
        {CURLE_WEIRD_SERVER_REPLY, ERR_PROTOCOL},
        {CURLE_BAD_CONTENT_ENCODING, ERR_PROTOCOL},
        {CURLE_HTTP_RETURNED_ERROR, ERR_OK},
        {CURLE_REMOTE_FILE_NOT_FOUND, ERR_NOT_FOUND},
        {CURLE_REMOTE_ACCESS_DENIED, ERR_NOT_FOUND},
        {CURLE_FTP_COULDNT_RETR_FILE, ERR_NOT_FOUND},
        {CURLE_LOGIN_DENIED, ERR_ACCESS},
    };
    for (size_t i = 0; i < ARRAY_LEN(TABLE); i++) {
        if (TABLE[i].code == c)
            return TABLE[i].err;
    }
    return ERR_IO;
}

// What a proxy says of the other side is as if there were none; all else is the proxy's.
static enum err err_of_proxy(CURL *easy)
{
    long why = 0;
    (void)curl_easy_getinfo(easy, CURLINFO_PROXY_ERROR, &why);
    switch (why) {
    case CURLPX_REPLY_CONNECTION_REFUSED:
    case CURLPX_REPLY_GENERAL_SERVER_FAILURE: return ERR_REFUSED;
    case CURLPX_REPLY_HOST_UNREACHABLE:
    case CURLPX_REPLY_NETWORK_UNREACHABLE:
    case CURLPX_RESOLVE_HOST: return ERR_UNREACHABLE;
    case CURLPX_REPLY_TTL_EXPIRED: return ERR_TIMEOUT;
    default: return ERR_PROXY;
    }
}

static enum err outcome(const struct fetch *t, CURLcode code)
{
    if (t->too_long)
        return ERR_TOO_LONG;
    if (code == CURLE_PROXY)
        return err_of_proxy(t->easy);
    // With a proxy it is the only one that we connect to.
    const bool at_it = code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_PROXY;
    return at_it && t->f->proxy != NULL ? ERR_PROXY : err_of_curl(code);
}

static void fetch_free(struct fetch *t)
{
    (void)curl_multi_remove_handle(t->f->multi, t->easy);
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->pin);
    list_remove(&t->link);
    free(t->body.p);
    free(t->head.p);
    free(t);
}

// libcurl's resolver cannot be bound to a device, so it gets no names to resolve there; a proxy resolves them elsewhere.
static bool owner_follows(const struct fetcher *f) { return f->device != NULL && f->proxy == NULL; }

static void head_add(struct fetch *t, const char *data, size_t n)
{
    if (n > FETCH_HEAD_MAX - t->head.n)
        return;
    if (t->head.p == NULL)
        t->head = (struct buf){malloc(FETCH_HEAD_MAX), 0, FETCH_HEAD_MAX};
    if (t->head.p == NULL) {
        t->head = (struct buf){0};
        return;
    }
    memcpy(t->head.p + t->head.n, data, n);
    t->head.n += n;
}

// What an HTTP server would have said. libcurl itself writes such lines for a probe of FTP.
static int ftp_head(struct fetch *t, bool failed)
{
    char line[128];
    if (failed)
        return 0;
    if (t->want.ranged && !t->want.probe && t->want.len != FETCH_TO_END && t->want.len != 0) {
        const int n = snprintf(line, sizeof line, "Content-Range: bytes %llu-%llu/*\r\n", (unsigned long long)t->want.off,
            (unsigned long long)(t->want.off + t->want.len - 1));
        head_add(t, line, (size_t)n);
        return 206;
    }
    return 200;
}

static void tell_head(struct fetch *t, bool failed)
{
    long status = 0;
    if (t->head_told || !t->want.stream)
        return;
    t->head_told = true;
    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    t->moved = owner_follows(t->f) && !t->ftp && status >= 300 && status < 400;
    if (t->moved)
        return;                         // that answer does not count
    if (t->ftp)
        status = ftp_head(t, failed);
    if (status != 0)
        t->f->cfg.head(t->f->cfg.ctx, t->id, (int)status, buf_slice(&t->head));
}

// A header line. The lines of answers that only redirect make way for those of the next.
static size_t line_arrived(char *data, size_t size, size_t count, void *ctx)
{
    struct fetch *t = ctx;
    const size_t n = size * count;
    if (t->ftp && n >= 4 && data[0] >= '1' && data[0] <= '5')
        return n;                       // a server's own words
    if (n >= 5 && memcmp(data, "HTTP/", 5) == 0)
        t->head.n = 0;
    head_add(t, data, n);
    return n;
}

// libcurl offers a chunk that was not taken again, from its beginning.
static size_t stream_arrived(char *data, size_t size, size_t count, void *ctx)
{
    struct fetch *t = ctx;
    const size_t n = size * count;
    if (t->ftp && t->want.probe)
        return n;                       // libcurl's own words
    tell_head(t, false);
    if (t->moved)
        return n;
    ASSERT(t->taken <= n);
    t->taken += t->f->cfg.rx(t->f->cfg.ctx, t->id, slice_of(data + t->taken, n - t->taken));
    ASSERT(t->taken <= n);
    t->paused = t->taken < n;
    if (t->paused)
        return CURL_WRITEFUNC_PAUSE;
    t->taken = 0;
    return n;
}

static void collect(struct fetcher *f)
{
    int left = 0;
    for (CURLMsg *m = curl_multi_info_read(f->multi, &left); m != NULL; m = curl_multi_info_read(f->multi, &left)) {
        if (m->msg != CURLMSG_DONE)
            continue;
        char *priv = NULL;
        long status = 0;
        const CURLcode code = m->data.result;
        CURL *easy = m->easy_handle;
        (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &priv);
        (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        struct fetch *t = (struct fetch *)(void *)priv;
        const enum err e = outcome(t, code);
        tell_head(t, code != CURLE_OK);
        char *next = NULL;
        (void)curl_easy_getinfo(easy, CURLINFO_REDIRECT_URL, &next);
        if (e == ERR_OK && next != NULL && owner_follows(f)) {
            struct fetch_want again = t->want;
            again.url = slice_str(next);
            again.hops++;
            f->cfg.redirected(f->cfg.ctx, &again);
        } else {
            f->cfg.done(f->cfg.ctx, t->id, e, (int)status, e == ERR_OK ? buf_slice(&t->body) : (struct slice){0});
        }
        fetch_free(t);
    }
}

static void act(struct fetcher *f, curl_socket_t fd, int bits)
{
    int running = 0;
    (void)curl_multi_socket_action(f->multi, fd, bits, &running);
    collect(f);
}

static void on_ready(void *ctx, unsigned ready)
{
    struct fetch_socket *s = ctx;
    act(s->f, s->fd, (ready & WATCH_READ ? CURL_CSELECT_IN : 0) | (ready & WATCH_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(void *ctx) { act(ctx, CURL_SOCKET_TIMEOUT, 0); }

static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *ctx, void *of_socket)
{
    (void)easy;
    struct fetcher *f = ctx;
    struct fetch_socket *s = of_socket;
    if (what == CURL_POLL_REMOVE) {
        if (s != NULL) {
            watch_free(s->w);
            free(s);
        }
        (void)curl_multi_assign(f->multi, fd, NULL);
        return 0;
    }
    if (s == NULL) {
        s = calloc(1, sizeof *s);
        if (s == NULL)
            return -1;
        *s = (struct fetch_socket){.f = f, .fd = fd};
        if (watch_new(&s->w, f->l, fd, on_ready, s) != ERR_OK) {
            free(s);
            return -1;
        }
        (void)curl_multi_assign(f->multi, fd, s);
    }
    watch_set(s->w, (what & CURL_POLL_IN ? WATCH_READ : 0u) | (what & CURL_POLL_OUT ? WATCH_WRITE : 0u));
    return 0;
}

static int timer_wanted(CURLM *multi, long ms, void *ctx)
{
    (void)multi;
    struct fetcher *f = ctx;
    timer_set(f->timer, ms < 0 ? NSEC_NEVER : loop_now(f->l) + (uint64_t)ms * NSEC_MS);
    return 0;
}

static size_t body_arrived(char *data, size_t size, size_t count, void *ctx)
{
    struct fetch *t = ctx;
    const size_t n = size * count;
    if (n > t->f->cfg.body_max - t->body.n) {
        t->too_long = true;
        return 0;
    }
    if (n > buf_room(&t->body)) {
        const size_t cap = (size_t)u64_max(t->body.n + n, t->body.cap * 2);
        uint8_t *p = realloc(t->body.p, cap);
        if (p == NULL)
            return 0;
        t->body.p = p;
        t->body.cap = cap;
    }
    memcpy(t->body.p + t->body.n, data, n);
    t->body.n += n;
    return n;
}

enum err fetcher_new(struct fetcher **out, struct loop *l, const struct fetcher_config *cfg)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return ERR_IO;
    struct fetcher *f = calloc(1, sizeof *f);
    if (f == NULL)
        return ERR_NOMEM;
    f->l = l;
    f->cfg = *cfg;
    list_init(&f->running);
    f->from = cfg->from == NULL ? NULL : strdup(cfg->from);
    f->device = cfg->device == NULL ? NULL : strdup(cfg->device);
    f->proxy = cfg->proxy == NULL ? NULL : strdup(cfg->proxy);
    f->multi = curl_multi_init();
    const bool copied = (cfg->from == NULL) == (f->from == NULL) && (cfg->device == NULL) == (f->device == NULL) &&
        (cfg->proxy == NULL) == (f->proxy == NULL);
    if (f->multi == NULL || !copied || timer_new(&f->timer, l, on_timer, f) != ERR_OK) {
        fetcher_free(f);
        return ERR_NOMEM;
    }
    (void)curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
    (void)curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f);
    (void)curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
    (void)curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, f);
    (void)curl_multi_setopt(f->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)FETCH_RUNNING_MAX);
    (void)curl_multi_setopt(f->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)FETCH_PER_HOST_MAX);
    *out = f;
    return ERR_OK;
}

void fetcher_free(struct fetcher *f)
{
    if (f == NULL)
        return;
    LIST_EACH(&f->running, link, save)
        fetch_free(CONTAINER(link, struct fetch, link));
    if (f->multi != NULL)
        (void)curl_multi_cleanup(f->multi);
    timer_free(f->timer);
    free(f->from);
    free(f->device);
    free(f->proxy);
    free(f);
}

// A socket that cannot be bound to the device is not used.
static int bind_device(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
    const char *const device = ctx;
    (void)purpose;
    return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) == 0 ? CURL_SOCKOPT_OK : CURL_SOCKOPT_ERROR;
}

// "host:port:address,address": libcurl need not resolve. ERR_NOMEM; ERR_NOT_FOUND: no address of the family.
static enum err pin_host(struct fetch *t, const struct fetch_pin *pin)
{
    char text[1024], ip[ADDR_TEXT_MAX];
    int n = snprintf(text, sizeof text, "%.*s:%u:", (int)size_min(pin->host.n, 300), (const char *)pin->host.p, pin->port);
    const int head = n;
    for (uint32_t i = 0; i < pin->addrs_n && (size_t)n + sizeof ip + 4 < sizeof text; i++) {
        const struct addr *a = &pin->addrs[i];
        const bool is_v6 = a->family == ADDR_IPV6;
        if (t->want.family == ADDR_NONE || t->want.family == (enum addr_family)a->family)
            n += snprintf(text + n, sizeof text - (size_t)n, is_v6 ? "%s[%s]" : "%s%s", n == head ? "" : ",", addr_format_ip(a, ip));
    }
    if (n == head)
        return ERR_NOT_FOUND;
    t->pin = curl_slist_append(NULL, text);
    if (t->pin == NULL)
        return ERR_NOMEM;
    (void)curl_easy_setopt(t->easy, CURLOPT_RESOLVE, t->pin);
    return ERR_OK;
}

static void set_body_options(struct fetch *t)
{
    CURL *c = t->easy;
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, body_arrived);
    (void)curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)FETCH_TIMEOUT_S);
    (void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)(FETCH_TIMEOUT_S / 2));
    (void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "gzip");
    (void)curl_easy_setopt(c, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)t->f->cfg.body_max);
}

static void set_stream_options(struct fetch *t, const struct fetch_want *want)
{
    CURL *c = t->easy;
    char range[64];
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, stream_arrived);
    (void)curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, line_arrived);
    (void)curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    (void)curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
    (void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)(FETCH_TIMEOUT_S / 4));
    (void)curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)FETCH_SILENT_S);
    (void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https,ftp,ftps");
    (void)curl_easy_setopt(c, CURLOPT_BUFFERSIZE, (long)FETCH_READ_BYTES);
    // Ranges of one file want connections of their own.
    (void)curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (t->ftp && want->probe) {
        (void)curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
        (void)curl_easy_setopt(c, CURLOPT_FILETIME, 1L);
    }
    if (!want->ranged || (t->ftp && want->probe))
        return;
    if (want->len == FETCH_TO_END)
        (void)snprintf(range, sizeof range, "%llu-", (unsigned long long)want->off);
    else
        (void)snprintf(range, sizeof range, "%llu-%llu", (unsigned long long)want->off, (unsigned long long)(want->off + want->len - 1));
    (void)curl_easy_setopt(c, CURLOPT_RANGE, range);
}

static void set_options(struct fetch *t, const char *url)
{
    CURL *c = t->easy;
    (void)curl_easy_setopt(c, CURLOPT_URL, url);
    (void)curl_easy_setopt(c, CURLOPT_PRIVATE, (char *)t);
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, owner_follows(t->f) ? 0L : 1L);
    (void)curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)FETCH_REDIRECTS_MAX);
    (void)curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(c, CURLOPT_USERAGENT, "kith/0.1.0");
    // Else the end would wait for a name that is being resolved.
    (void)curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L);
    if (t->f->from != NULL)
        (void)curl_easy_setopt(c, CURLOPT_INTERFACE, t->f->from);
    if (t->f->device != NULL) {
        (void)curl_easy_setopt(c, CURLOPT_SOCKOPTFUNCTION, bind_device);
        (void)curl_easy_setopt(c, CURLOPT_SOCKOPTDATA, t->f->device);
    }
    // The environment's proxies are for browsers; and one that was asked for is never gone around.
    (void)curl_easy_setopt(c, CURLOPT_PROXY, t->f->proxy != NULL ? t->f->proxy : "");
    (void)curl_easy_setopt(c, CURLOPT_NOPROXY, "");
    if (t->want.stream)
        set_stream_options(t, &t->want);
    else
        set_body_options(t);
}

enum err fetcher_get(struct fetcher *f, const struct fetch_want *want)
{
    const struct slice url = want->url;
    ASSERT(want->pin != NULL || !owner_follows(f));
    ASSERT(!want->stream || (f->cfg.head != NULL && f->cfg.rx != NULL));
    if (url.n == 0 || url.n > FETCH_URL_MAX || memchr(url.p, 0, url.n) != NULL)
        return ERR_SYNTAX;
    if (want->hops > FETCH_REDIRECTS_MAX)
        return ERR_PROTOCOL;
    char text[FETCH_URL_MAX + 1];
    memcpy(text, url.p, url.n);
    text[url.n] = 0;
    struct fetch *t = calloc(1, sizeof *t);
    if (t == NULL)
        return ERR_NOMEM;
    *t = (struct fetch){.f = f, .id = want->id, .want = *want, .easy = curl_easy_init()};
    t->want.url = (struct slice){0};
    t->want.pin = NULL;
    t->ftp = strncasecmp(text, "ftp", 3) == 0;
    list_init(&t->link);
    if (t->easy == NULL) {
        free(t);
        return ERR_NOMEM;
    }
    set_options(t, text);
    const long resolve = want->family == ADDR_IPV4 ? CURL_IPRESOLVE_V4 : want->family == ADDR_IPV6 ? CURL_IPRESOLVE_V6 : CURL_IPRESOLVE_WHATEVER;
    (void)curl_easy_setopt(t->easy, CURLOPT_IPRESOLVE, resolve);
    enum err e = want->pin == NULL ? ERR_OK : pin_host(t, want->pin);
    if (e == ERR_OK && curl_multi_add_handle(f->multi, t->easy) != CURLM_OK)
        e = ERR_NOMEM;
    if (e != ERR_OK) {
        curl_easy_cleanup(t->easy);
        curl_slist_free_all(t->pin);
        free(t);
        return e;
    }
    list_push_back(&f->running, &t->link);
    return ERR_OK;
}

static struct fetch *fetch_find(struct fetcher *f, uint32_t id)
{
    LIST_EACH(&f->running, link, save) {
        struct fetch *t = CONTAINER(link, struct fetch, link);
        if (t->id == id)
            return t;
    }
    return NULL;
}

void fetcher_resume(struct fetcher *f, uint32_t id)
{
    struct fetch *t = fetch_find(f, id);
    if (t == NULL || !t->paused)
        return;
    t->paused = false;
    (void)curl_easy_pause(t->easy, CURLPAUSE_CONT);
}

void fetcher_cancel(struct fetcher *f, uint32_t id)
{
    struct fetch *t = fetch_find(f, id);
    if (t != NULL)
        fetch_free(t);
}
