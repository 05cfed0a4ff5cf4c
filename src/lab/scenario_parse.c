// Text -> scenario: see scenario.h.
#include <stdio.h>
#include <stdarg.h>

#include "base/near.h"
#include "lab/result.h"
#include "lab/scenario_int.h"

enum { WORDS_MAX = 40 };

struct reader {
    struct scenario *s;
    const char *file;
    char *why;
    uint32_t line;
    struct slice words[WORDS_MAX];
    uint32_t words_n;
    uint64_t seen;                      // options of this line
    uint32_t seed_line;                 // 0: none yet
};

FORMAT(2, 3)
static enum err bad(struct reader *r, const char *fmt, ...)
{
    char text[SCENARIO_WHY_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (void)snprintf(r->why, SCENARIO_WHY_MAX, "%.80s:%u: %.220s", r->file, r->line, text);
    return ERR_SYNTAX;
}

static enum err full(struct reader *r, enum err e, const char *what)
{
    if (e == ERR_NOMEM) {
        (void)snprintf(r->why, SCENARIO_WHY_MAX, "not enough memory");
        return e;
    }
    return bad(r, "too many %s", what);
}

// For %.*s: words are cut, so that a line of garbage does not fill the terminal.
static int shown(struct slice s) { return (int)size_min(s.n, 40); }
#define SHOWN(s) shown(s), (const char *)(s).p

enum { NUMBER_LEN = 8 };                // of a node of several, behind their name

static enum err unknown(struct reader *r, const char *what, struct slice word, const char *near)
{
    if (near != NULL)
        return bad(r, "no %s %.*s (did you mean %s?)", what, SHOWN(word), near);
    return bad(r, "no %s %.*s", what, SHOWN(word));
}

// `behind` bytes must have room behind it.
static bool is_name(struct slice s, size_t behind)
{
    if (s.n == 0 || s.n >= SCENARIO_NAME_MAX - behind)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        const uint8_t c = s.p[i];
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return true;
}

static void copy_name(char out[SCENARIO_NAME_MAX], struct slice s)
{
    memset(out, 0, SCENARIO_NAME_MAX);
    if (s.n != 0)
        memcpy(out, s.p, size_min(s.n, SCENARIO_NAME_MAX - 1));
}

// Splits `name=value`. False: there is no `=`.
static bool split(struct slice word, struct slice *name, struct slice *value)
{
    const uint8_t *eq = word.n == 0 ? NULL : memchr(word.p, '=', word.n);
    if (eq == NULL)
        return false;
    const size_t n = (size_t)(eq - word.p);
    *name = slice_sub(word, 0, n);
    *value = slice_sub(word, n + 1, word.n);
    return true;
}

// Takes what is before the first `sep`; false: nothing is left.
static bool take(struct slice *rest, uint8_t sep, struct slice *out)
{
    if (rest->n == 0)
        return false;
    const uint8_t *at = rest->n == 0 ? NULL : memchr(rest->p, sep, rest->n);
    const size_t n = at == NULL ? rest->n : (size_t)(at - rest->p);
    *out = slice_sub(*rest, 0, n);
    *rest = slice_sub(*rest, n + 1, rest->n);
    return true;
}

static const char *content_near(const struct scenario *s, struct slice name, uint32_t *out)
{
    char word[NEAR_MAX + 2] = "";
    if (name.n != 0)
        memcpy(word, name.p, size_min(name.n, NEAR_MAX + 1));
    struct near near = {.written = word};
    for (*out = 0; *out < s->contents_n; (*out)++) {
        if (slice_eq_str(name, s->contents[*out].name))
            return NULL;
        near_consider(&near, s->contents[*out].name);
    }
    return near.best;
}

static enum err read_contents(struct reader *r, struct slice text, uint64_t *out)
{
    struct slice name;
    *out = 0;
    while (take(&text, ',', &name)) {
        uint32_t i;
        const char *near = content_near(r->s, name, &i);
        if (i == r->s->contents_n)
            return unknown(r, "content", name, near);
        *out |= (uint64_t)1 << i;
    }
    return *out == 0 ? bad(r, "which content? `has=` and `want=` name lines of `content`") : ERR_OK;
}

static enum err read_value(struct reader *r, const struct field *f, struct slice text, uint64_t *out)
{
    char why[FIELD_TEXT_MAX];
    const enum err e = field_read(f, text, out, why);
    if (e != ERR_OK)
        return bad(r, "%s=%.*s: write %s", f->name, SHOWN(text), why);
    return ERR_OK;
}

static enum err read_sizes(struct reader *r, const struct field *f, struct slice text, struct scenario_content *c)
{
    struct slice one;
    const struct field size = {.name = f->name, .type = FIELD_SIZE, .max = f->max};
    c->files_n = 0;
    while (take(&text, ',', &one)) {
        if (c->files_n == SCENARIO_FILES_MAX)
            return bad(r, "more than %d files", SCENARIO_FILES_MAX);
        const enum err e = read_value(r, &size, one, &c->lens[c->files_n]);
        if (e != ERR_OK)
            return e;
        c->files_n++;
    }
    return ERR_OK;
}

static enum err read_arrive(struct reader *r, const struct field *f, struct slice text, struct scenario_group *g)
{
    struct slice kind = SLICE_LIT("at"), time = text;
    const uint8_t *colon = text.n == 0 ? NULL : memchr(text.p, ':', text.n);
    if (colon != NULL) {
        kind = slice_sub(text, 0, (size_t)(colon - text.p));
        time = slice_sub(text, kind.n + 1, text.n);
    }
    for (uint32_t i = 0; i < ARRIVE_KINDS; i++) {
        if (!slice_eq_str(kind, scenario_arrive_words[i]))
            continue;
        const struct field field = {.name = f->name, .type = FIELD_TIME};
        g->arrive = i;
        return read_value(r, &field, time, &g->arrive_time);
    }
    return bad(r, "arrive=%.*s: write a time, or flash, every, poisson, debian, redhat, flatout, decay or sine, and :TIME", SHOWN(text));
}

// Nodes of one line.
struct whom {
    uint32_t group, first, count;
};

// `p`: the group or node of that name; `p17`: a node of the group p.
static enum err read_whom(struct reader *r, struct slice name, struct whom *f)
{
    char word[NEAR_MAX + 2] = "";
    if (name.n != 0)
        memcpy(word, name.p, size_min(name.n, NEAR_MAX + 1));
    struct near near = {.written = word};
    for (uint32_t i = 0; i < r->s->groups_n; i++) {
        const struct scenario_group *g = &r->s->groups[i];
        const size_t n = strlen(g->name);
        uint64_t at;
        if (slice_eq_str(name, g->name)) {
            f->group = i;
            f->count = g->count;
            return ERR_OK;
        }
        if (g->plural && name.n > n && slice_starts(name, g->name) && dec_parse(slice_sub(name, n, name.n), UINT32_MAX, &at) == ERR_OK) {
            if (at >= g->count)
                return bad(r, "%.*s: %s has nodes %s0 to %s%u", SHOWN(name), g->name, g->name, g->name, g->count - 1);
            f->group = i;
            f->first = (uint32_t)at;
            f->count = 1;
            return ERR_OK;
        }
        near_consider(&near, g->name);
    }
    return unknown(r, "node", name, near.best);
}

// A line of nodes above, or one of them. What is being read is the last group: nobody knows himself.
static enum err read_nodes_value(struct reader *r, struct slice text, uint64_t *out)
{
    struct whom whom = {0};
    const enum err e = read_whom(r, text, &whom);
    if (e != ERR_OK)
        return e;
    if (whom.group + 1 == r->s->groups_n)
        return bad(r, "%.*s: write a node of a line above", SHOWN(text));
    *out = whom.group + 1;
    if (whom.count == 1 && r->s->groups[whom.group].count > 1)
        *out |= (uint64_t)(whom.first + 1) << 32;
    return ERR_OK;
}

// Of two fields with one name the second, which has words, unless the first can be read.
static const struct field *twin(const struct field *f, const struct field *fields, uint32_t n, struct slice value)
{
    const struct field *next = f + 1;
    uint64_t v;
    char why[FIELD_TEXT_MAX];
    if (next == fields + n || strcmp(next->name, f->name) != 0)
        return f;
    if (value.n != 0 && value.p[0] >= '0' && value.p[0] <= '9')
        return f;
    return field_read(f, value, &v, why) == ERR_OK ? f : next;
}

// One of the given tables' options into the struct at base.
static enum err read_option(struct reader *r, struct slice word, const struct field *fields, uint32_t n, void *base)
{
    struct slice name, value;
    if (!split(word, &name, &value))
        return bad(r, "%.*s: an option is written name=value", SHOWN(word));
    const char *near;
    const struct field *f = field_find(fields, n, name, &near);
    if (f == NULL)
        return unknown(r, "option", name, near);
    f = twin(f, fields, n, value);
    const uint64_t bit = (uint64_t)1 << (f - fields);
    ASSERT(n <= 64);
    if ((r->seen & bit) != 0)
        return bad(r, "%.*s= is there twice", SHOWN(name));         // one of the two would be forgotten
    r->seen |= bit;
    uint64_t v = 0;
    enum err e = ERR_OK;
    if (f->type == FIELD_SIZES)
        return read_sizes(r, f, value, base);
    if (f->type == FIELD_ARRIVE)
        return read_arrive(r, f, value, base);
    if (f->type == FIELD_NODES)
        e = read_nodes_value(r, value, &v);
    else
        e = f->type == FIELD_CONTENTS ? read_contents(r, value, &v) : read_value(r, f, value, &v);
    if (e == ERR_OK)
        field_set(base, f, v);
    return e;
}

static enum err read_seed(struct reader *r)
{
    if (r->words_n != 2 || dec_parse(r->words[1], UINT64_MAX, &r->s->seed) != ERR_OK)
        return bad(r, "write `seed NUMBER`");
    if (r->seed_line != 0)
        return bad(r, "the seed is there already, in line %u", r->seed_line);
    r->seed_line = r->line;
    return ERR_OK;
}

static enum err read_world(struct reader *r)
{
    for (uint32_t i = 1; i < r->words_n; i++) {
        const enum err e = read_option(r, r->words[i], scenario_world_fields, scenario_world_fields_n, &r->s->world);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

static enum err read_content(struct reader *r)
{
    if (r->words_n < 3 || !is_name(r->words[1], 0))
        return bad(r, "write `content NAME size=SIZE[,SIZE…] piece=SIZE`");
    uint32_t at;
    (void)content_near(r->s, r->words[1], &at);
    if (at < r->s->contents_n)
        return bad(r, "content %.*s is there already, in line %u", SHOWN(r->words[1]), r->s->contents[at].line);
    if (r->s->contents_n == SCENARIO_CONTENTS_MAX)
        return bad(r, "more than %d contents", SCENARIO_CONTENTS_MAX);
    struct scenario_content c = {.line = r->line, .piece = 256 * KIB};
    copy_name(c.name, r->words[1]);
    for (uint32_t i = 2; i < r->words_n; i++) {
        const enum err e = read_option(r, r->words[i], scenario_content_fields, scenario_content_fields_n, &c);
        if (e != ERR_OK)
            return e;
    }
    uint64_t sum = 0;
    for (uint32_t i = 0; i < c.files_n; i++)
        sum += c.lens[i];
    if (sum == 0)
        return bad(r, "content %s has no bytes: size= is missing", c.name);
    if (c.piece < 16 * KIB || (c.piece & (c.piece - 1)) != 0)
        return bad(r, "piece= is a power of two from 16KiB to 16MiB");
    if (sum / c.piece > 65536)
        return bad(r, "more than 65536 pieces: take a greater piece=");
    r->s->contents[r->s->contents_n++] = c;
    return ERR_OK;
}

static enum err check_group(struct reader *r, const struct scenario_group *g)
{
    if ((g->has & g->want) != 0)
        return bad(r, "%s has what it wants", g->name);
    if (g->tracker != 0 && r->s->groups_n > 1)
        return bad(r, "the tracker is the first node of all, because its address is in the torrents");
    if (g->tracker != 0 && g->nat != 0)
        return bad(r, "the tracker is behind no box: everybody must reach it");
    if (g->tracker != 0 && g->count > 1)
        return bad(r, "one tracker only");
    if (g->magnet != 0 && g->check != 0)
        return bad(r, "by a link alone there is nothing to check");
    if (g->hostile != 0 && ((g->has | g->want) & ((g->has | g->want) - 1)) != 0)
        return bad(r, "a hostile node works on one content");
    if (g->hostile != 0 && (g->has | g->want) == 0)
        return bad(r, "a hostile node needs want= or has= to know which content it is about");
    return ERR_OK;
}

// `long_name` is `base` and a number.
static bool numbers(struct slice long_name, struct slice base)
{
    uint64_t v;
    return long_name.n > base.n && slice_eq(slice_sub(long_name, 0, base.n), base) &&
        dec_parse(slice_sub(long_name, base.n, long_name.n), UINT64_MAX, &v) == ERR_OK;
}

// The new name is one of the group's, or one of the new group's nodes could have the group's name.
static bool same_name(struct slice name, bool plural, const struct scenario_group *g)
{
    const struct slice there = slice_str(g->name);
    return slice_eq(name, there) || (g->plural && numbers(name, there)) || (plural && numbers(there, name));
}

static enum err read_nodes(struct reader *r, bool plural)
{
    const uint32_t first = plural ? 3 : 2;
    uint64_t count = 1;
    if (r->words_n < first || !is_name(r->words[1], plural ? NUMBER_LEN : 0))
        return bad(r, plural ? "write `nodes NAME COUNT option=value…`" : "write `node NAME option=value…`");
    if (plural && (dec_parse(r->words[2], SCENARIO_NODES_MAX, &count) != ERR_OK || count == 0))
        return bad(r, "%.*s: write how many nodes, from 1 to %d", SHOWN(r->words[2]), SCENARIO_NODES_MAX);
    for (uint32_t i = 0; i < r->s->groups_n; i++)
        if (same_name(r->words[1], plural, &r->s->groups[i]))
            return bad(r, "node %.*s is there already, in line %u", SHOWN(r->words[1]), r->s->groups[i].line);
    if (r->s->nodes_n + count > SCENARIO_NODES_MAX)
        return bad(r, "more than %d nodes", SCENARIO_NODES_MAX);
    char name[SCENARIO_NAME_MAX];
    copy_name(name, r->words[1]);
    struct scenario_group *g;
    enum err e = scenario_add_group(r->s, name, &g);
    if (e != ERR_OK)
        return full(r, e, "nodes");
    g->line = r->line;
    g->count = (uint32_t)count;
    g->plural = plural;
    r->s->nodes_n += g->count;
    for (uint32_t i = first; i < r->words_n; i++) {
        e = read_option(r, r->words[i], scenario_node_fields, scenario_node_fields_n, g);
        if (e != ERR_OK)
            return e;
    }
    return check_group(r, g);
}

// `p`, `p17`, `p3-s0` (all from one to another, in the order of the file) or `*`, as numbers of hosts.
static enum err read_hosts(struct reader *r, struct slice text, uint32_t *out_first, uint32_t *out_count)
{
    struct slice from = {0}, rest = text;
    struct whom a = {0}, b = {0};
    if (slice_eq_str(text, "*")) {
        *out_first = 0;
        *out_count = ACTION_EVERY;
        return ERR_OK;
    }
    const bool range = take(&rest, '-', &from) && from.n < text.n;
    enum err e = read_whom(r, from, &a);
    if (e == ERR_OK && range)
        e = read_whom(r, rest, &b);
    if (e != ERR_OK)
        return e;
    const uint32_t first = scenario_host(r->s, a.group, a.first);
    const uint32_t end = range ? scenario_host(r->s, b.group, b.first) + b.count : first + a.count;
    if (end <= first)
        return bad(r, "%.*s: the first node stands behind the last", SHOWN(text));
    *out_first = first;
    *out_count = end - first;
    return ERR_OK;
}

// Every key that an action takes, for a wrong one.
static enum err unknown_key(struct reader *r, const struct action_info *info, struct slice name)
{
    char word[NEAR_MAX + 2] = "", all[SCENARIO_WHY_MAX / 2] = "";
    if (name.n != 0)
        memcpy(word, name.p, size_min(name.n, NEAR_MAX + 1));
    struct near near = {.written = word};
    const char *keys[] = {info->a.key, info->b.key, info->lasts ? "for" : NULL, info->scope == SCOPE_WORLD ? NULL : "node",
        info->scope == SCOPE_PATHS ? "to" : NULL, info->scope == SCOPE_WORLD ? NULL : "share"};
    for (size_t i = 0, n = 0; i < ARRAY_LEN(keys); i++) {
        if (keys[i] == NULL)
            continue;
        n += (size_t)snprintf(all + n, sizeof all - n, " %s=", keys[i]);
        near_consider(&near, keys[i]);
    }
    if (near.best != NULL)
        return bad(r, "fault %s has no option %.*s (did you mean %s?)", info->name, SHOWN(name), near.best);
    return bad(r, "fault %s has no option %.*s; write%s", info->name, SHOWN(name), all[0] == '\0' ? " none" : all);
}

// Whether an option of a fault stands before word `at`, too.
static bool is_there(const struct reader *r, struct slice name, uint32_t at)
{
    struct slice other, value;
    for (uint32_t i = 4; i < at; i++)
        if (split(r->words[i], &other, &value) && slice_eq(name, other))
            return true;
    return false;
}

// Word `at` of the line. *seen: bit 0 and 1 for the action's a and b, bit 2 for node=.
static enum err read_fault_option(struct reader *r, uint32_t at, struct action *a, uint32_t *seen)
{
    const struct slice word = r->words[at];
    const struct action_info *info = action_info(a->kind);
    struct slice name, value;
    if (!split(word, &name, &value))
        return bad(r, "%.*s: an option is written name=value", SHOWN(word));
    if (is_there(r, name, at))
        return bad(r, "%.*s= is there twice", SHOWN(name));
    if (slice_eq_str(name, "node") && info->scope != SCOPE_WORLD) {
        *seen |= 4;
        return read_hosts(r, value, &a->host, &a->count);
    }
    if (slice_eq_str(name, "to") && info->scope == SCOPE_PATHS) {
        uint32_t first = 0;
        const enum err e = read_hosts(r, value, &first, &a->to_count);
        if (e == ERR_OK)
            a->to = a->to_count == ACTION_EVERY ? 0 : first + 1;
        return e;
    }
    enum action_arg kind;
    if (action_key(a, name, &kind) != ERR_OK)
        return unknown_key(r, info, name);
    if (action_set(a, name, value) != ERR_OK)
        return bad(r, "%.*s: write %s", SHOWN(word), action_expects(kind));
    *seen |= info->a.key != NULL && slice_eq_str(name, info->a.key) ? 1 : 0;
    *seen |= info->b.key != NULL && slice_eq_str(name, info->b.key) ? 2 : 0;
    return ERR_OK;
}

static enum err find_fault(struct reader *r, struct slice name, enum action_kind *out)
{
    char word[NEAR_MAX + 2] = "";
    if (name.n != 0)
        memcpy(word, name.p, size_min(name.n, NEAR_MAX + 1));
    struct near near = {.written = word};
    if (action_find(name, out) == ERR_OK)
        return ERR_OK;
    for (uint32_t i = 0; i < ACTION_KINDS; i++)
        near_consider(&near, action_name((enum action_kind)i));
    if (near.best == NULL)
        return bad(r, "no fault %.*s; `kith lab list` lists them", SHOWN(name));
    return unknown(r, "fault", name, near.best);
}

static enum err check_fault(struct reader *r, struct action *a, uint32_t seen)
{
    const struct action_info *info = action_info(a->kind);
    if (a->kind == ACTION_LOSS && (seen & 4) == 0 && (a->to != 0 || a->share_ppm != 0))
        a->count = ACTION_EVERY;                        // not the loss of the world itself
    const struct action_param *const params[] = {&info->a, &info->b};
    if (info->scope == SCOPE_HOSTS && (seen & 4) == 0)
        return bad(r, "fault %s: node= is missing: a node, a line of nodes, FIRST-LAST or *", info->name);
    for (uint32_t i = 0; i < ARRAY_LEN(params); i++)
        if (params[i]->key != NULL && !params[i]->optional && (seen >> i & 1) == 0)
            return bad(r, "fault %s: %s= is missing: %s", info->name, params[i]->key, action_expects(params[i]->kind));
    return ERR_OK;
}

static enum err read_at(struct reader *r)
{
    uint64_t t = 0;
    static const struct field time = {.name = "at", .type = FIELD_TIME};
    if (r->words_n < 4 || !slice_eq_str(r->words[2], "fault"))
        return bad(r, "write `at TIME fault NAME option=value…`");
    enum err e = read_value(r, &time, r->words[1], &t);
    enum action_kind kind = ACTION_START;
    if (e == ERR_OK)
        e = find_fault(r, r->words[3], &kind);
    if (e != ERR_OK)
        return e;
    struct scenario_fault *f;
    e = scenario_add_fault(r->s, &f);
    if (e != ERR_OK)
        return full(r, e, "faults");
    *f = (struct scenario_fault){.t = t, .line = r->line, .action = action_make(kind)};
    uint32_t seen = 0;
    for (uint32_t i = 4; i < r->words_n; i++) {
        e = read_fault_option(r, i, &f->action, &seen);
        if (e != ERR_OK)
            return e;
    }
    return check_fault(r, &f->action, seen);
}

static enum err read_gate(struct reader *r)
{
    struct scenario_gate g = {.line = r->line};
    struct slice who, what;
    if (r->words_n != 3 && r->words_n != 5)
        return bad(r, "write `gate own GROUP.METRIC <= VALUE` or `gate ROW GROUP.METRIC`");
    if (r->s->gates_n == SCENARIO_GATES_MAX)
        return bad(r, "more than %d gates", SCENARIO_GATES_MAX);
    copy_name(g.id, r->words[1]);
    what = r->words[2];
    struct whom whom = {0};
    if (!take(&what, '.', &who) || what.n == 0)
        return bad(r, "%.*s: write GROUP.METRIC", SHOWN(r->words[2]));
    enum err e = read_whom(r, who, &whom);
    if (e != ERR_OK)
        return e;
    const char *near;
    const struct field *metric = field_find(result_metrics, METRICS_N, what, &near);
    if (metric == NULL)
        return unknown(r, "metric", what, near);
    g.group = whom.group;
    g.metric = (uint32_t)(metric - result_metrics);
    if ((r->words_n == 5) != slice_eq_str(r->words[1], "own"))
        return bad(r, "a gate of our own (`gate own …`) has a value, one of a published row has none");
    if (r->words_n == 5) {
        if (!slice_eq_str(r->words[3], "<=") && !slice_eq_str(r->words[3], ">="))
            return bad(r, "%.*s: write <= or >=", SHOWN(r->words[3]));
        g.op = slice_eq_str(r->words[3], "<=") ? GATE_LE : GATE_GE;
        e = read_value(r, metric, r->words[4], &g.value);
    }
    if (e == ERR_OK)
        r->s->gates[r->s->gates_n++] = g;
    return e;
}

static enum err read_line(struct reader *r)
{
    static const char *const kinds[] = {"seed", "world", "content", "node", "nodes", "at", "gate"};
    char word[NEAR_MAX + 2] = "";
    if (r->words[0].n != 0)
        memcpy(word, r->words[0].p, size_min(r->words[0].n, NEAR_MAX + 1));
    struct near near = {.written = word};
    uint32_t kind = 0;
    for (; kind < ARRAY_LEN(kinds) && !slice_eq_str(r->words[0], kinds[kind]); kind++)
        near_consider(&near, kinds[kind]);
    switch (kind) {
    case 0: return read_seed(r);
    case 1: return read_world(r);
    case 2: return read_content(r);
    case 3: return read_nodes(r, false);
    case 4: return read_nodes(r, true);
    case 5: return read_at(r);
    case 6: return read_gate(r);
    default: return unknown(r, "line that begins with", r->words[0], near.best);
    }
}

// Cuts a line at blanks and at `#`.
static enum err cut(struct reader *r, struct slice line)
{
    r->words_n = 0;
    r->seen = 0;
    for (size_t i = 0; i < line.n;) {
        const uint8_t c = line.p[i];
        if (c == '#')
            break;
        if (c == ' ' || c == '\t' || c == '\r') {
            i++;
            continue;
        }
        size_t n = 0;
        while (i + n < line.n && line.p[i + n] > ' ' && line.p[i + n] < 0x7f)
            n++;
        if (n == 0)
            return bad(r, "a byte that is no printable ASCII (0x%02x)", c);
        if (r->words_n == WORDS_MAX)
            return bad(r, "more than %d words", WORDS_MAX);
        r->words[r->words_n++] = slice_sub(line, i, n);
        i += n;
    }
    return ERR_OK;
}

enum err scenario_parse(struct scenario *out, const struct mem *mem, const char *file, struct slice text, char why[SCENARIO_WHY_MAX])
{
    scenario_init(out, mem);
    struct reader r = {.s = out, .file = file, .why = why};
    why[0] = '\0';
    if (text.n > SCENARIO_BYTES_MAX)
        return bad(&r, "longer than %d MiB", SCENARIO_BYTES_MAX >> 20);
    while (text.n > 0) {
        const uint8_t *newline = text.n == 0 ? NULL : memchr(text.p, '\n', text.n);
        const size_t n = newline == NULL ? text.n : (size_t)(newline - text.p);
        r.line++;
        if (n > SCENARIO_LINE_MAX)
            return bad(&r, "longer than %d bytes", SCENARIO_LINE_MAX);
        enum err e = cut(&r, slice_sub(text, 0, n));
        if (e == ERR_OK && r.words_n > 0)
            e = read_line(&r);
        if (e != ERR_OK)
            return e;
        text = slice_sub(text, n + 1, text.n);
    }
    r.line++;
    if (out->groups_n == 0)
        return bad(&r, "no node at all");
    for (uint32_t i = 0; i < out->groups_n; i++) {
        r.line = out->groups[i].line;
        if (out->groups[i].utp != 0 && out->world.payload != PAYLOAD_BYTES)
            return bad(&r, "utp=yes needs `world payload=bytes`: a datagram carries real bytes");
    }
    return ERR_OK;
}
