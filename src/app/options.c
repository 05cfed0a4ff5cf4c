// See options.h.
#include "app/option_table.h"
#include "app/options.h"

#include <stdlib.h>

#include "base/near.h"
#include "base/units.h"
#include "codec/url.h"
#include "engine/node/queue.h"

#define ROW(kind, long_name, short_name, argument, member, in, text) \
    {.type = OPTION_##kind, .name = long_name, .letter = short_name, .arg = argument, .field = offsetof(struct options, member), \
        .commands = in, .help = text},
static const struct option_row rows[] = {OPTIONS(ROW)};
#undef ROW

static const struct {
    const char *name, *args, *line;
} commands[COMMANDS_N] = {
#define COMMAND_ROW(id, text, arguments, what) [id] = {text, arguments, what},
    COMMANDS(COMMAND_ROW)
#undef COMMAND_ROW
};

const struct option_row *options_table(size_t *out_n)
{
    *out_n = ARRAY_LEN(rows);
    return rows;
}

const char *command_name(enum command c)
{
    ASSERT(c < COMMANDS_N);
    return commands[c].name != NULL ? commands[c].name : "";
}

const char *command_args(enum command c)
{
    ASSERT(c < COMMANDS_N);
    return commands[c].args != NULL ? commands[c].args : "";
}

const char *command_line(enum command c)
{
    ASSERT(c < COMMANDS_N);
    return commands[c].line != NULL ? commands[c].line : "";
}

// ---- did you mean

enum { GET_URLS_MAX = 64, SOURCES_MAX = 1000 };

static const char *nearest_option(const char *written, enum command c)
{
    struct near near = {.written = written};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (c == CMD_NONE || (rows[i].commands >> c & 1) != 0)
            near_consider(&near, rows[i].name);
    return near.best;
}

static const char *nearest_command(const char *written)
{
    struct near near = {.written = written};
    for (unsigned c = CMD_NONE + 1; c < COMMANDS_N; c++)
        near_consider(&near, commands[c].name);
    return near.best;
}

// ---- parsing

struct parser {
    struct options *o;
    char **argv;
    int argc, at;
    char *why, *hint;
};

FORMAT(3, 4)
static enum err refuse(struct parser *p, enum err e, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(p->why, OPTIONS_WHY_MAX, fmt, args);
    va_end(args);
    return e;
}

static enum err set_list(struct parser *p, size_t field, const char *value)
{
    struct texts list;
    memcpy(&list, (char *)p->o + field, sizeof list);
    if (list.items == NULL)
        list.items = calloc((size_t)p->argc, sizeof *list.items);       // no option can be there more often
    if (list.items == NULL)
        return refuse(p, ERR_NOMEM, "out of memory");
    list.items[list.n++] = value;
    memcpy((char *)p->o + field, &list, sizeof list);
    return ERR_OK;
}

