// What an option table cannot say: values that are of no use, options that do not go together, words that are malformed.
#include "app/options.h"

#include "base/addr.h"
#include "codec/url.h"

struct check {
    const struct options *o;
    char *why, *hint;
};

FORMAT(3, 4)
static enum err refuse(const struct check *c, const char *hint, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(c->why, OPTIONS_WHY_MAX, fmt, args);
    va_end(args);
    (void)snprintf(c->hint, OPTIONS_WHY_MAX, "%s", hint);
    return ERR_SYNTAX;
}

bool options_is_url(const char *text)
{
    static const char *const schemes[] = {"http", "https", "ftp", "ftps"};
    struct url u;
    const bool ok = url_parse(slice_str(text), &u) == ERR_OK;
    for (size_t i = 0; i < ARRAY_LEN(schemes) && ok; i++)
        if (url_is(&u, schemes[i]))
            return true;
    return false;
}

static bool is_meant_as_url(const char *text)
{
    static const char *const starts[] = {"http:", "https:", "ftp:", "ftps:"};
    for (size_t i = 0; i < ARRAY_LEN(starts); i++)
        if (slice_starts(slice_str(text), starts[i]))
            return true;
    return false;
}

static enum err check_words(const struct check *c)
{
    const struct options *o = c->o;
    for (uint32_t i = 0; i < o->args.n; i++) {
        const char *const word = o->args.items[i];
        if (*word == 0)
            return refuse(c, "is a variable of the shell empty?", "word %u behind `kith %s` is empty", i + 1, command_name(o->command));
        if (o->command == CMD_GET && is_meant_as_url(word) && !options_is_url(word))
            return refuse(c, "write https://HOST/PATH or https://HOST:PORT/PATH, the port from 1 to 65535", "%.200s: a malformed URL", word);
    }
    return ERR_OK;
}

// A file's name, without a directory.
static bool is_name(const char *text)
{
    return *text != 0 && strcmp(text, ".") != 0 && strcmp(text, "..") != 0 && strchr(text, '/') == NULL;
}

static enum err check_get(const struct check *c)
{
    const struct options *o = c->o;
    const char *const of_url = o->checksum != NULL ? "--checksum" : o->name != NULL ? "--name" : NULL;
    for (uint32_t i = 0; i < o->args.n && of_url != NULL; i++)
        if (!options_is_url(o->args.items[i]))
            return refuse(c, "leave it out", "%s is for a file by its URL: a torrent has names and hashes of its own", of_url);
    if (o->name != NULL && !is_name(o->name))
        return refuse(c, "choose the directory with -o", "--name %.200s: not the name of a file, without a directory", o->name);
    return ERR_OK;
}

static enum err check_peers(const struct check *c)
{
    const struct options *o = c->o;
    struct addr a;
    struct url u;
    for (uint32_t i = 0; i < o->peers.n; i++) {
        const char *const peer = o->peers.items[i], *const colon = strrchr(peer, ':');
        uint64_t port = 0;
        const bool is_addr = addr_parse(slice_str(peer), 0, &a) == ERR_OK && a.port != 0;
        const bool is_host = colon != NULL && colon != peer && strchr(peer, ':') == colon &&
            dec_parse(slice_str(colon + 1), UINT16_MAX, &port) == ERR_OK && port != 0;
        if (!is_addr && !is_host)
            return refuse(c, "write 192.0.2.7:51413, [2001:db8::7]:51413 or host.example:51413", "--peer %.200s: not HOST:PORT", peer);
        if (!is_addr && o->proxy != NULL)
            return refuse(c, "give its address", "--peer %.200s: with a proxy no name is resolved here", peer);
    }
    if (o->listen != NULL && addr_parse(slice_str(o->listen), 0, &a) != ERR_OK)
        return refuse(c, "write 192.0.2.7 or 2001:db8::7", "--listen %.200s: not an IP address", o->listen);
    if (o->proxy != NULL && (url_parse(slice_str(o->proxy), &u) != ERR_OK || !url_is(&u, "socks5")))
        return refuse(c, "write socks5://[user:password@]host[:port]; without a port it is 1080",
            "--proxy %.200s: not the URL of a SOCKS5 proxy", o->proxy);
    if (o->no_tcp && o->no_utp)
        return refuse(c, "leave one of them out", "--no-tcp and --no-utp together leave no way to any peer");
    return ERR_OK;
}

enum err options_check(const struct options *o, char why[OPTIONS_WHY_MAX], char hint[OPTIONS_WHY_MAX])
{
    const struct check c = {o, why, hint};
    enum err e = check_words(&c);
    if (e == ERR_OK && o->command == CMD_GET)
        e = check_get(&c);
    if (e == ERR_OK)
        e = check_peers(&c);
    if (e == ERR_OK && (o->command == CMD_CREATE || o->command == CMD_SHARE) && o->output != NULL && strcmp(o->output, "-") == 0)
        e = refuse(&c, "name a file; ./- is one of that name", "--output -: a torrent file is not written to standard output");
    return e;
}