static bool parse_mode(const char *value, uint32_t *out)
{
    static const char *const names[] = {"auto", "block", "line", "lines", "none"};
    for (uint32_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(value, names[i]) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

static enum err bad_value(struct parser *p, const struct option_row *r, const char *value, const char *wanted)
{
    snprintf(p->hint, OPTIONS_WHY_MAX, "write %s", wanted);
    return refuse(p, ERR_SYNTAX, "--%s %s: not %s", r->name, value, r->type == OPTION_MODE ? "a way to show progress" :
        r->type == OPTION_PORT ? "a port" : r->type == OPTION_TIME ? "a time" : r->type == OPTION_RATE ? "a rate" :
        r->type == OPTION_RATIO ? "a ratio" : r->type == OPTION_SIZE ? "a size" : "a number");
}

// value NULL: the option takes none.
static enum err set_value(struct parser *p, const struct option_row *r, const char *value)
{
    char *const field = (char *)p->o + r->field;
    uint64_t v = 0;
    uint32_t small = 0;
    const bool yes = true;
    ASSERT((r->arg == NULL) == (r->type == OPTION_FLAG || r->type == OPTION_MORE));
    ASSERT(value != NULL || r->arg == NULL);
    switch (r->type) {
    case OPTION_FLAG:
        memcpy(field, &yes, sizeof yes);
        return ERR_OK;
    case OPTION_MORE:
        memcpy(&small, field, sizeof small);
        small++;
        memcpy(field, &small, sizeof small);
        return ERR_OK;
    case OPTION_TEXT:
        if (*value == 0 && r->field != offsetof(struct options, comment) && r->field != offsetof(struct options, salt))
            return refuse(p, ERR_SYNTAX, "--%s: its value is empty; it wants %s", r->name, r->arg);
        memcpy(field, &value, sizeof value);
        return ERR_OK;
    case OPTION_LIST:
        return set_list(p, r->field, value);
    case OPTION_SIZE:
        if (units_parse_size(value, &v) != ERR_OK || v == 0)
            return bad_value(p, r, value, "a number of bytes, such as 65536, 256K or 1M");
        break;
    case OPTION_RATE:
        if (units_parse_rate(value, &v) != ERR_OK)
            return bad_value(p, r, value, "500K, 1.5M, 8MiB (1024s), 10MB/s (1000s) or 80Mbit");
        break;
    case OPTION_RATIO:
        if (units_parse_ratio(value, QUEUE_RATIO_PM_MAX, &v) != ERR_OK || v == 0)
            return bad_value(p, r, value, "a number such as 1 or 1.5");
        break;
    case OPTION_TIME:
        if (units_parse_time(value, &v) != ERR_OK)
            return bad_value(p, r, value, "30, 30s, 500ms, 5m or 1h30m");
        if (v == 0 && r->field != offsetof(struct options, timeout))
            return refuse(p, ERR_SYNTAX, "--%s %s: it must be longer than no time at all", r->name, value);
        break;
    case OPTION_PORT:
    case OPTION_COUNT:
        if (dec_parse(slice_str(value), r->type == OPTION_PORT ? UINT16_MAX : 1000000, &v) != ERR_OK || v == 0)
            return bad_value(p, r, value, r->type == OPTION_PORT ? "a number from 1 to 65535" : "a number from 1 to 1000000");
        small = (uint32_t)v;
        memcpy(field, &small, sizeof small);
        return ERR_OK;
    case OPTION_MODE:
        if (!parse_mode(value, &small))
            return bad_value(p, r, value, "auto, block, line, lines or none");
        memcpy(field, &small, sizeof small);
        return ERR_OK;
    }
    memcpy(field, &v, sizeof v);
    return ERR_OK;
}

static enum err unknown(struct parser *p, const char *written, const char *best)
{
    if (best != NULL)
        snprintf(p->hint, OPTIONS_WHY_MAX, "did you mean --%s?", best);
    else
        snprintf(p->hint, OPTIONS_WHY_MAX, "`kith help %s` lists the options", command_name(p->o->command));
    return refuse(p, ERR_SYNTAX, "unknown option %s", written);
}

// The command may come behind options, so the table decides only what an option is; check_commands where it fits.
static enum err parse_long(struct parser *p, const char *arg)
{
    const char *const equals = strchr(arg, '=');
    const size_t n = equals != NULL ? (size_t)(equals - arg) : strlen(arg);
    char name[64] = "";
    if (n < sizeof name)
        memcpy(name, arg, n);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct option_row *r = &rows[i];
        if (strcmp(r->name, name) != 0)
            continue;
        if (p->o->command != CMD_NONE && (r->commands >> p->o->command & 1) == 0 && r->commands != IN_ALL)
            return refuse(p, ERR_SYNTAX, "--%s is no option of `kith %s`", name, command_name(p->o->command));
        if (r->arg == NULL && equals != NULL)
            return refuse(p, ERR_SYNTAX, "--%s takes no value", name);
        if (r->arg == NULL || equals != NULL)
            return set_value(p, r, equals != NULL ? equals + 1 : NULL);
        if (p->at + 1 >= p->argc)
            return refuse(p, ERR_SYNTAX, "--%s wants %s", name, r->arg);
        return set_value(p, r, p->argv[++p->at]);
    }
    char written[80];
    snprintf(written, sizeof written, "--%s", n < sizeof name ? name : "...");
    return unknown(p, written, nearest_option(name, p->o->command));
}

static enum err parse_letters(struct parser *p, const char *letters)
{
    for (const char *c = letters; *c != 0; c++) {
        const struct option_row *r = NULL;
        for (size_t i = 0; i < ARRAY_LEN(rows) && r == NULL; i++)
            if (rows[i].letter == *c)
                r = &rows[i];
        if (r == NULL || (p->o->command != CMD_NONE && (r->commands >> p->o->command & 1) == 0 && r->commands != IN_ALL)) {
            const char written[3] = {'-', *c, 0};
            return unknown(p, written, NULL);
        }
        if (r->arg != NULL) {
            if (c[1] != 0)
                return set_value(p, r, c + 1);
            if (p->at + 1 >= p->argc)
                return refuse(p, ERR_SYNTAX, "-%c wants %s", *c, r->arg);
            return set_value(p, r, p->argv[++p->at]);
        }
        const enum err e = set_value(p, r, NULL);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

static enum err parse_word(struct parser *p, const char *word)
{
    if (p->o->command != CMD_NONE)
        return set_list(p, offsetof(struct options, args), word);
    for (unsigned c = CMD_NONE + 1; c < COMMANDS_N; c++) {
        if (strcmp(commands[c].name, word) == 0) {
            p->o->command = (enum command)c;
            return ERR_OK;
        }
    }
    const char *best = nearest_command(word);
    if (best != NULL)
        snprintf(p->hint, OPTIONS_WHY_MAX, "did you mean `kith %s`?", best);
    else
        snprintf(p->hint, OPTIONS_WHY_MAX, "`kith help` lists the commands");
    return refuse(p, ERR_SYNTAX, "unknown command %s", word);
}

// Then they are copies of one file.
static bool all_urls(const struct texts *t)
{
    for (uint32_t i = 0; i < t->n; i++)
        if (!options_is_url(t->items[i]))
            return false;
    return true;
}

// What describes one torrent cannot be meant for several.
static enum err check_several(struct parser *p)
{
    const struct options *o = p->o;
    const struct {
        const char *name;
        bool given;
    } of_one[] = {
        {"select", o->select != NULL}, {"first", o->first != NULL}, {"last", o->last != NULL},
        {"save-torrent", o->save_torrent != NULL}, {"name", o->name != NULL}, {"checksum", o->checksum != NULL},
        {"web-seed", o->web_seeds.n != 0}, {"torrent", o->torrent != NULL}, {"output", o->command == CMD_SHARE && o->output != NULL},
    };
    if (o->args.n < 2 || (o->command == CMD_GET && all_urls(&o->args)) || (o->command != CMD_GET && o->command != CMD_SHARE))
        return ERR_OK;
    for (size_t i = 0; i < ARRAY_LEN(of_one); i++) {
        if (!of_one[i].given)
            continue;
        snprintf(p->hint, OPTIONS_WHY_MAX, "run `kith %s` for that one alone", command_name(o->command));
        return refuse(p, ERR_SYNTAX, "--%s is for one torrent, not for several", of_one[i].name);
    }
    return ERR_OK;
}

// How many words a command wants.
static enum err check_args(struct parser *p)
{
    const struct options *o = p->o;
    uint32_t least = 0, most = 0;
    switch (o->command) {
    case CMD_GET:
        least = 1;
        most = all_urls(&o->args) ? GET_URLS_MAX : SOURCES_MAX;
        break;
    case CMD_SHARE:
        least = 1;
        most = SOURCES_MAX;
        break;
    case CMD_CREATE: case CMD_SHOW: least = most = 1; break;
    case CMD_VERIFY: least = most = 2; break;
    case CMD_HELP: most = 1; break;
    case CMD_DHT: most = 2; break;
    case CMD_NONE: case CMD_TRACKER: case CMD_LAB: case CMD_VERSION: case COMMANDS_N: break;
    }
    if (o->args.n >= least && o->args.n <= most)
        return ERR_OK;
    snprintf(p->hint, OPTIONS_WHY_MAX, "usage: kith %s %s%s[option...]; `kith help %s` says more", command_name(o->command),
        command_args(o->command), *command_args(o->command) != 0 ? " " : "", command_name(o->command));
    if (o->args.n > most)
        return refuse(p, ERR_SYNTAX, "one word too many: %s", o->args.items[most]);
    return refuse(p, ERR_SYNTAX, "%s is missing", o->args.n == 0 ? command_args(o->command) : "DIR");
}

// Whether it can be a tracker, for us (http, https, udp) or for others (ws, wss). UDP has no port of its own.
static bool is_tracker(const char *text)
{
    static const char *const schemes[] = {"http", "https", "udp", "ws", "wss"};
    struct url u;
    if (url_parse(slice_str(text), &u) != ERR_OK || (url_is(&u, "udp") && u.port == 0))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (url_is(&u, schemes[i]))
            return true;
    return false;
}

static enum err check_urls(struct parser *p)
{
    const struct options *o = p->o;
    for (uint32_t i = 0; i < o->trackers.n; i++) {
        if (is_tracker(o->trackers.items[i]))
            continue;
        snprintf(p->hint, OPTIONS_WHY_MAX, "write http://HOST:PORT/announce or udp://HOST:PORT");
        return refuse(p, ERR_SYNTAX, "--tracker %s: not the URL of a tracker", o->trackers.items[i]);
    }
    for (uint32_t i = 0; i < o->web_seeds.n; i++) {
        if (options_is_url(o->web_seeds.items[i]))
            continue;
        snprintf(p->hint, OPTIONS_WHY_MAX, "write https://HOST/PATH, with a / at the end for a directory");
        return refuse(p, ERR_SYNTAX, "--web-seed %s: not a URL", o->web_seeds.items[i]);
    }
    return ERR_OK;
}

// Written as enum node_encryption counts.
static enum err check_encryption(struct parser *p)
{
    static const char *const names[] = {"off", "prefer", "require"};
    const char *const text = p->o->encryption_text != NULL ? p->o->encryption_text : "prefer";
    for (uint32_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(text, names[i]) != 0)
            continue;
        p->o->encryption = i;
        return ERR_OK;
    }
    snprintf(p->hint, OPTIONS_WHY_MAX, "write prefer, require or off");
    return refuse(p, ERR_SYNTAX, "--encryption %s: not a mode", text);
}

static enum err parse(struct parser *p)
{
    struct options *const out = p->o;
    bool words_only = false;
    for (; p->at < p->argc; p->at++) {
        const char *arg = p->argv[p->at];
        enum err e = ERR_OK;
        if (words_only || arg[0] != '-' || arg[1] == 0)
            e = parse_word(p, arg);
        else if (strcmp(arg, "--") == 0)
            words_only = true;
        else if (arg[1] == '-')
            e = parse_long(p, arg + 2);
        else
            e = parse_letters(p, arg + 1);
        if (e != ERR_OK)
            return e;
    }
    if (out->help || out->version)
        return ERR_OK;
    if (out->v1 + out->v2 + out->hybrid > 1)
        return refuse(p, ERR_SYNTAX, "--v1, --v2 and --hybrid exclude each other");
    enum err e = check_urls(p);
    if (e == ERR_OK)
        e = check_encryption(p);
    if (e == ERR_OK)
        e = check_args(p);
    if (e == ERR_OK)
        e = options_check(out, p->why, p->hint);
    return e != ERR_OK ? e : check_several(p);
}

enum err options_parse(struct options *out, int argc, char **argv, char why[OPTIONS_WHY_MAX], char hint[OPTIONS_WHY_MAX])
{
    *out = (struct options){0};
    why[0] = hint[0] = 0;
    struct parser p = {.o = out, .argv = argv, .argc = argc, .at = 1, .why = why, .hint = hint};
    const enum err e = parse(&p);
    for (int i = 1; i < argc && e != ERR_OK; i++)       // whoever wants JSON wants it of this, too, wherever it stands
        out->json |= slice_starts(slice_str(argv[i]), "--json");
    return e;
}

void options_done(struct options *o)
{
    free(o->args.items);
    free(o->trackers.items);
    free(o->web_seeds.items);
    free(o->peers.items);
    free(o->dht_routers.items);
    free(o->similar.items);
    free(o->collections.items);
    *o = (struct options){0};
}
